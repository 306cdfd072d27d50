'use strict';

const { fork } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { HERE, childrenOf, isAlive, request, waitFor, waitForDeath } = require('./helpers/start');
const { freePort } = require('../helpers/free_port');

const script = path.join(HERE, 'apps', 'pm2_app.js');

/** How long (ms) PM2 waits for an app to be ready, before it goes on as if it were. */
const LONG = 20_000;

/** PM2's home, and with it its daemon, of this test alone. */
let home;
let control;
let calls = 0;

/** Calls a function of PM2's API: `start`, `list`, `reload` … */
async function pm2(call, ...args) {
  const id = ++calls;
  control.send({ id, call, args });
  const reply = await new Promise((resolve, reject) => {
    const onMessage = (message) => {
      if (message.id !== id) return;
      control.off('message', onMessage);
      if (message.error) reject(new Error(`pm2 ${call}: ${message.error}`));
      else resolve(message.result);
    };
    control.on('message', onMessage);
    control.once('exit', () => reject(new Error(`pm2 ${call}: the process that calls it has ended`)));
  });
  return reply;
}

beforeAll(async () => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-pm2-'));
  const env = { ...process.env, PM2_HOME: home, PM2_DISABLE_VERSION_CHECK: '1', NODE_ENV: undefined };
  control = fork(path.join(HERE, 'helpers', 'pm2.js'), { env, cwd: HERE, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  await pm2('connect');
});

afterAll(async () => {
  const daemon = Number(fs.readFileSync(path.join(home, 'pm2.pid'), 'utf8'));
  const apps = childrenOf(daemon);
  const all = [daemon, ...apps, ...apps.flatMap(childrenOf)];
  try {
    await pm2('killDaemon');
    await waitForDeath(all);
  } finally {
    for (const pid of all) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    control.kill();
    fs.rmSync(home, { recursive: true, force: true });
  }
});

const start = async (options) => {
  const port = await freePort();
  await pm2('start', { script, wait_ready: true, listen_timeout: LONG, env: { PORT: String(port) }, ...options });
  const processes = (await pm2('list')).filter(({ name }) => name === options.name);
  const ask = async () => JSON.parse((await request(port)).body);
  return { processes, askAll: () => Promise.all(Array.from({ length: 8 }, ask)) };
};
const unique = (values) => [...new Set(values)].sort((a, b) => a - b);

test('pm2, fork mode: the app is a primary of rcluster', async () => {
  const { processes, askAll } = await start({ name: 'forked', exec_mode: 'fork' });
  expect(processes).toEqual([{ pid: expect.any(Number), name: 'forked', mode: 'fork_mode', status: 'online' }]);
  const [{ pid: primary }] = processes;
  const workers = childrenOf(primary);
  expect(workers).toHaveLength(2);
  const answers = await askAll();
  expect(unique(answers.map(({ pid }) => pid))).toEqual(unique(workers));
  for (const answer of answers) {
    expect(answer).toMatchObject({ parent: primary, isWorker: true, rcluster: { native: true } });
  }

  await pm2('restart', 'forked');
  await waitForDeath([primary, ...workers]);
  const after = await askAll();
  expect(unique(after.map(({ pid }) => pid))).toHaveLength(2);
  expect(workers).not.toEqual(expect.arrayContaining(after.map(({ pid }) => pid)));

  await pm2('stop', 'forked');
  await waitForDeath(unique(after.flatMap(({ pid, parent }) => [pid, parent])));
});

test('pm2, cluster mode: rcluster leaves the built-in module alone and says why', async () => {
  const { processes, askAll } = await start({ name: 'clustered', exec_mode: 'cluster', instances: 2 });
  expect(processes.map(({ mode, status }) => [mode, status])).toEqual(Array(2).fill(['cluster_mode', 'online']));
  const before = await askAll();
  expect(unique(before.map(({ pid }) => pid))).toEqual(unique(processes.map(({ pid }) => pid)));
  for (const { isWorker, rcluster } of before) {
    expect({ isWorker, rcluster }).toEqual({
      isWorker: true,
      rcluster: { native: false, reason: 'this process was forked by another cluster module' },
    });
  }

  await pm2('reload', 'clustered');
  const after = await waitFor(async () => {
    const answers = await askAll();
    return answers.every(({ pid }) => !before.some((old) => old.pid === pid)) && answers;
  });
  expect(unique(after.map(({ pid }) => pid))).toHaveLength(2);
});
