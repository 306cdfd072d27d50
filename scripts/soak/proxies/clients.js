'use strict';

// Clients that ask until they are told to stop, and what became of their requests.

const { spawn } = require('node:child_process');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const { setTimeout: sleep } = require('node:timers/promises');

/** Who has no answer by then (ms) hangs. */
const PATIENCE = 10_000;
/** Requests of one run of `ab`, which is to end by itself. */
const RUN = 2000;

/** @typedef {{ requests: number, lost: number, hung: number, longest: number, why: Map<string, number> }} Tally */

/** @returns {Tally} */
const newTally = () => ({ requests: 0, lost: 0, hung: 0, longest: 0, why: new Map() });

/**
 * @param {Tally} tally
 * @param {string} why
 * @param {number} [times]
 */
function lose(tally, why, times = 1) {
  tally.lost += times;
  tally.why.set(why, (tally.why.get(why) ?? 0) + times);
}

/**
 * One request, as `ask` makes it, which resolves to why it failed.
 *
 * @param {Tally} tally
 * @param {(signal: AbortSignal) => Promise<string | undefined>} ask
 */
async function count(tally, ask) {
  const start = performance.now();
  const signal = AbortSignal.timeout(PATIENCE);
  const why = await ask(signal);
  tally.requests++;
  tally.longest = Math.max(tally.longest, performance.now() - start);
  if (signal.aborted) tally.hung++;
  else if (why !== undefined) lose(tally, why);
}

/**
 * @param {typeof http | typeof https} transport
 * @param {http.RequestOptions} options
 * @returns {Promise<string | undefined>}
 */
function request(transport, options) {
  return new Promise((resolve) => {
    const asked = transport.request({ host: '127.0.0.1', rejectUnauthorized: false, .../** @type {any} */ (options) }, (response) => {
      response.resume();
      response.once('error', (error) => resolve(error.message));
      response.once('end', () => resolve(response.statusCode === 200 ? undefined : `status ${response.statusCode}`));
    });
    asked.once('error', (error) => resolve(error.message));
    asked.end();
  });
}

/**
 * A client of HTTP/1.0 reads to the end of the connection.
 *
 * @param {number} port
 * @param {string} where
 * @param {AbortSignal} signal
 * @returns {Promise<string | undefined>}
 */
function requestToTheEnd(port, where, signal) {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1', signal });
    let got = '';
    socket.setEncoding('latin1');
    socket.on('data', (text) => (got += text));
    socket.once('error', (error) => resolve(error.message));
    socket.once('close', () => resolve(/^HTTP\/1\.1 200 [^]*\r\n\r\n./.test(got) && !got.includes(' 408 ') ? undefined : `got ${got.slice(0, 20)}`));
    socket.write(`GET ${where} HTTP/1.0\r\n\r\n`);
  });
}

/**
 * @param {Tally} tally
 * @param {number} number
 * @param {string[]} options
 * @param {string} url
 */
async function runAb(tally, number, options, url) {
  const ab = spawn('ab', ['-q', '-r', '-s', '60', '-n', `${number}`, ...options, url], { stdio: ['ignore', 'pipe', 'ignore'] });
  let output = '';
  ab.stdout.on('data', (text) => (output += text));
  const ended = new Promise((resolve) => {
    ab.once('close', () => resolve(true));
  });
  const seen = (/** @type {RegExp} */ pattern) => Number(pattern.exec(output)?.[1] ?? 0);
  const timer = new AbortController();
  const inTime = await Promise.race([ended, sleep(PATIENCE + 20_000, false, { signal: timer.signal }).catch(() => false)]);
  timer.abort();
  if (!inTime) {
    ab.kill('SIGINT');
    await ended;
  }
  const complete = seen(/Complete requests:\s+(\d+)/);
  tally.requests += complete;
  tally.hung += number - complete;
  tally.longest = Math.max(tally.longest, seen(/100%\s+(\d+)/));
  // Its lengths differ, as pids and headers do.
  const failed = seen(/Connect: (\d+)/) + Math.max(seen(/Receive: (\d+)/), seen(/Exceptions: (\d+)/)) + seen(/Non-2xx responses:\s+(\d+)/);
  if (failed > 0) lose(tally, 'as ab says', failed);
}

/**
 * Asks without end, with so many clients.
 *
 * @param {import('./fronts.js').Front} front
 * @param {number} port
 * @param {number} clients
 */
function startClients(front, port, clients) {
  const tally = newTally();
  let stopping = false;
  const transport = front.clients === 'https' ? https : http;
  const agent = new transport.Agent({ keepAlive: true, maxSockets: clients });

  /** @param {string} where */
  const ask = (where) =>
    count(tally, (signal) => (front.clients === 'http' || front.clients === 'https' ? request(transport, { port, path: where, agent, signal }) : requestToTheEnd(port, where, signal)));
  /** @param {number} index */
  const goOn = async (index) => {
    while (!stopping) await ask(index % 8 === 0 ? '/long' : '/');
  };
  const goOnWithAb = async () => {
    while (!stopping) await runAb(tally, RUN, ['-c', `${clients}`, ...(front.abOptions ?? [])], `http://127.0.0.1:${port}/`);
  };
  const running = front.clients === 'ab' ? [goOnWithAb()] : Array.from({ length: clients }, (_, index) => goOn(index));

  return {
    tally,
    /** Resolves when all that was asked has been answered. */
    async stop() {
      stopping = true;
      await Promise.all(running);
    },
    /**
     * Each client asks once more. (`ab` would wait for the first answer before it asks again.)
     *
     * @param {string} where
     */
    async askOnce(where) {
      await Promise.all(Array.from({ length: clients }, () => ask(where)));
    },
    close: () => agent.destroy(),
  };
}

module.exports = { startClients };
