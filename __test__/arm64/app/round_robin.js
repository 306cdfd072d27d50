'use strict';

// Connections go to two workers in strict turn. One whose loop has just been slow to turn is passed over, and emulated ones are slow
// now and then: out of many series one has to be without that.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const cluster = require('rcluster');

const LENGTH = 10;
const SERIES = 20;

/** @param {number} port @returns {Promise<string>} the worker that took the connection */
async function ask(port) {
  let text = '';
  const socket = net.connect(port, '127.0.0.1').setEncoding('utf8').on('data', (data) => (text += data));
  await once(socket, 'close');
  return text;
}

async function primary() {
  const workers = [cluster.fork(), cluster.fork()];
  const [[{ port }]] = await Promise.all(workers.map((worker) => once(worker, 'listening')));
  const pids = workers.map((worker) => String(worker.process.pid));
  const seen = [];
  for (let strict = false; !strict;) {
    assert.ok(seen.length < SERIES, `never in strict turn:\n${seen.join('\n')}`);
    const order = [];
    while (order.length < LENGTH) order.push(pids.indexOf(await ask(port)));
    seen.push(order.join(' '));
    assert.ok(!order.includes(-1));
    strict = order.every((worker, index) => worker === (order[0] + index) % 2);
  }
  cluster.disconnect();
}

if (cluster.isPrimary) primary();
else net.createServer((socket) => socket.end(String(process.pid))).listen(0, '127.0.0.1');
