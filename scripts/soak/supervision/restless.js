'use strict';

// A supervisor that is never left alone: at random a reload, another count of workers, a worker that is asked to leave in one way
// or the other. Nothing of it may cost a request.
//
// As a primary (with SECONDS in the environment) it does all that, and prints what it has done as JSON; as a module it measures.

const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const SECONDS = 30;

async function main() {
  /** @type {import('../../../index.js').Cluster} */
  const cluster = require('../../../index.js');
  const supervisor = cluster.supervise({
    exec: path.join(__dirname, 'app.js'),
    workers: 3,
    settleTime: 100,
    reloadParallel: 2,
    signals: true,
  });
  /** @type {Record<string, number>} */
  const done = { reloads: 0, scaled: 0, disconnected: 0, 'told to leave': 0, failed: 0 };
  supervisor.on('restart', () => done.failed++);
  supervisor.on('restart-failed', () => done.failed++);
  supervisor.on('reload', ({ error }) => (error ? done.failed++ : done.reloads++));
  await supervisor.whenReady();
  console.log('ready');
  const end = Date.now() + Number(process.env.SECONDS) * 1000;
  while (Date.now() < end) {
    const workers = supervisor.status().workers.filter(({ state }) => state === 'ready');
    const { id, pid } = workers[Math.floor(Math.random() * workers.length)] ?? {};
    const choice = Math.random();
    if (choice < 0.3) {
      void supervisor.reload();
    } else if (choice < 0.5) {
      done.scaled++;
      void supervisor.scale(1 + Math.floor(Math.random() * 4));
    } else if (choice < 0.75 && id !== undefined) {
      done.disconnected++;
      cluster.workers?.[id]?.disconnect();
    } else if (pid !== undefined) {
      done['told to leave']++;
      process.kill(pid, 'SIGTERM');
    }
    await sleep(Math.random() * 600);
  }
  console.log(JSON.stringify(done));
}

/** Load meanwhile. */
async function restless() {
  const { Asking } = require('./load.js');
  const { freePort } = require('../../../__test__/helpers/free_port.js');
  const { Subject } = require('./subjects.js');
  const subject = new Subject(await freePort(), { SECONDS: `${SECONDS}` });
  subject.spawn(process.execPath, [__filename]);
  await subject.line(/^ready$/);
  const asking = [new Asking(subject.port), new Asking(subject.port, { keepAlive: false })];
  // What is printed last.
  const text = await subject.line(/^\{/, 1, (SECONDS + 30) * 1000);
  const results = await Promise.all(asking.map((one) => one.stop()));
  await subject.stop();
  const failed = results.flatMap((one) => one.failed);
  const done = JSON.parse(text);
  const rows = [{
    ...done,
    answered: results.reduce((sum, { answered }) => sum + answered, 0),
    lost: `${failed.length} ${[...new Set(failed)].join(' ')}`.trim(),
    'longest (ms)': Math.round(Math.max(...results.map(({ longest }) => longest))),
    'exit code': subject.child?.exitCode ?? '',
  }];
  return { title: `${SECONDS} s of reloads, scaling and workers that leave, under 16 clients`, rows, ok: failed.length === 0 && done.failed === 0 };
}

if (require.main === module) void main();

module.exports = { restless };
