'use strict';

// What a primary tells its keeper of that somebody may have to see to.

const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { ROOT } = require('../helpers/run');
const { temporaryFolder } = require('../helpers/service');

/** @type {import('node:child_process').ChildProcess | undefined} */
let child;
afterEach(() => child?.kill('SIGKILL'));

/**
 * What is said after these events of a supervisor.
 *
 * @param {[string, object][]} events
 */
async function saidAfter(events) {
  const file = path.join(temporaryFolder(), 'primary.js');
  fs.writeFileSync(file, `
    const EventEmitter = require('node:events');
    const { serveKeeper } = require(${JSON.stringify(path.join(ROOT, 'lib', 'supervisor', 'managed.js'))});
    const supervisor = Object.assign(new EventEmitter(), { status: () => ({ workers: [{ seat: 0, pid: 11 }, { seat: 2, pid: 12 }] }) });
    serveKeeper(supervisor, new EventEmitter());
    for (const [name, payload] of ${JSON.stringify(events)}) supervisor.emit(name, payload);
    setImmediate(() => process.disconnect());`);
  child = fork(file, { execArgv: [] });
  /** @type {any[]} */
  const said = [];
  child.on('message', (message) => said.push(message));
  await once(child, 'exit');
  return said.filter(({ rcluster }) => rcluster === 'incident').map(({ kind, seat, message }) => [kind, seat, message]);
}

test('each kind, with the seat of a worker that has died', async () => {
  const said = await saidAfter([
    ['restart', { seat: 1, pid: 11, reason: 'ended with code 3' }],
    ['memory', { pid: 12, bytes: 300 << 20, delay: 0 }],
    ['crash-loop', { fatal: false, error: { message: 'they die' } }],
    ['reload', { error: { message: 'the new one failed' } }],
    ['reload', { workers: [] }],
    ['upgraded', { oldPid: 1, newPid: 2, moved: 3, finished: 4, cut: 0 }],
    ['upgraded', { oldPid: 2, newPid: 5, error: { message: 'the new primary failed' } }],
  ]);
  expect(said).toEqual([
    ['crash', 1, 'worker 11 ended with code 3'],
    ['memory', 2, 'worker 12 uses 300 MiB, and is replaced'],
    ['crash-loop', undefined, 'they die'],
    ['reload-failed', undefined, 'the new one failed'],
    ['upgraded', undefined, 'primary 2 has taken the place of 1: 3 connections moved, 4 ended by themselves, 0 were cut'],
    ['reload-failed', undefined, 'the new primary failed'],
  ]);
});

test('a worker that hangs has hung once, and not crashed besides; the one after it may', async () => {
  const hang = ['hang', { pid: 11, time: 5000 }];
  const restart = ['restart', { seat: 0, pid: 11, reason: 'did not turn its event loop for 5000 ms' }];
  const said = await saidAfter(/** @type {any} */ ([hang, hang, restart, restart]));
  expect(said.map(([kind, seat]) => [kind, seat])).toEqual([['hang', 0], ['crash', 0]]);
});
