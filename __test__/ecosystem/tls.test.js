'use strict';

const { once } = require('node:events');
const fs = require('node:fs');
const http2 = require('node:http2');
const https = require('node:https');
const os = require('node:os');
const path = require('node:path');
const tls = require('node:tls');
const { text } = require('node:stream/consumers');
const { certificate } = require('./helpers/certificate');
const { childrenOf, serve, waitFor } = require('./helpers/start');

let folder;
let ca;
const env = {};

beforeAll(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-tls-'));
  const made = await certificate(folder);
  env.KEY_FILE = made.keyFile;
  env.CERT_FILE = made.certFile;
  ca = made.cert;
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** One connection to the end: who served it, whether it went on with the session given, and a ticket for the next. */
async function visit(port, options) {
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca, ...options });
  let ticket;
  socket.on('session', (session) => (ticket = session));
  let reused;
  socket.on('secureConnect', () => (reused = socket.isSessionReused()));
  const body = await text(socket);
  return { body, reused, ticket };
}

test.each(['TLSv1.2', 'TLSv1.3'])('%s: a ticket of one worker is good for the other', async (version) => {
  const { app, port } = await serve('tls.js', { env: { ...env, KIND: 'tls' } });
  const options = { minVersion: version, maxVersion: version };
  const first = await visit(port, options);
  expect(first.reused).toBe(false);
  // Each goes on with the last ticket it got, whoever gave it.
  const served = new Set([first.body]);
  let { ticket } = first;
  await waitFor(async () => {
    const next = await visit(port, { ...options, session: ticket });
    expect(next.reused).toBe(true);
    ticket = next.ticket ?? ticket;
    return served.add(next.body).size === 2;
  });
  expect(new Set(childrenOf(app.pid).map(String))).toEqual(served);
});

test('https: an agent resumes its sessions, whichever worker it comes to', async () => {
  const { port } = await serve('tls.js', { env: { ...env, KIND: 'https' } });
  const agent = new https.Agent({ ca, maxCachedSessions: 10 });
  const ask = async () => {
    const request = https.get({ port, host: '127.0.0.1', servername: 'localhost', agent, headers: { connection: 'close' } });
    const [response] = await once(request, 'response');
    const { socket } = response;
    return { pid: await text(response), reused: socket.isSessionReused() };
  };
  const first = await ask();
  expect(first.reused).toBe(false);
  await waitFor(async () => {
    const next = await ask();
    expect(next.reused).toBe(true);
    return next.pid !== first.pid;
  });
});

test('http2: sessions are resumed, streams run side by side, and HTTP/1.1 is understood', async () => {
  const { app, port } = await serve('tls.js', { env: { ...env, KIND: 'http2' } });
  const workers = childrenOf(app.pid).map(String);
  const connect = async (session) => {
    const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca, ALPNProtocols: ['h2'], session });
    const tickets = [];
    socket.on('session', (ticket) => tickets.push(ticket));
    await once(socket, 'secureConnect');
    const reused = socket.isSessionReused();
    const client = http2.connect('https://localhost', { createConnection: () => socket });
    const answers = await Promise.all(Array.from({ length: 20 }, () => text(client.request({ ':path': '/' }))));
    client.close();
    await once(client, 'close');
    // One connection, one worker.
    expect(new Set(answers).size).toBe(1);
    const [pid, version] = answers[0].split(' ');
    expect(version).toBe('2.0');
    return { pid, reused, ticket: tickets.at(-1) };
  };
  const first = await connect();
  expect(first.reused).toBe(false);
  expect(workers).toContain(first.pid);
  await waitFor(async () => {
    const next = await connect(first.ticket);
    expect(next.reused).toBe(true);
    return next.pid !== first.pid;
  });

  const [response] = await once(
    https.get({ port, host: '127.0.0.1', servername: 'localhost', ca, agent: false }),
    'response',
  );
  expect(await text(response)).toMatch(/^\d+ 1\.1$/);
});
