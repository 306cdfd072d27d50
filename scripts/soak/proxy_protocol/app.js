'use strict';

// A worker: answers say whom it sees. HTTP and WebSockets on PORT; HTTPS and HTTP/2 on SECURE_PORT, if there is a KEY_FILE.

const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');

/** @param {any} socket */
const see = ({ remoteAddress, remotePort }) => `${remoteAddress} ${remotePort}`;

/**
 * @param {any} asked
 * @param {any} response
 */
const answer = (asked, response) => response.end(see(asked.stream?.session.socket ?? asked.socket));

const { KEY_FILE, CERT_FILE, PORT, SECURE_PORT } = process.env;
const plain = http.createServer(answer).listen(Number(PORT), '127.0.0.1');
// Enough of a WebSocket for one that says nothing: a handshake, and one text.
plain.on('upgrade', (asked, socket) => {
  const text = see(asked.socket);
  const key = require('node:crypto').createHash('sha1').update(`${asked.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`);
  socket.write(Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]));
  socket.on('error', () => {});
  socket.on('data', () => socket.end());
});
if (KEY_FILE && CERT_FILE) {
  const keys = { key: fs.readFileSync(KEY_FILE), cert: fs.readFileSync(CERT_FILE) };
  http2.createSecureServer({ ...keys, allowHTTP1: true }, answer).listen(Number(SECURE_PORT), '127.0.0.1');
}
