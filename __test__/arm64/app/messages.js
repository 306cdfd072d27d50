'use strict';

// Messages in both serializations, there and back: small ones in their order, a large one, and what only `advanced` has.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const cluster = require('rcluster');

const SMALL = 1000;
const LARGE = 'ä𝄞x'.repeat(100_000);

/** @param {'json' | 'advanced'} serialization */
async function echo(serialization) {
  cluster.setupPrimary({ serialization });
  const worker = cluster.fork();
  await once(worker, 'online');
  const messages = [...Array.from({ length: SMALL }, (_, number) => ({ number, text: `${number} ✓` })), LARGE];
  if (serialization === 'advanced') messages.push(new Map([[1, new Set([2n])]]), new Float64Array([0.5, -0]), new Date(7));
  const back = [];
  const all = new Promise((resolve) => {
    worker.on('message', (message) => {
      if (back.push(message) === messages.length) resolve();
    });
  });
  for (const message of messages) worker.send(message);
  await all;
  assert.deepEqual(back, messages);
  worker.disconnect();
  await once(worker, 'exit');
}

async function primary() {
  await echo('json');
  await echo('advanced');
}

if (cluster.isPrimary) primary();
else process.on('message', (message) => process.send(message));
