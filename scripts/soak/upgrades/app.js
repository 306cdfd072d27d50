'use strict';

// The service whose primary is upgraded. Each reply is of one length, as ab takes any other for a failure.
//   PORT  plain HTTP/1: answers at once, when all of a body has come; speaks back to what is upgraded, as to a WebSocket
//   TLS   HTTPS, with KEY_FILE and CERT_FILE
//   TWO   HTTP/2

const cluster = require('node:cluster');
const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');

const { CERT_FILE, KEY_FILE, PORT, TLS, TWO } = process.env;
const reply = `${process.pid}`.padEnd(8);

/** @param {http.IncomingMessage | http2.Http2ServerRequest} request @param {any} response */
const serve = (request, response) => request.resume().on('end', () => response.end(reply));

/** @type {Set<import('node:stream').Duplex>} */
const sockets = new Set();
const plain = http.createServer(serve).on('upgrade', (_request, socket) => {
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket)).on('error', () => {});
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n');
  // Not by `pipe`: it would stop reading as soon as the socket is ended, and not see that the client has gone.
  socket.on('data', (chunk) => socket.writable && socket.write(chunk));
  socket.on('end', () => socket.end());
});
// Idle ones stay.
plain.keepAliveTimeout = 3_600_000;
// A WebSocket cannot move: a service that is polite tells its client to come back.
/** @type {any} */ (cluster).on('draining', () => {
  for (const socket of sockets) socket.end();
});
plain.listen(Number(PORT), '127.0.0.1');
https.createServer({ key: fs.readFileSync(String(KEY_FILE)), cert: fs.readFileSync(String(CERT_FILE)) }, serve).listen(Number(TLS), '127.0.0.1');
http2.createServer(serve).listen(Number(TWO), '127.0.0.1');
