'use strict';

// `Connection: close`: a client learns with an answer that it has to come back on another connection.

const { aroundHeaders, keepOpen, written } = require('../../node/http.js');

/** What an HTTP/1 response says of its own length. */
const LENGTH = /\r\n(?:content-length|transfer-encoding):/i;
const CLOSE = /(?:^|,)\s*close\s*(?:,|$)/i;

class LastAnswers {
  #mustEnd;
  /** Those that will say it, if it is true by then. */
  #asked = new WeakSet();
  /** Connections whose client knows, while it still sends, or waits for more. */
  #told = new WeakSet();

  /**
   * @param {(socket: any) => boolean} mustEnd Whether a connection is to end after what is under way on it; asked when the
   *   headers of an answer are written.
   */
  constructor(mustEnd) {
    this.#mustEnd = mustEnd;
  }

  /**
   * Whether the client of an idle connection knows that it ends.
   *
   * @param {any} socket
   */
  isTold(socket) {
    return this.#told.has(socket);
  }

  /**
   * The answer to the last request that has come says `Connection: close`, whatever the program or a library says of it.
   *
   * @param {any} response Of HTTP/1.
   */
  ask(response) {
    if (this.#asked.has(response) || response.headersSent || response.finished) return;
    this.#asked.add(response);
    aroundHeaders(response, (write, headers) => {
      const { req: request, shouldKeepAlive } = response;
      const { socket } = request;
      // What is wrong with the headers is for Node to say.
      const isOdd = Array.isArray(headers) && !Array.isArray(headers[0]) && headers.length % 2 === 1;
      if (response.statusCode < 200 || isOdd || !isLastInLine(request) || !this.#mustEnd(socket)) {
        write(headers);
        return;
      }
      const [changed, wanted] = withClose(response, headers);
      write(changed);
      const { hasBody, header } = written(response);
      // If it would have gone on without us, it is not cut while its client still sends.
      if (wanted || !shouldKeepAlive || (hasBody && !LENGTH.test(header))) return;
      response.prependOnceListener('finish', () => {
        if (isLastInLine(request) && request.complete) return;
        keepOpen(response);
        this.#told.add(socket);
      });
    });
  }
}

/**
 * Whether no other request has come after this one, as far as it was read.
 *
 * @param {any} request
 */
function isLastInLine(request) {
  const incoming = request.socket?.parser?.incoming;
  return !incoming || incoming === request;
}

/**
 * Headers as `writeHead` has them, with `Connection: close` instead of what they say of the connection. What else they name
 * there (`Upgrade`) stays.
 *
 * @param {any} response
 * @param {any} headers Those that were set, if any were; else what `writeHead` was given: an object, a list, or pairs.
 * @returns {[any, boolean]} The second: whether they said so already.
 */
function withClose(response, headers) {
  // Not those that a library may have put on the response.
  const { OutgoingMessage } = require('node:http');
  const { getHeaderNames, setHeader } = OutgoingMessage.prototype;
  if (Reflect.apply(getHeaderNames, response, []).length > 0) {
    const said = [response.getHeader('Connection') ?? []].flat();
    // In place: Node compares.
    Reflect.apply(setHeader, response, ['Connection', closing(said)]);
    return [headers, saysClose(said)];
  }
  const pairs = pairsOf(headers);
  const isConnection = (/** @type {[any, any]} */ [name]) => String(name).toLowerCase() === 'connection';
  const said = pairs.filter(isConnection).flatMap(([, value]) => value);
  return [[...pairs.filter((pair) => !isConnection(pair)), ['Connection', closing(said)]], saysClose(said)];
}

/**
 * @param {any} headers
 * @returns {[any, any][]}
 */
function pairsOf(headers) {
  if (!Array.isArray(headers)) return Object.entries(headers ?? {});
  if (Array.isArray(headers[0])) return /** @type {[any, any][]} */ (headers);
  /** @type {[any, any][]} */
  const pairs = [];
  for (let i = 0; i < headers.length; i += 2) pairs.push([headers[i], headers[i + 1]]);
  return pairs;
}

/** @param {any[]} said */
const saysClose = (said) => said.some((value) => CLOSE.test(String(value)));

/** @param {any[]} said */
function closing(said) {
  const others = said.flatMap((value) => String(value).split(',')).map((word) => word.trim());
  return ['close', ...others.filter((word) => word && !/^(?:keep-alive|close)$/i.test(word))].join(', ');
}

module.exports = { LastAnswers };
