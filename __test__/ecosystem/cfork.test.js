'use strict';

const { output, request, serve, waitFor } = require('./helpers/start');

/** @returns what the app has said of an event, each time as `[event, ...]` */
const events = (app, name) =>
  output(app)
    .flatMap((line) => (line.startsWith('["') ? [JSON.parse(line)] : []))
    .filter(([event]) => event === name);

test('cfork: forks anew after a crash and after a disconnect, up to its limit', async () => {
  const { app, port } = await serve('cfork.js');
  const ask = async (path) => JSON.parse((await request(port, { path })).body);

  const first = await Promise.all([ask('/'), ask('/')]);
  expect(first.map(({ index }) => index).sort()).toEqual(['0', '1']);
  for (const { args, fromPrimary } of first) expect([args, fromPrimary]).toEqual([['from', 'cfork'], 'yes']);
  expect(events(app, 'fork').map(([, pid]) => pid).sort()).toEqual(first.map(({ pid }) => pid).sort());

  // A crash: the channel goes first, and the new worker has the place of the old one.
  const crashed = await ask('/throw');
  await waitFor(() => events(app, 'exit').length === 1 && events(app, 'fork').length === 3);
  expect(events(app, 'disconnect')).toEqual([['disconnect', crashed.pid, false, 'disconnected']]);
  expect(events(app, 'exit')).toEqual([['exit', crashed.pid, 1, null, false]]);
  const [, , [, replacement]] = events(app, 'fork');
  await waitFor(async () => (await ask('/')).pid === replacement);

  // The worker itself leaves.
  const left = await ask('/disconnect');
  await waitFor(() => events(app, 'exit').length === 2 && events(app, 'fork').length === 4);
  expect(events(app, 'disconnect')[1]).toEqual(['disconnect', left.pid, false, 'disconnected']);
  expect(events(app, 'exit')[1]).toEqual(['exit', left.pid, 0, null, false]);

  // On purpose: nobody takes their place, and the primary ends.
  const count = events(app, 'fork').length;
  process.kill(app.pid, 'SIGUSR2');
  expect(await app.waitForExit()).toEqual({ code: 0, signal: null });
  expect(events(app, 'exit')).toHaveLength(4);
  expect(events(app, 'exit').slice(2).map(([, , code, signal, asked]) => [code, signal, asked])).toEqual([[0, null, true], [0, null, true]]);
  expect(events(app, 'fork')).toHaveLength(count);
});

test('cfork: workers that die are not forked for ever', async () => {
  const { app, port } = await serve('cfork.js');
  for (let crashes = 1; crashes <= 4; crashes++) {
    await request(port, { path: '/throw' });
    await waitFor(() => events(app, 'exit').length === crashes);
    if (crashes < 4) await waitFor(() => events(app, 'listening').length === 2 + crashes);
  }
  expect(events(app, 'reachReforkLimit')).toEqual([['reachReforkLimit', expect.any(Number)]]);
  expect(events(app, 'fork')).toHaveLength(2 + 3);
});
