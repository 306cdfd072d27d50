'use strict';

// Private members of Node's `http`.

/**
 * Node's list of the parsers of an HTTP server that listens, or has listened. There is no public way to it that destroys
 * nothing.
 *
 * @param {any} server
 * @returns {{ all(): any[], idle(): any[] } | undefined}
 */
function parsersOf(server) {
  const symbol = Object.getOwnPropertySymbols(server).find(({ description }) => description === 'http.server.connections');
  return symbol && server[symbol];
}

/**
 * The response that is being written on a connection, if one is.
 *
 * @param {any} socket
 */
const responseOn = (socket) => socket._httpMessage;

/** What an HTTP server does with a connection. Loaded when it is needed: most workers never do. */
// @ts-expect-error: public, but not in the types.
const connectionListener = () => require('node:http')._connectionListener;

/**
 * Parts a connection from its HTTP server, whose parser reads from the raw handle by itself.
 *
 * @param {any} socket
 */
function detachHttp(socket) {
  const { parser } = socket;
  if (!parser) return;
  // @ts-expect-error: public to `require`, but not in the types.
  const { freeParser } = require('_http_common');
  freeParser(parser, null, socket);
  socket._httpMessage?.detachSocket(socket);
}

/**
 * Calls a function instead of what writes the headers of a response. Everything that does comes down to that, and nothing can
 * change them afterwards.
 *
 * @param {any} response
 * @param {(write: (headers: any) => void, headers: any) => void} instead
 */
function aroundHeaders(response, instead) {
  const { _storeHeader: storeHeader } = response;
  response._storeHeader = (/** @type {string} */ firstLine, /** @type {any} */ headers) =>
    instead((changed) => Reflect.apply(storeHeader, response, [firstLine, changed]), headers);
}

/**
 * Whether a response has a body, and the headers that have been written.
 *
 * @param {any} response
 * @returns {{ hasBody: boolean, header: string }}
 */
const written = ({ _hasBody: hasBody, _header: header }) => ({ hasBody, header });

/**
 * Whatever its headers say, Node does not end the connection after a response.
 *
 * @param {any} response
 */
function keepOpen(response) {
  response._last = false;
}

module.exports = { aroundHeaders, connectionListener, detachHttp, keepOpen, parsersOf, responseOn, written };
