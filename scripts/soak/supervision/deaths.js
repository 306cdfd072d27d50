'use strict';

// Workers that hang, and workers that are killed.

const { setTimeout: sleep } = require('node:timers/promises');

const { Asking, get } = require('./load.js');
const { Rcluster, withSubject } = require('./subjects.js');

const HANG = 2000;
const STORM = { every: 200, seconds: 10 };

/** A worker never lets go of its event loop; others ask meanwhile. */
async function hang() {
  return withSubject(Rcluster, { args: ['--hang-timeout', `${HANG}ms`] }, async (subject) => {
    const before = subject.workers;
    const hung = get(subject.port, false, '/hang').then(() => 'answered', ({ code }) => code);
    // Its loop has to be known to hang: what it has taken before that is its own.
    await sleep(200);
    const asking = new Asking(subject.port, { clients: 16, keepAlive: false });
    const start = performance.now();
    const line = await subject.line(/has not turned its event loop/);
    const found = performance.now() - start + 200;
    const itself = await hung;
    while (subject.workers.length < 2 || subject.workers.every((pid) => before.includes(pid))) await sleep(20);
    const replaced = performance.now() - start + 200;
    await sleep(500);
    const { answered, failed, longest } = await asking.stop();
    const rows = [{
      'hang timeout (ms)': HANG,
      'killed after (ms)': Math.round(found),
      'another forked after (ms)': Math.round(replaced),
      'the request that hung': itself,
      'others answered': answered,
      'others failed': failed.length,
      'longest (ms)': Math.round(longest),
      'it said': line.replace('rcluster: ', ''),
    }];
    return { title: 'one of two workers in while (true), 16 clients without keep-alive', rows, ok: failed.length === 0 && itself === 'ECONNRESET' };
  });
}

/** One SIGKILL of a worker after the other. */
async function storm() {
  return withSubject(Rcluster, {}, async (subject) => {
    const clients = 16;
    const asking = new Asking(subject.port, { clients, keepAlive: false });
    let kills = 0;
    const end = performance.now() + STORM.seconds * 1000;
    while (performance.now() < end) {
      const [victim] = subject.workers.sort(() => Math.random() - 0.5);
      if (victim) {
        process.kill(victim, 'SIGKILL');
        kills++;
      }
      await sleep(STORM.every);
    }
    const over = performance.now();
    while (subject.workers.length < 2) await sleep(20);
    const back = performance.now() - over;
    const { answered, failed, longest } = await asking.stop();
    const delays = subject.lines.flatMap((line) => /another starts in (\d+) ms/.exec(line)?.slice(1).map(Number) ?? []);
    const codes = [...new Set(failed)].join(' ');
    const rows = [{
      'workers killed': kills,
      'both back after (ms)': Math.round(back),
      'delays of restarts (ms)': `${delays[0]} … ${Math.max(...delays)}`,
      answered,
      failed: `${failed.length} ${codes}`,
      'failed per kill': (failed.length / kills).toFixed(2),
      'longest (ms)': Math.round(longest),
    }];
    // Only what a worker had taken may fail: by connections that were made, and no more than there were clients.
    const ok = failed.every((code) => code === 'ECONNRESET') && failed.length <= kills * clients && subject.workers.length === 2;
    return { title: `one SIGKILL of a worker per ${STORM.every} ms for ${STORM.seconds} s, ${clients} clients without keep-alive`, rows, ok };
  });
}

module.exports = { hang, storm };
