'use strict';

const { once } = require('node:events');
const { io } = require('socket.io-client');
const { childrenOf, serve, waitFor } = require('./helpers/start');

/** @type {import('socket.io-client').Socket[]} */
const clients = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.disconnect();
});

/**
 * Connects and waits for the name of the worker that has the session. About one session in 100 fails at its second
 * request, with the built-in as well: the worker answers the first one before it tells the primary whose the session is.
 * Clients try again, as they do by default.
 */
async function connect(port, transports) {
  const client = io(`http://127.0.0.1:${port}`, { transports, forceNew: true, reconnectionDelay: 20 });
  clients.push(client);
  const heard = [];
  for (const event of ['shouted', 'whispered']) client.on(event, (text) => heard.push([event, text]));
  let [pid] = await once(client, 'welcome');
  while (transports.length === 2 && !(await isUpgraded(client.io.engine))) {
    client.disconnect().connect();
    [pid] = await once(client, 'welcome');
  }
  return { client, heard, pid, ask: (...args) => client.timeout(10_000).emitWithAck(...args) };
}

/** Whether a session that began with long polling becomes a WebSocket. It goes on without, and tells nobody, when that fails. */
async function isUpgraded(engine) {
  const upgraded = () => engine.transport.name === 'websocket';
  return waitFor(upgraded, { timeout: 3000 }).catch(() => false);
}

test.each([
  ['long polling', ['polling']],
  ['long polling that becomes a WebSocket', ['polling', 'websocket']],
  ['WebSocket', ['websocket']],
])('socket.io over %s: a session stays with its worker, a broadcast reaches all', async (_, transports) => {
  const { app, port } = await serve('socket_io.js');
  const workers = childrenOf(app.pid);
  const [a, b] = await Promise.all([1, 2].map(() => connect(port, transports)));
  // Tries that failed took their turns: somebody is on the other worker in the end.
  const c = await waitFor(async () => {
    const client = await connect(port, transports);
    return new Set([a.pid, b.pid, client.pid]).size === 2 ? client : client.client.disconnect() && null;
  });
  expect(new Set([a.pid, b.pid, c.pid])).toEqual(new Set(workers));
  for (const { ask, pid } of [a, b, c]) {
    for (let i = 0; i < 5; i++) expect(await ask('whoServes')).toBe(pid);
    const bytes = Buffer.alloc(100_000, pid);
    expect(Buffer.compare(Buffer.from(await ask('echo', bytes)), bytes)).toBe(0);
  }

  a.client.emit('shout', 'hello');
  await waitFor(() => [a, b, c].every(({ heard }) => heard.length === 1));
  for (const { heard } of [a, b, c]) expect(heard).toEqual([['shouted', 'hello']]);

  // To a room whose members are on both workers, and to nobody else.
  await Promise.all([a.ask('join', 'room'), b.ask('join', 'room')]);
  c.client.emit('whisper', 'room', 'psst');
  await waitFor(() => a.heard.length === 2 && b.heard.length === 2);
  expect(c.heard).toHaveLength(1);

  // Questions from one worker to the other, and their answers.
  const ids = [a, b, c].map(({ client }) => client.id);
  expect(new Set(await a.ask('everyone'))).toEqual(new Set(ids));
  const [other] = workers.filter((pid) => pid !== a.pid);
  expect(await a.ask('askWorkers')).toEqual([other]);
});
