'use strict';

// Clients that know their own address and port, and what a service says it is. Each makes one connection.

const { once } = require('node:events');
const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');
const net = require('node:net');
const { text } = require('node:stream/consumers');
const tls = require('node:tls');

/** One that hangs is lost (ms). */
const PATIENCE = 20_000;

let last = 0;

/** Another one for each connection: 127.1.0.0/16. */
const nextAddress = () => `127.1.${(last >> 8) & 255}.${last++ & 255}`;

/**
 * @param {import('node:http').ClientRequest} asked
 * @returns {Promise<import('node:http').IncomingMessage>}
 */
const responseOf = async (asked) => (await once(asked, 'response'))[0];

/** @typedef {{ said: string, is: string }} Told What the service has said, and what is so. */

/** By kind; each gets the ports of a proxy. @type {Record<string, (ports: { plain: number, secure: number }) => Promise<Told>>} */
const CLIENTS = {
  async http({ plain }) {
    const from = { host: '127.0.0.1', port: plain, localAddress: nextAddress(), agent: false };
    const response = await responseOf(http.get({ ...from, signal: AbortSignal.timeout(PATIENCE) }));
    const is = `${response.socket.localAddress} ${response.socket.localPort}`;
    return { said: await text(response), is };
  },
  async https({ secure }) {
    const from = { host: '127.0.0.1', port: secure, localAddress: nextAddress(), agent: false, rejectUnauthorized: false };
    const response = await responseOf(https.get({ ...from, signal: AbortSignal.timeout(PATIENCE) }));
    const is = `${response.socket.localAddress} ${response.socket.localPort}`;
    return { said: await text(response), is };
  },
  async http2({ secure }) {
    const socket = net.connect({ host: '127.0.0.1', port: secure, localAddress: nextAddress() });
    const overTls = tls.connect({ socket, ALPNProtocols: ['h2'], rejectUnauthorized: false });
    const session = http2.connect('https://localhost', { createConnection: () => overTls });
    const failed = new Promise((_, reject) => {
      session.once('error', reject);
    });
    const timer = setTimeout(() => session.destroy(new Error('it hangs')), PATIENCE);
    try {
      const said = await Promise.race([text(session.request({ ':path': '/' })), failed]);
      return { said, is: `${socket.localAddress} ${socket.localPort}` };
    } finally {
      clearTimeout(timer);
      session.close();
    }
  },
  async ws({ plain }) {
    const headers = { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version': '13' };
    const asked = http.get({ host: '127.0.0.1', port: plain, localAddress: nextAddress(), agent: false, headers, signal: AbortSignal.timeout(PATIENCE) });
    const [, socket, head] = await once(asked, 'upgrade');
    const is = `${socket.localAddress} ${socket.localPort}`;
    let bytes = head;
    while (bytes.length < 2 || bytes.length < 2 + bytes[1]) bytes = Buffer.concat([bytes, (await once(socket, 'data'))[0]]);
    socket.on('error', () => {});
    socket.end(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
    return { said: bytes.subarray(2).toString(), is };
  },
};

module.exports = { CLIENTS };
