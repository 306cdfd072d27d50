'use strict';

// When descriptors run out, connections wait, one warning is given, nobody runs in circles, and all are served in the
// end. And when all is over no process has more than before.

const net = require('node:net');

const { Servers } = require('../lib/worker/servers/servers.js');
const { ask } = require('./fixtures/serving');
const { openDescriptors, waitFor } = require('./helpers/run');
const { reportsOf, runScenario, startScenario } = require('./helpers/scenario');

const LONG = 60_000;

/** The warnings of a scenario, without pids. */
const warningsIn = (stderr) =>
  stderr.filter((line) => line.includes('Warning')).map((line) => /\[(\w+)\] Warning: (.*?) has run out/.exec(line)?.slice(1) ?? line);

/** A worker that can fill its own table of descriptors, to the last or but for some, and empty it again. */
const filling = () => {
  const { openSync, closeSync } = require('node:fs');
  const { spawnSync } = require('node:child_process');
  const held = [];
  process.on('message', ({ fill, limit, free }) => {
    if (fill) {
      spawnSync('prlimit', ['--pid', process.pid, `--nofile=${limit}`]);
      try {
        for (;;) held.push(openSync('/dev/null'));
      } catch {
        process.send('filled');
      }
    }
    // The first ones: the free numbers lie below those in use.
    for (const fd of held.splice(0, free)) closeSync(fd);
    if (free) process.send('freed');
    if (fill === 'and measure') {
      const before = process.cpuUsage();
      setTimeout(() => {
        const { system, user } = process.cpuUsage(before);
        process.send({ share: (system + user) / 500_000 });
      }, 500);
    }
  });
  require('./serving').serve((socket) => setTimeout(() => socket.end(`${process.pid}`), 5));
};

test('in one worker: another one serves', async () => {
  const { primary, stderr } = await runScenario({
    async primary({ cluster, once, report }) {
      const { askMany, forkListening } = require('./serving');
      const { workers: [one, other], port } = await forkListening(cluster, 2);
      one.send({ fill: 'it', limit: 100 });
      await once(one, 'message');
      report((await askMany(port, 60))[other.process.pid]);
      for (const worker of [one, other]) worker.process.kill();
    },
    worker: filling,
  });
  expect(primary).toEqual([60]);
  expect(warningsIn(stderr)).toEqual([['RCLUSTER_DESCRIPTORS', 'this worker']]);
});

test('in the only worker: connections wait until there is room', async () => {
  const { primary, stderr } = await runScenario({
    async primary({ cluster, once, report }) {
      const { askMany, forkListening } = require('./serving');
      const { workers: [one], port } = await forkListening(cluster, 1);
      one.send({ fill: 'and measure', limit: 100 });
      await once(one, 'message');
      const answers = askMany(port, 60);
      const [{ share }] = await once(one, 'message');
      one.send({ free: 1000 });
      report({ share, served: (await answers)[one.process.pid] });
      one.process.kill();
    },
    worker: filling,
  });
  expect(primary).toMatchObject([{ served: 60 }]);
  expect(primary[0].share).toBeLessThan(0.1);
  expect(warningsIn(stderr)).toEqual([['RCLUSTER_DESCRIPTORS', 'this worker']]);
});

test.each([[200, 17, 300], [100, 3, 10]])('of %i only %i free, all low numbers: none of %i connections is lost', async (...args) => {
  const { primary } = await runScenario({
    async primary({ args: [limit, free, connections], cluster, once, report }) {
      const { askMany, forkListening } = require('./serving');
      const { workers: [one], port } = await forkListening(cluster, 1);
      one.send({ fill: 'it', limit, free });
      await once(one, 'message');
      report((await askMany(port, connections))[one.process.pid]);
      one.process.kill();
    },
    worker: filling,
  }, { args, timeout: LONG });
  expect(primary).toEqual([args[2]]);
}, LONG);

