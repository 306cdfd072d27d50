'use strict';

// Soak: workers fork, listen, get servers and sockets sent, disconnect and die at random under load. In the end nothing
// of it is left in the primary: descriptors, memory, workers.
//   node scripts/soak/random.js [--seconds 600] [--workers 6] [--seed 1] [--policy SCHED_RR] [--built-in]
// Prints figures every ten seconds; exits with 1 when something is left.

const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');
const { generator } = require('./generator.js');

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    workers: { type: 'string', default: '6' },
    seed: { type: 'string', default: '1' },
    policy: { type: 'string', default: 'SCHED_RR' },
    'built-in': { type: 'boolean', default: false },
  },
});
const SECONDS = Number(values.seconds);
const MOST_WORKERS = Number(values.workers);
const WARM_UP = Math.min(120, SECONDS / 4);
/** The growth of resident memory that is no leak: the heap and the allocator keep some room. */
const ALLOWED_MEMORY = 24 * 1024 * 1024;
const random = generator(Number(values.seed));

const cluster = /** @type {any} */ (values['built-in'] ? require('node:cluster') : require('../../index.js'));
cluster.setupPrimary({ exec: path.join(__dirname, 'worker.js'), execArgv: [] });
cluster.schedulingPolicy = cluster[values.policy];

const counts = { forked: 0, killed: 0, disconnected: 0, sockets: 0, servers: 0, messages: 0, requests: 0, failed: 0 };
let stopping = false;
/** Where workers listen now. @type {Map<number, any>} port by worker id */
const ports = new Map();

cluster.on('listening', (/** @type {any} */ worker, /** @type {any} */ { port }) => ports.set(worker.id, port));
cluster.on('exit', (/** @type {any} */ worker) => ports.delete(worker.id));
cluster.on('message', () => counts.messages++);

const isUsable = (/** @type {any} */ worker) => worker.isConnected() && !worker.isDead();
/** @returns {any[]} */
const usable = () => Object.values(cluster.workers).filter(isUsable);

/** @type {Record<string, () => void>} */
const actions = {
  fork() {
    if (Object.keys(cluster.workers).length >= MOST_WORKERS) return;
    counts.forked++;
    cluster.fork({ SOAK_SEED: `${random.integer(1e6)}` }).on('error', () => {});
  },
  kill() {
    const worker = random.one(usable());
    if (!worker) return;
    counts.killed++;
    worker.process.kill(random.one(['SIGKILL', 'SIGTERM', 'SIGKILL']));
  },
  disconnect() {
    const worker = random.one(usable());
    if (!worker) return;
    counts.disconnected++;
    worker.disconnect();
    // One that does not get done is ended.
    const timer = setTimeout(() => worker.process.kill('SIGKILL'), 3000);
    worker.once('exit', () => clearTimeout(timer));
  },
  message() {
    random.one(usable())?.send({ echo: 'x'.repeat(random.integer(50_000)) }, () => {});
  },
  sendSocket() {
    const worker = random.one(usable());
    if (!worker) return;
    counts.sockets++;
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      worker.send('socket', socket, (/** @type {Error | null} */ error) => error && socket.destroy());
      server.close();
    });
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (server.address());
      const client = net.connect(port, '127.0.0.1');
      client.setTimeout(3000, () => client.destroy());
      client.on('error', () => {}).resume();
    });
  },
  sendServer() {
    const worker = random.one(usable());
    if (!worker) return;
    counts.servers++;
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      worker.send('server', server, () => server.close());
    });
  },
};
const often = { fork: 4, kill: 1, disconnect: 1, message: 12, sendSocket: 4, sendServer: 2 };
const bag = Object.entries(often).flatMap(([name, times]) => Array(times).fill(name));

async function act() {
  while (!stopping) {
    actions[random.one(bag)]();
    await sleep(random.integer(40));
  }
}

/** Asks one request after the other, of whoever listens. */
async function load() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  while (!stopping) {
    const port = random.one([...ports.values()]);
    if (port === undefined) {
      await sleep(10);
      continue;
    }
    counts.requests++;
    await new Promise((resolve) => {
      const keep = random.integer(2) === 0;
      const request = http.get({ host: '127.0.0.1', port, agent: keep ? agent : false, timeout: 5000 }, (response) => {
        response.on('error', resolve).on('end', resolve).resume();
      });
      request.on('timeout', () => request.destroy(new Error('late')));
      request.on('error', () => {
        counts.failed++;
        resolve(undefined);
      });
    });
  }
  agent.destroy();
}

