'use strict';

// After many connections every process has as many descriptors as before.
//   node scripts/soak/descriptors.js [--connections 100000] [--workers 2]
//
// Prints what each process had before and after; exits with 1 when one has more, or when a request failed.

const { fork, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { readdirSync } = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '100000' },
    workers: { type: 'string', default: '2' },
  },
});

/**
 * @param {number} port
 * @param {string} count
 * @returns {{ complete: number, failed: number }}
 */
function load(port, count) {
  const { stdout } = spawnSync('ab', ['-r', '-q', '-c', '64', '-n', count, `http://127.0.0.1:${port}/`], { encoding: 'utf8' });
  /** @param {RegExp} pattern */
  const number = (pattern) => Number(pattern.exec(stdout)?.[1] ?? 0);
  return { complete: number(/Complete requests:\s+(\d+)/), failed: number(/Failed requests:\s+(\d+)/) };
}

/**
 * How many descriptors the processes have, once that has not changed for a second.
 *
 * @param {number[]} pids
 */
async function settled(pids) {
  let last = '';
  for (let same = 0; same < 10; ) {
    await sleep(100);
    const now = pids.map((pid) => readdirSync(`/proc/${pid}/fd`).length).join();
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return last.split(',').map(Number);
}

async function main() {
  const app = fork(path.join(__dirname, 'kill_app.js'), { env: { ...process.env, WORKERS: values.workers } });
  const [{ listening: port, pids: workers }] = await once(app, 'message');
  const pids = [/** @type {number} */ (app.pid), ...workers];
  // The first ones open what stays open.
  load(port, '1000');
  const before = await settled(pids);
  const began = Date.now();
  const { complete, failed } = load(port, values.connections ?? '');
  const seconds = (Date.now() - began) / 1000;
  const after = await settled(pids);
  console.log(`${complete} connections, ${failed} failed, ${seconds.toFixed(1)} s`);
  pids.forEach((pid, i) => console.log(`${i === 0 ? 'primary' : 'worker '} ${pid}: ${before[i]} descriptors before, ${after[i]} after`));
  app.disconnect();
  await once(app, 'exit');
  const more = after.some((count, i) => count > before[i]);
  process.exitCode = more || failed > 0 || complete !== Number(values.connections) ? 1 : 0;
}

main();
