'use strict';

// Real proxies in front of a service, that say whom a connection is from: HAProxy (both versions) and nginx's stream module. Clients have
// another address than the proxies, and know their own port.

const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');
const net = require('node:net');
const path = require('node:path');
const tls = require('node:tls');
const { once } = require('node:events');
const { json } = require('node:stream/consumers');
const selfsigned = require('selfsigned');
const { WebSocket } = require('ws');
const { startService, temporaryFolder } = require('../helpers/service');
const { freePort } = require('../helpers/free_port');
const { ifHaproxy, ifNginx, startHaproxy, startNginx } = require('./helpers/front');

/** Where clients come from. The proxies are 127.0.0.1. */
const HERE = '127.0.0.5';

/** @type {Set<{ destroy(): void }>} */
const clients = new Set();

afterEach(() => {
  for (const one of clients) one.destroy();
  clients.clear();
});

/** A worker with HTTP and WebSockets on one port, HTTPS and HTTP/2 on another. */
function servers() {
  const see = ({ remoteAddress: address, remotePort: port, remoteFamily: family, proxyHeader: said }) =>
    JSON.stringify({ pid: process.pid, address, port, family, version: said?.version, alpn: said?.alpn, tls: said?.tls });
  const answer = (asked, response) => response.end(see(asked.stream?.session.socket ?? asked.socket));
  const plain = require('node:http').createServer(answer);
  const { WebSocketServer } = require(process.env.WS);
  new WebSocketServer({ server: plain }).on('connection', (socket, asked) => socket.on('message', () => socket.send(see(asked.socket))));
  plain.listen(0, '127.0.0.1', () => console.log(`plain ${plain.address().port}`));
  const { readFileSync } = require('node:fs');
  const secure = require('node:http2').createSecureServer({ key: readFileSync(process.env.KEY_FILE), cert: readFileSync(process.env.CERT_FILE), allowHTTP1: true }, answer);
  secure.listen(0, '127.0.0.1', () => console.log(`secure ${secure.address().port}`));
}

async function startServers() {
  const folder = temporaryFolder();
  const made = await selfsigned.generate([{ name: 'commonName', value: 'localhost' }], { algorithm: 'sha256', keyType: 'ec' });
  const env = { WS: path.join(__dirname, 'node_modules', 'ws'), KEY_FILE: path.join(folder, 'key.pem'), CERT_FILE: path.join(folder, 'cert.pem') };
  fs.writeFileSync(env.KEY_FILE, made.private);
  fs.writeFileSync(env.CERT_FILE, made.cert);
  const service = await startService({ worker: servers, env, options: { proxyProtocol: '127.0.0.1', drainTimeout: 1500 } });
  const port = async (name) => Number((await service.script.waitForLine(new RegExp(`^${name} (\\d+)`)))[1]);
  return { service, folder, plain: await port('plain'), secure: await port('secure') };
}

/** @param {{ folder: string, plain: number, secure: number }} behind @param {string} how */
async function haproxy({ folder, plain, secure }, how) {
  const [front, secureFront] = [await freePort(), await freePort()];
  await startHaproxy(folder, `
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen plain
  bind 127.0.0.1:${front}
  server one 127.0.0.1:${plain} ${how}
listen secure
  bind 127.0.0.1:${secureFront}
  server one 127.0.0.1:${secure} ${how}
`, secureFront);
  return { front, secureFront };
}

/** @param {{ folder: string, plain: number, secure: number }} behind */
async function nginx({ folder, plain, secure }) {
  const [front, secureFront] = [await freePort(), await freePort()];
  await startNginx(folder, `
stream {
  proxy_protocol on;
  server { listen 127.0.0.1:${front}; proxy_pass 127.0.0.1:${plain}; }
  server { listen 127.0.0.1:${secureFront}; proxy_pass 127.0.0.1:${secure}; }
}`, secureFront);
  return { front, secureFront };
}

/** Each kind of client: over one connection, as often as it is asked. @returns {Record<string, () => Promise<{ seen: any, port: number }>>} */
function makeClients({ front, secureFront }) {
  const from = { host: '127.0.0.1', localAddress: HERE };
  const over = (module, port) => {
    const agent = new module.Agent({ keepAlive: true, maxSockets: 1 });
    clients.add(agent);
    return async () => {
      const asked = module.get({ ...from, port, agent, rejectUnauthorized: false });
      const [response] = await once(asked, 'response');
      const { localPort } = response.socket;
      return { seen: await json(response), port: localPort };
    };
  };
  const session = () => {
    const socket = net.connect({ ...from, port: secureFront });
    const connected = http2.connect('https://localhost', { createConnection: () => tls.connect({ socket, ALPNProtocols: ['h2'], rejectUnauthorized: false }) });
    connected.on('error', () => {});
    clients.add({ destroy: () => connected.destroy() });
    return { connected, socket };
  };
  /** @type {ReturnType<typeof session> | undefined} */
  let h2;
  /** @type {WebSocket | undefined} */
  let ws;
  return {
    http: over(http, front),
    https: over(https, secureFront),
    async http2() {
      if (!h2 || h2.connected.closed || h2.connected.destroyed) h2 = session();
      const { localPort } = h2.socket.connecting ? (await once(h2.socket, 'connect'), h2.socket) : h2.socket;
      const stream = h2.connected.request({ ':path': '/' });
      return { seen: await json(stream), port: localPort };
    },
    async ws() {
      if (!ws || ws.readyState !== WebSocket.OPEN) {
        ws = new WebSocket(`ws://127.0.0.1:${front}`, { localAddress: HERE });
        const mine = ws;
        clients.add({ destroy: () => mine.terminate() });
        mine.on('error', () => {});
        await once(mine, 'open');
      }
      ws.send('?');
      const [text] = await once(ws, 'message');
      return { seen: JSON.parse(text), port: /** @type {any} */ (ws)._socket.localPort };
    },
  };
}

/** @param {(behind: any) => Promise<{ front: number, secureFront: number }>} start @param {number} version */
async function check(start, version) {
  const behind = await startServers();
  const kinds = makeClients(await start(behind));
  const seen = async () => {
    for (const [name, ask] of Object.entries(kinds)) {
      const { seen: told, port } = await ask();
      expect({ name, ...told }).toMatchObject({ name, address: HERE, port, family: 'IPv4', version });
    }
  };
  await seen();
  await seen();
  const before = await behind.service.pids();
  const report = await behind.service.call('reload');
  // That of HTTP: it is the only one that can.
  expect(report.workers.reduce((sum, { moved }) => sum + moved, 0)).toBeGreaterThanOrEqual(1);
  const { seen: after } = await kinds.http();
  expect(after).toMatchObject({ address: HERE, version });
  expect(before).not.toContain(after.pid);
  await seen();
}

ifHaproxy('HAProxy, send-proxy: each client is who it is, with HTTP, HTTPS, HTTP/2 and WebSockets, before and after a reload', () =>
  check((behind) => haproxy(behind, 'send-proxy'), 1), 60_000);

ifHaproxy('HAProxy, send-proxy-v2: the same', () =>
  check((behind) => haproxy(behind, 'send-proxy-v2'), 2), 60_000);

ifHaproxy('HAProxy, send-proxy-v2 with a checksum and an identity', () =>
  check((behind) => haproxy(behind, 'send-proxy-v2 proxy-v2-options crc32c,unique-id'), 2), 60_000);

ifNginx('nginx, proxy_protocol on: the same', () => check(nginx, 1), 60_000);
