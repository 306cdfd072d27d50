'use strict';

// Queues with the smallest send buffers that the kernel knows: workers that stopped and went on serve again, and nobody waits for ever.
//   sudo node scripts/soak/small_buffers.js [--policy rr|least|random|sticky] [--rounds 3]
//
// `net.core.wmem_default` belongs to the whole machine: it is small only while the workers start. Exits with 1 when a request fails.

const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const SETTING = '/proc/sys/net/core/wmem_default';
/** The kernel makes no smaller one of it. */
const SMALLEST = '4608';
/** More than three queues with such buffers hold. */
const WAITING = 600;
const LATER = 90;
/** How long (ms) a request may take. */
const PATIENCE = 15_000;

const { values } = parseArgs({
  options: {
    policy: { type: 'string', default: 'rr' },
    rounds: { type: 'string', default: '3' },
  },
});

/** Starts the service while the buffers are small. */
async function start() {
  const usual = fs.readFileSync(SETTING, 'utf8');
  fs.writeFileSync(SETTING, SMALLEST);
  try {
    const env = { ...process.env, WORKERS: '3', NODE_CLUSTER_SCHED_POLICY: values.policy };
    const app = fork(path.join(__dirname, 'kill_app.js'), { env });
    const [{ listening: port, pids }] = await once(app, 'message');
    return { app, port, pids };
  } finally {
    fs.writeFileSync(SETTING, usual);
  }
}

/** @param {number} port @returns {Promise<boolean>} whether it was answered */
function ask(port) {
  return new Promise((resolve) => {
    const request = http.get({ port, host: '127.0.0.1', agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode === 200));
    });
    request.on('error', () => resolve(false));
    request.setTimeout(PATIENCE, () => request.destroy());
  });
}

/** @param {number} port @param {number} count @returns {Promise<number>} how many of so many requests were not answered */
async function failed(port, count) {
  const answers = await Promise.all(Array.from({ length: count }, () => ask(port)));
  return answers.filter((answered) => !answered).length;
}

async function main() {
  const { app, port, pids } = await start();
  let lost = 0;
  try {
    for (let round = 1; round <= Number(values.rounds); round++) {
      for (const pid of pids) process.kill(pid, 'SIGSTOP');
      const waiting = failed(port, WAITING);
      await sleep(1500);
      for (const pid of pids) process.kill(pid, 'SIGCONT');
      const [first, then] = [await waiting, await failed(port, LATER)];
      console.log(`round ${round}: ${first} of ${WAITING} that waited for stopped workers failed, ${then} of ${LATER} later ones`);
      lost += first + then;
    }
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
    app.kill('SIGKILL');
  }
  process.exitCode = lost === 0 ? 0 : 1;
}

main().catch((error) => {
  console.error(error.code === 'EACCES' ? `Only root may change ${SETTING}.` : error.message);
  process.exitCode = 1;
});
