'use strict';

// A supervised service under load is reloaded: no request is lost, an idle keep-alive connection stays open, and all workers are new.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');
const cluster = require('rcluster');

/** @param {number} port @param {http.Agent} agent @returns {Promise<string>} */
async function ask(port, agent) {
  const [response] = await once(http.get({ port, host: '127.0.0.1', agent }), 'response');
  let text = '';
  for await (const data of response.setEncoding('utf8')) text += data;
  return text;
}

const pids = () => Object.values(cluster.workers).map((worker) => worker.process.pid);

async function primary() {
  let port = 0;
  cluster.on('listening', (_worker, address) => (port = address.port));
  const supervisor = cluster.supervise({ workers: 2, settleTime: 100, readyTimeout: 60_000, drainTimeout: 60_000 });
  await supervisor.whenReady();
  const before = pids();

  const idle = new http.Agent({ keepAlive: true, maxSockets: 1 });
  await ask(port, idle);
  const [socket] = Object.values(idle.freeSockets).flat();

  let stop = false;
  let answered = 0;
  const load = Array.from({ length: 3 }, async () => {
    const agent = new http.Agent({ keepAlive: false });
    for (; !stop; answered++) assert.match(await ask(port, agent), /^\d+$/);
  });
  const report = await supervisor.reload();
  const seen = answered;
  while (answered < seen + 3) await sleep(10);
  stop = true;
  await Promise.all(load);

  assert.equal(report.workers.length, 2);
  const after = pids();
  assert.equal(after.length, 2);
  assert.ok(after.every((pid) => !before.includes(pid)));
  assert.ok(after.map(String).includes(await ask(port, idle)));
  assert.deepEqual(Object.values(idle.freeSockets).flat().map((one) => one === socket), [true]);
  idle.destroy();
  await supervisor.stop();
}

if (cluster.isPrimary) primary();
else http.createServer({ keepAliveTimeout: 120_000 }, (_request, response) => response.end(String(process.pid))).listen(0, '127.0.0.1');