/** Descriptors by kind, such as `socket`; those of sockets count only as a number. */
function descriptors() {
  const folder = '/proc/self/fd';
  /** @type {Record<string, number>} */
  const kinds = {};
  for (const fd of fs.readdirSync(folder)) {
    try {
      const kind = fs.readlinkSync(path.join(folder, fd)).replace(/:?\[\d+\]$/, '');
      if (kind !== `/proc/${process.pid}/fd`) kinds[kind] = (kinds[kind] ?? 0) + 1;
    } catch {
      // The descriptor of this very look.
    }
  }
  return kinds;
}

const total = (/** @type {Record<string, number>} */ kinds) => Object.values(kinds).reduce((sum, count) => sum + count, 0);

async function settle() {
  stopping = true;
  await sleep(500);
  for (const worker of usable()) worker.disconnect();
  const deadline = Date.now() + 15_000;
  const alive = () => Object.values(cluster.workers).filter((worker) => !worker.isDead());
  while (alive().length > 0 && Date.now() < deadline) await sleep(50);
  for (const worker of alive()) worker.process.kill('SIGKILL');
  await sleep(1500);
  for (let i = 0; i < 5; i++) {
    globalThis.gc?.();
    await sleep(50);
  }
  return { fds: descriptors(), memory: process.memoryUsage(), workers: Object.keys(cluster.workers).length };
}

const mb = (/** @type {number} */ bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MB`;
const line = (/** @type {string} */ text) => console.log(text);

async function round(/** @type {number} */ seconds) {
  stopping = false;
  const said = setInterval(() => {
    const { rss, heapUsed } = process.memoryUsage();
    line(`${JSON.stringify(counts)} workers ${Object.keys(cluster.workers).length}, descriptors ${total(descriptors())}, ` +
      `memory ${mb(rss)}, heap ${mb(heapUsed)}`);
  }, 10_000);
  const running = [act(), load(), load(), load(), load()];
  await sleep(seconds * 1000);
  clearInterval(said);
  const settled = settle();
  await Promise.all(running);
  return settled;
}

async function main() {
  if (!globalThis.gc) {
    require('node:v8').setFlagsFromString('--expose-gc');
    globalThis.gc = require('node:vm').runInNewContext('gc');
  }
  line(`soak: ${SECONDS} s, ${values.policy}, ${cluster.rcluster?.native ? `rcluster ${cluster.rcluster.version}` : 'built-in'}, ` +
    `Node ${process.version}, seed ${values.seed}`);
  // What a first round leaves behind is there for good: threads, caches, compiled code.
  const before = await round(WARM_UP);
  line(`after ${WARM_UP} s of warming up: descriptors ${total(before.fds)}, memory ${mb(before.memory.rss)}`);
  const after = await round(SECONDS - WARM_UP);
  const growth = after.memory.rss - before.memory.rss;
  line(`in the end: ${JSON.stringify(counts)}`);
  line(`descriptors ${total(before.fds)} -> ${total(after.fds)}, memory ${mb(before.memory.rss)} -> ${mb(after.memory.rss)}, ` +
    `heap ${mb(before.memory.heapUsed)} -> ${mb(after.memory.heapUsed)}, workers ${after.workers}`);
  const complaints = [
    after.workers !== 0 && `${after.workers} workers are still in cluster.workers`,
    total(after.fds) > total(before.fds) && `descriptors are left: ${JSON.stringify(before.fds)} -> ${JSON.stringify(after.fds)}`,
    growth > ALLOWED_MEMORY && `memory has grown by ${mb(growth)}`,
    counts.requests === 0 && 'no request was made',
  ].filter(Boolean);
  for (const complaint of complaints) line(`soak: ${complaint}`);
  line(complaints.length === 0 ? 'soak: clean' : 'soak: FAILED');
  process.exitCode = complaints.length === 0 ? 0 : 1;
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
