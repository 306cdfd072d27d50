'use strict';

// Express, Fastify and Koa, each on two workers.

const { lookup } = require('node:dns/promises');
const { once } = require('node:events');
const http = require('node:http');
const { text } = require('node:stream/consumers');
const { childrenOf, request, serve, waitFor, waitForDeath } = require('./helpers/start');

const env = { HOST: '127.0.0.1' };
const json = async (...args) => JSON.parse((await request(...args)).body);

/** Asks, and waits for the beginning of the answer only. */
async function begin(port, url) {
  const [response] = await once(http.get({ host: '127.0.0.1', port, path: url, agent: false }), 'response');
  return response;
}

describe.each(['express', 'fastify', 'koa'])('%s', (name) => {
  test('requests go to both workers in turn; bodies, streams and errors are right', async () => {
    const { app, port } = await serve(`${name}.js`, { env });
    const workers = childrenOf(app.pid);
    const pids = [];
    for (let i = 0; i < 10; i++) {
      const { pid, ip } = await json(port);
      expect(ip).toBe('127.0.0.1');
      pids.push(pid);
    }
    // In turn, but for a worker that is busy (compiling, say) just then.
    await waitFor(async () => pids.push((await json(port)).pid) && new Set(pids).size === 2);
    expect(new Set(pids)).toEqual(new Set(workers));

    const body = { text: 'ä'.repeat(500_000) };
    const headers = { 'content-type': 'application/json' };
    const echoed = await json(port, { path: '/echo', method: 'POST', headers, body: JSON.stringify(body) });
    expect(echoed).toEqual(body);
    expect((await request(port, { path: '/stream' })).body).toBe('abc');
    const failed = await request(port, { path: '/fails' });
    expect(failed.status).toBe(500);
    expect(JSON.parse(failed.body)).toEqual({ error: 'on purpose' });
  });

  test('a kept connection stays with its worker, and disconnect() waits for what is being answered', async () => {
    const { app, port } = await serve(`${name}.js`, { env });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const { pid } = await json(port, { agent });
    for (let i = 0; i < 5; i++) expect((await json(port, { agent })).pid).toBe(pid);
    agent.destroy();

    const workers = childrenOf(app.pid);
    const slow = await Promise.all([1, 2, 3, 4].map(() => begin(port, '/slow')));
    expect(await app.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    const served = await Promise.all(slow.map(async (response) => JSON.parse(await text(response)).pid));
    expect(served).toHaveLength(4);
    expect(workers).toEqual(expect.arrayContaining(served));
    await waitForDeath(workers);
    expect(app.stderr).toEqual([]);
  });
});

test('fastify listens on every address of localhost', async () => {
  const addresses = await lookup('localhost', { all: true });
  const servers = String(2 * new Set(addresses.map(({ address }) => address)).size);
  const { app, port } = await serve('fastify.js', { env: { SERVERS: servers } });
  const workers = childrenOf(app.pid);
  for (const { address } of addresses) {
    const pids = [];
    await waitFor(async () => pids.push((await json(port, { host: address })).pid) && new Set(pids).size === 2);
    expect(new Set(pids)).toEqual(new Set(workers));
  }
});
