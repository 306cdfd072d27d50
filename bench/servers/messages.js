'use strict';

/**
 * One worker that echoes, and a primary that counts, for BENCH_SECONDS each time it is asked to. BENCH_MESSAGES names one
 * of EXERCISES, or `big`, which is done once.
 */

const fs = require('node:fs');
const cluster = require('./choose.js');

const SECONDS = Number(process.env.BENCH_SECONDS ?? 1);
const MEGABYTE = 1 << 20;

/**
 * @typedef {object} Exercise
 * @property {'json' | 'advanced'} serialization
 * @property {number} perRound  messages in one tick; the next round begins when all of them are back
 * @property {() => unknown} message
 */

/** A short message as programs send them. */
const small = () => ({ type: 'task', id: 17, name: 'resize', done: false });

/** @type {Record<string, Exercise>} */
const EXERCISES = {
  echo_1: { serialization: 'json', perRound: 1, message: small },
  echo_10: { serialization: 'json', perRound: 10, message: small },
  echo_100: { serialization: 'json', perRound: 100, message: small },
  advanced_10: { serialization: 'advanced', perRound: 10, message: small },
  json_1mb: { serialization: 'json', perRound: 1, message: () => ({ data: 'x'.repeat(MEGABYTE) }) },
  advanced_1mb: { serialization: 'advanced', perRound: 1, message: () => ({ id: 17, data: Buffer.alloc(MEGABYTE, 7) }) },
  advanced_text_1mb: { serialization: 'advanced', perRound: 1, message: () => ({ data: 'x'.repeat(MEGABYTE) }) },
};

/**
 * Sends rounds of messages for a while.
 * @param {import('node:cluster').Worker} worker
 * @param {Exercise} exercise
 * @returns {Promise<{ messages: number, seconds: number }>} how many came back, and how long that took
 */
function echo(worker, { perRound, message }) {
  const value = /** @type {import('node:child_process').Serializable} */ (message());
  const begin = performance.now();
  let back = 0;
  let messages = 0;
  const round = () => {
    for (let i = 0; i < perRound; i++) worker.send(value);
  };
  return new Promise((resolve) => {
    worker.on('message', function onMessage() {
      if (++back < perRound) return;
      back = 0;
      messages += perRound;
      const seconds = (performance.now() - begin) / 1000;
      if (seconds < SECONDS) return round();
      worker.off('message', onMessage);
      resolve({ messages, seconds });
    });
    round();
  });
}

/**
 * Sends 256 MB once, and prints how long it took until the worker said that it has it, and the peaks of memory.
 * @param {import('node:cluster').Worker} worker
 */
function big(worker) {
  const { print, stop, stopWithTheBenchmark } = require('./primary.js');
  stopWithTheBenchmark();
  // Written to, or the pages would not exist and sending would cost what the kernel takes to make them.
  const payload = Buffer.alloc(256 * MEGABYTE, 7);
  const begin = performance.now();
  worker.send(payload);
  worker.on('message', (length) => {
    const ms = performance.now() - begin;
    if (length !== payload.length) throw new Error(`${length} bytes came instead of ${payload.length}`);
    print({ ms, primary_mb: peak(process.pid), worker_mb: peak(worker.process.pid) });
    stop();
  });
}

/**
 * @param {number | undefined} pid
 * @returns {number} the largest resident size that the process ever had, in MB
 */
function peak(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

function primary() {
  const name = process.env.BENCH_MESSAGES ?? 'echo_1';
  const exercise = EXERCISES[name];
  cluster.setupPrimary({ serialization: exercise?.serialization ?? 'advanced' });
  const worker = cluster.fork();
  worker.once('message', () => {
    if (exercise) require('./primary.js').measureWhenAsked(() => echo(worker, exercise));
    else big(worker);
  });
}

if (cluster.isPrimary) {
  primary();
} else {
  process.on('message', (message) => {
    process.send?.(message instanceof Uint8Array ? message.length : message);
  });
  process.send?.('ready');
}
