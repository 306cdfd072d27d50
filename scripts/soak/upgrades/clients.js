'use strict';

// Those who are connected during upgrades, and what became of them.

const http2 = require('node:http2');
const https = require('node:https');
const net = require('node:net');
const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');

/** Between two requests, or two parts of one (ms). */
const PAUSE = 20;
/** How long (ms) an answer may take. */
const PATIENCE = 20_000;
/** Bytes of an upload, one per pause. */
const UPLOAD = 150;

/**
 * @typedef {object} Tally
 * @property {number} done requests, uploads or messages that were answered
 * @property {number} lost those that were not
 * @property {number} again how often they had to connect anew, as the service told them to
 * @property {Map<string, number>} why
 */

/** @param {Tally} tally @param {unknown} error */
function lose(tally, error) {
  const why = /** @type {NodeJS.ErrnoException} */ (error)?.code ?? String(error);
  tally.lost++;
  tally.why.set(why, (tally.why.get(why) ?? 0) + 1);
}

/**
 * Does the same again and again until it is told to stop.
 *
 * @param {(tally: Tally) => Promise<void>} round
 * @param {() => void} [close]
 */
function again(round, close = () => {}) {
  /** @type {Tally} */
  const tally = { done: 0, lost: 0, again: 0, why: new Map() };
  let isOver = false;
  const all = (async () => {
    while (!isOver) {
      await round(tally);
      await sleep(PAUSE);
    }
    close();
  })();
  return {
    async stop() {
      isOver = true;
      await all;
      return tally;
    },
  };
}

/** A connection that hears: what it has got, and how it ended. */
class Raw {
  got = '';
  /** @type {string | undefined} */
  end;

  /** @param {number} port */
  constructor(port) {
    this.socket = net.connect(port, '127.0.0.1');
    this.socket.setEncoding('latin1').on('data', (text) => (this.got += text));
    this.socket.on('end', () => (this.end ??= 'ended')).on('error', ({ message }) => (this.end = message)).on('close', () => (this.end ??= 'closed'));
  }

  /** Whether that has come before its end. @param {RegExp} what */
  async until(what) {
    for (const start = performance.now(); !what.test(this.got); await sleep(1)) {
      if (this.end !== undefined) return false;
      if (performance.now() - start > PATIENCE) {
        this.end = `nothing came for ${PATIENCE} ms`;
        return false;
      }
    }
    return true;
  }
}

/** Uploads a body byte by byte, one after the other. @param {number} port */
const upload = (port) => again(async (tally) => {
  const client = new Raw(port);
  client.socket.write(`POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${UPLOAD}\r\n\r\n`);
  for (let sent = 0; sent < UPLOAD && client.end === undefined; sent++) {
    client.socket.write('x');
    await sleep(PAUSE);
  }
  if (await client.until(/^HTTP\/1.1 200 [^]*\r\n\r\n\d/)) tally.done++;
  else lose(tally, client.end);
  client.socket.destroy();
});

/** One message after the other, and an answer to each. One whose socket is ended connects anew. @param {number} port */
function webSocket(port) {
  /** @type {Raw | undefined} */
  let client;
  let number = 0;
  return again(async (tally) => {
    if (!client) {
      client = new Raw(port);
      client.socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
      if (!(await client.until(/^HTTP\/1.1 101 [^]*\r\n\r\n/))) {
        lose(tally, client.end);
        client = undefined;
        return;
      }
    }
    client.got = '';
    client.socket.write(`message ${++number};`);
    if (await client.until(new RegExp(`message ${number};`))) {
      tally.done++;
      return;
    }
    // A message that crosses the end of the socket is sent again by whoever speaks over WebSockets.
    if (client.end === 'ended') tally.again++;
    else lose(tally, client.end);
    client.socket.destroy();
    client = undefined;
  }, () => client?.socket.destroy());
}

/** Asks over TLS, over one connection as long as that stays. @param {number} port */
function secure(port) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  return again(async (tally) => {
    try {
      const asked = https.get({ port, host: '127.0.0.1', agent, timeout: PATIENCE });
      asked.on('timeout', () => asked.destroy(new Error('no answer in time')));
      const [response] = await once(asked, 'response');
      if (response.headers.connection === 'close') tally.again++;
      await once(response.resume(), 'end');
      tally.done++;
    } catch (error) {
      lose(tally, error);
    }
  }, () => agent.destroy());
}

/** Asks by HTTP/2, over one session as long as that stays. @param {number} port */
function second(port) {
  /** @type {http2.ClientHttp2Session | undefined} */
  let session;
  return again(async (tally) => {
    if (!session || session.closed || session.destroyed) {
      if (session) tally.again++;
      session = http2.connect(`http://127.0.0.1:${port}`);
      session.on('error', () => {});
    }
    try {
      const stream = session.request();
      stream.setTimeout(PATIENCE, () => stream.destroy(new Error('no answer in time')));
      const [headers] = await once(stream, 'response');
      await once(stream.resume(), 'end');
      if (headers[':status'] === 200) tally.done++;
      else lose(tally, `status ${headers[':status']}`);
    } catch (error) {
      lose(tally, error);
    }
  }, () => session?.destroy());
}

/**
 * Connections that have asked once, and ask once more when they are told to.
 *
 * @param {number} port
 * @param {number} count
 */
async function idle(port, count) {
  const all = Array.from({ length: count }, () => new Raw(port));
  const ask = async () => {
    for (const client of all) {
      client.got = '';
      client.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    }
    const answered = await Promise.all(all.map((client) => client.until(/\r\n\r\n\d/)));
    return answered.filter(Boolean).length;
  };
  if ((await ask()) !== count) throw new Error('the idle connections have no answer at the start');
  return {
    closed: () => all.filter(({ end }) => end !== undefined).length,
    ask,
    close: () => all.forEach(({ socket }) => socket.destroy()),
  };
}

module.exports = { idle, second, secure, upload, webSocket };
