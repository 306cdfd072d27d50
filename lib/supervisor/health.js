'use strict';

// What probes ask: whether the primary lives, and whether its service takes requests. Answered by the primary, as on the service's own port
// a probe asks one worker, and one that is busy would have all of them killed.

const fs = require('node:fs');
const net = require('node:net');
const { dirname, resolve } = require('node:path');

const { ours } = require('../errors.js');
const { rawOf } = require('../node/net.js');
const { removeSocket, takeFile } = require('../socket_file.js');
const { reasonOf } = require('./reasons.js');

/** Where it is answered. @typedef {{ path: string } | { host?: string, port: number }} Place */

/**
 * @typedef {object} Now
 * @property {'running' | 'reloading' | 'stopping' | 'stopped'} state
 * @property {number} ready Workers that are.
 * @property {number} workers That there should be.
 * @property {number} minReady So many have to be; all, where there are fewer.
 */

/** @typedef {{ status: number, type?: string, body: string | Promise<string> }} Page */

/**
 * @typedef {object} Health
 * @property {() => number | undefined} fd Its socket, while it listens, for the primary after us.
 * @property {() => void} leave The same, but that one answers from now on.
 * @property {() => void} close
 */

/**
 * @param {Readonly<Place>} place
 * @param {object} asked
 * @param {() => Now} asked.now
 * @param {() => Promise<string>} [asked.metrics] Figures in Prometheus' text format, where there are any.
 * @param {(error: Error | undefined, address: string) => void} told It listens there, or cannot.
 * @param {number} [given] The socket of the primary before us, which has left it to us.
 * @returns {Health}
 */
function serveHealth(place, { now, metrics }, told, given) {
  const { createServer } = require('node:http');
  /** How it was when we were left alone. @type {Now | undefined} */
  let last;
  /** @type {Record<string, (query: string) => Page>} */
  const pages = {
    '/live': () => ({ status: 200, body: 'live\n' }),
    '/ready': (query) => readyPage(last ?? now(), query),
    ...(metrics && { '/metrics': () => ({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: metrics() }) }),
  };
  const server = createServer(async (request, response) => {
    const { status, type = 'text/plain', body: coming } = pageFor(pages, request);
    const body = await coming;
    response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body), 'Cache-Control': 'no-store' });
    response.end(body);
  });
  let isClosed = false;
  let mayBeLeft = 'path' in place;
  const listen = () => {
    if (isClosed) return;
    if (given !== undefined) server.listen({ fd: given });
    else server.listen('path' in place ? { path: place.path } : { host: place.host, port: place.port });
  };
  server.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
    const fail = () => void (isClosed || told(failure(place, error), ''));
    // Nobody may be behind a file that a primary has left which was killed.
    if (error.code !== 'EADDRINUSE' || !('path' in place) || !mayBeLeft) return fail();
    mayBeLeft = false;
    return removeIfLeft(place.path, (wasLeft) => (wasLeft ? listen() : fail()));
  });
  let removeFile = () => {};
  server.on('listening', () => {
    // A handle that has been given its socket knows no file.
    if ('path' in place && given !== undefined) removeFile = removeSocket(place.path);
    told(undefined, 'path' in place ? place.path : nameOf(server.address()));
  });
  listen();
  server.unref();
  const close = () => {
    isClosed = true;
    server.close();
    server.closeAllConnections();
  };
  return {
    fd: () => (server.listening ? rawOf(server).fd : undefined),
    leave() {
      // The file belongs to the socket, which goes on.
      isClosed = true;
      last = now();
      if ('path' in place && given === undefined) takeFile(server, resolve(place.path));
      // Who has connected is still answered.
      server.close();
    },
    close() {
      close();
      removeFile();
    },
  };
}

/**
 * @param {Record<string, (query: string) => Page>} pages
 * @param {import('node:http').IncomingMessage} request
 * @returns {Page}
 */
function pageFor(pages, { method, url }) {
  const [path, query = ''] = `${url}`.split('?', 2);
  if (!Object.hasOwn(pages, path)) return { status: 404, body: `Here are ${Object.keys(pages).join(', ')}\n` };
  return method === 'GET' || method === 'HEAD' ? pages[path](query) : { status: 405, body: 'GET or HEAD\n' };
}

/**
 * @param {Now} now
 * @param {string} query
 * @returns {Page}
 */
function readyPage(now, query) {
  const takesRequests = now.state === 'running' || now.state === 'reloading';
  const isReady = takesRequests && now.ready >= Math.min(now.minReady, now.workers);
  // HAProxy's `http-check disable-on-404`: whoever says so finishes what it has, and gets nothing new.
  const isLeaving = now.state === 'stopping' && query === 'leaving=404';
  return { status: isReady ? 200 : isLeaving ? 404 : 503, type: 'application/json', body: `${JSON.stringify(now)}\n` };
}

/**
 * @param {string} path
 * @param {(wasLeft: boolean) => void} done
 */
function removeIfLeft(path, done) {
  const socket = net.connect(path, () => {
    socket.destroy();
    done(false);
  });
  socket.on('error', (/** @type {NodeJS.ErrnoException} */ { code }) => {
    // Only a socket refuses; a file of another kind is none of our business.
    if (code !== 'ECONNREFUSED' || !fs.statSync(path, { throwIfNoEntry: false })?.isSocket()) done(false);
    else fs.rm(path, (error) => done(!error));
  });
}

/**
 * @param {Readonly<Place>} place
 * @param {NodeJS.ErrnoException} error
 */
function failure(place, { code: said = '', message }) {
  // Node says EACCES where it is the folder that is missing.
  const code = said === 'EACCES' && 'path' in place && !fs.existsSync(dirname(place.path)) ? 'ENOENT' : said;
  return ours('ERR_RCLUSTER_HEALTH', `The health endpoint cannot listen on ${inWords(place)}: ${reasonOf(code) ?? message} (${code})`);
}

/** @param {Readonly<Place>} place */
function inWords(place) {
  if ('path' in place) return place.path;
  if (place.host === undefined) return `port ${place.port}`;
  return nameOf({ address: place.host, family: net.isIPv6(place.host) ? 'IPv6' : 'IPv4', port: place.port });
}

/** @param {import('node:net').AddressInfo | string | null} address */
function nameOf(address) {
  if (address === null || typeof address === 'string') return `${address}`;
  return `${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}

module.exports = { serveHealth };