test('in the primary: connections wait until there is room', async () => {
  const script = startScenario({
    async primary({ cluster, report }) {
      const { closeSync, openSync } = require('node:fs');
      const { forkListening } = require('./serving');
      const { port } = await forkListening(cluster, 2);
      const held = [];
      try {
        for (;;) held.push(openSync('/dev/null'));
      } catch {
        report(port);
      }
      const before = process.cpuUsage();
      process.once('SIGUSR2', () => {
        const { system, user } = process.cpuUsage(before);
        report(system + user);
        for (const fd of held) closeSync(fd);
      });
    },
    worker: () => require('./serving').serve(),
  }, { descriptors: 100 });
  const port = await waitFor(() => reportsOf(script, 'primary')[0]);
  const began = Date.now();
  const answers = Array.from({ length: 60 }, () => ask(port));
  await script.waitForLine(/Warning: the primary has run out of file descriptors/);
  await waitFor(() => Date.now() - began > 500);
  script.child.kill('SIGUSR2');
  const used = await waitFor(() => reportsOf(script, 'primary')[1]);
  expect(used / (1000 * (Date.now() - began))).toBeLessThan(0.1);
  for (const answer of await Promise.all(answers)) expect(answer).toMatch(/^\d+$/);
  expect(warningsIn(script.stderr)).toEqual([['RCLUSTER_DESCRIPTORS', 'the primary']]);
});

test('with 64 in every process: all are served', async () => {
  const script = startScenario({
    async primary({ cluster, report }) {
      report((await require('./serving').forkListening(cluster, 2)).port);
    },
    worker: () => require('./serving').serve((socket) => setTimeout(() => socket.end(`${process.pid}`), 10)),
  }, { descriptors: 64 });
  const port = await waitFor(() => reportsOf(script, 'primary')[0]);
  const answers = await Promise.all(Array.from({ length: 600 }, () => ask(port)));
  expect(answers.filter((answer) => !/^\d+$/.test(answer))).toEqual([]);
  expect(warningsIn(script.stderr).length).toBeLessThanOrEqual(3);
}, LONG);

test('20,000 connections leave no descriptor', async () => {
  const script = startScenario({
    async primary({ cluster, report }) {
      const { workers, port } = await require('./serving').forkListening(cluster, 2);
      report({ pids: [process.pid, ...workers.map((worker) => worker.process.pid)], port });
    },
    worker: () => require('./serving').serve(),
  });
  const { pids, port } = await waitFor(() => reportsOf(script, 'primary')[0]);
  const many = (count) => Promise.all(Array.from({ length: 50 }, async () => {
    for (let i = 0; i < count / 50; i++) expect(await ask(port)).toMatch(/^\d+$/);
  }));
  // The first ones open what stays open.
  await many(100);
  const before = await stable(pids);
  await many(20_000);
  expect(await stable(pids)).toEqual(before);
}, 2 * LONG);

test('a worker without descriptors goes on as soon as enough connections have ended', () => {
  jest.useFakeTimers();
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  try {
    const resume = jest.fn(() => true);
    let onConnection;
    const openQueue = (callback) => {
      onConnection = callback;
      return { counts: new Float64Array(2), resume, setRef() {} };
    };
    const servers = new Servers(openQueue, () => {}, () => true);
    const server = net.createServer();
    servers.accept(server, { key: 'key', listener: 1, sockname: null, backlog: 1 }, -1, { leave() {} }, () => {});
    const setConnections = (count) => {
      server._connections = count;
      server._emitCloseIfDrained();
    };
    setConnections(40);
    onConnection(-1, 1);
    setConnections(25);
    expect(resume).toHaveBeenCalledTimes(0);
    setConnections(24);
    expect(resume).toHaveBeenCalledTimes(1);
    setConnections(1);
    expect(resume).toHaveBeenCalledTimes(1);
    expect(jest.getTimerCount()).toBe(0);
  } finally {
    warn.mockRestore();
    jest.useRealTimers();
  }
});

/** How many descriptors the processes have, once that changes no more. */
async function stable(pids) {
  const count = () => pids.map((pid) => openDescriptors(pid).length);
  let last = count();
  let same = 0;
  await waitFor(() => {
    const now = count();
    same = String(now) === String(last) ? same + 1 : 0;
    last = now;
    return same === 20;
  });
  return last;
}
