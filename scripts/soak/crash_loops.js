'use strict';

// Soak: crash loops of 1 to 64 workers with a busy primary. Workers crash before they are online, soon after they listen,
// in a connection; they are disconnected, killed and destroyed at random. At the end of each: who never answers? Every
// worker that listens must get connections, and the primary has as many descriptors as before.
//   node scripts/soak/crash_loops.js [--seconds 20] [--workers 1,2,4,16,64] [--seed 1] [--policy SCHED_RR] [--built-in]
// Prints a line for each number of workers; exits with 1 when somebody is deaf or something is left.

const fs = require('node:fs');
const net = require('node:net');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');
const { generator } = require('./generator.js');

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    workers: { type: 'string', default: '1,2,4,16,64' },
    seed: { type: 'string', default: '1' },
    policy: { type: 'string', default: 'SCHED_RR' },
    'built-in': { type: 'boolean', default: false },
  },
});

const cluster = /** @type {any} */ (values['built-in'] ? require('node:cluster') : require('../../index.js'));
cluster.schedulingPolicy = cluster[values.policy];
const random = generator(Number(values.seed));

/** What a worker does that does not live long. */
const ROLES = ['before-online', 'before-listen', 'while-asking', 'while-asking', 'after-listen', 'in-connection', 'leaves', 'stays'];
/** So many questions for each worker, at most, until each has answered. */
const QUESTIONS = 200;
const ALLOWED_DESCRIPTORS = 4;

const open = () => fs.readdirSync('/proc/self/fd').length;
/** @param {number} time ms */
const block = (time) => {
  for (const end = performance.now() + time; performance.now() < end;);
};

/** @param {number} port @returns {Promise<string>} Who has answered. */
function ask(port) {
  return new Promise((resolve) => {
    let text = '';
    const socket = net.connect(port, '127.0.0.1');
    socket.setTimeout(5000, () => socket.destroy());
    socket.on('data', (data) => (text += data)).on('error', () => {}).on('close', () => resolve(text));
  });
}

/** @param {number} port */
function isFree(port) {
  return new Promise((resolve) => {
    const server = net.createServer().once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

async function freePort() {
  for (;;) {
    const port = 10_000 + random.integer(20_000);
    if (await isFree(port)) return port;
  }
}

/** @param {number} count */
async function crashLoop(count) {
  const port = await freePort();
  const before = open();
  const figures = { workers: count, forked: 0, exits: 0, answered: 0, unanswered: 0, deaf: 0, stuck: 0, left: 0 };
  let crashing = true;
  /** @param {string} role */
  const fork = (role) => {
    figures.forked++;
    const worker = cluster.fork({ ROLE: role, PORT: `${port}`, LIFE: `${random.integer(60)}` });
    worker.on('error', () => {});
    worker.once('exit', () => {
      figures.exits++;
      if (crashing) fork(random.one(ROLES));
    });
  };
  for (let i = 0; i < count; i++) fork(random.one(ROLES));
  const end = performance.now() + Number(values.seconds) * 1000;
  while (performance.now() < end) {
    const worker = random.one(Object.values(cluster.workers));
    const act = random.integer(100);
    if (act === 0) worker?.disconnect();
    if (act === 1) worker?.process.kill('SIGKILL');
    if (act === 2) worker?.destroy();
    if (act < 50) void ask(port).then((answer) => (answer ? figures.answered++ : figures.unanswered++));
    if (act > 85) block(random.integer(40));
    await sleep(random.integer(10));
  }
  crashing = false;
  // What lives on keeps its place; the rest is filled with workers that live.
  for (const worker of /** @type {any[]} */ (Object.values(cluster.workers))) worker.process.kill('SIGKILL');
  while (Object.keys(cluster.workers).length > 0) await sleep(10);
  // Half of them come while others die.
  for (let i = 0; i < count; i++) {
    fork('stays-for-good');
    fork('after-listen');
    block(random.integer(20));
  }
  const good = () => /** @type {any[]} */ (Object.values(cluster.workers)).filter(({ isGood }) => isGood);
  for (let i = 0; i < 1000 && (good().length < count || Object.keys(cluster.workers).length > count); i++) {
    await sleep(30);
  }
  figures.stuck = Object.keys(cluster.workers).length - good().length;
  const silent = new Set(good().map(({ id }) => `${id}`));
  for (let i = 0; i < QUESTIONS * count && silent.size > 0; i++) silent.delete(await ask(port));
  figures.deaf = silent.size;
  const all = Object.values(cluster.workers);
  for (const worker of /** @type {any[]} */ (all)) worker.process.kill('SIGKILL');
  while (Object.keys(cluster.workers).length > 0) await sleep(10);
  for (let i = 0; i < 600 && !(await isFree(port)); i++) await sleep(10);
  await sleep(100);
  figures.left = open() - before;
  return figures;
}

async function primary() {
  // What those say that listen and live.
  cluster.on('message', (/** @type {any} */ worker, /** @type {string} */ message) => {
    if (message === 'good') worker.isGood = true;
    // It dies while we are busy: its death is seen before what it has asked for.
    else block(20 + random.integer(60));
  });
  let failed = false;
  await crashLoop(1); // What is opened once.
  for (const count of values.workers.split(',').map(Number)) {
    const figures = await crashLoop(count);
    process.stdout.write(`${JSON.stringify(figures)}\n`);
    failed ||= figures.deaf > 0 || figures.stuck > 0 || figures.left > ALLOWED_DESCRIPTORS;
  }
  process.exit(failed ? 1 : 0);
}

function work() {
  const { LIFE, PORT, ROLE } = process.env;
  if (ROLE === 'before-listen') process.exit(1);
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    if (ROLE === 'in-connection') process.kill(process.pid, 'SIGKILL');
    socket.end(`${cluster.worker.id}`);
  });
  server.on('error', () => process.exit(2));
  if (ROLE === 'while-asking') {
    process.send?.('about to ask');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(LIFE) % 6);
  }
  server.listen(Number(PORT), '127.0.0.1', () => {
    if (ROLE === 'after-listen') setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(LIFE) % 5);
    if (ROLE === 'leaves') setTimeout(() => cluster.worker.disconnect(), Number(LIFE));
    if (ROLE === 'stays-for-good') process.send?.('good');
    else setTimeout(() => process.exit(3), 10 * Number(LIFE)).unref();
  });
  if (ROLE === 'before-online') process.kill(process.pid, 'SIGKILL');
}

if (cluster.isPrimary) void primary();
else work();
