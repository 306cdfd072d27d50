'use strict';

const { childrenOf, request, serve, waitFor, waitForDeath } = require('./helpers/start');
const { freePort } = require('../helpers/free_port');

const json = async (...args) => JSON.parse((await request(...args)).body);

test('egg-cluster: starts, passes messages, replaces a worker, and ends', async () => {
  const { app, port } = await serve('egg.js', { env: { PORT: String(await freePort()) } });
  await app.waitForLine(/\[master\] least-framework started on/);
  const all = childrenOf(app.pid);
  expect(all).toHaveLength(3);

  const first = await Promise.all([json(port), json(port)]);
  const workers = first.map(({ pid }) => pid);
  const [agent] = all.filter((pid) => !workers.includes(pid));
  await waitFor(async () => (await Promise.all([json(port), json(port)])).every(({ ready }) => ready));

  // A worker asks the agent through the master. The agent knows all who listen.
  const answer = await json(port, { path: '/ask-agent' });
  expect(answer.agent).toBe(agent);
  expect(workers).toContain(answer.askedBy);
  expect(answer.workers.sort()).toEqual(workers.sort());

  const crashed = (await json(port, { path: '/crash' })).pid;
  await app.waitForLine(new RegExp(`app_worker#\\d+:${crashed} died \\(code: \\S+, signal: null, suicide: false, state: dead\\)`));
  await waitFor(async () => {
    const pids = (await Promise.all([json(port), json(port)])).map(({ pid }) => pid);
    return new Set(pids).size === 2 && !pids.includes(crashed);
  });

  const alive = childrenOf(app.pid);
  expect(await app.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  await waitForDeath(alive);
});

test('egg-cluster: in its sticky mode the master passes each connection to the worker of its address', async () => {
  const { port } = await serve('egg.js', { env: { PORT: String(await freePort()), STICKY: 'yes' } });
  const ask = async (localAddress) => (await json(port, { localAddress })).pid;
  const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'];
  const first = await Promise.all(addresses.map(ask));
  expect(new Set(first).size).toBe(2);
  for (let i = 0; i < 3; i++) expect(await Promise.all(addresses.map(ask))).toEqual(first);
});
