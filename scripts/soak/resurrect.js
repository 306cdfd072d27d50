'use strict';

// A machine that is started again and again: everything of the manager is killed by SIGKILL, and what was saved comes back as it was.
//   node scripts/soak/resurrect.js [rounds]
// Names, numbers, instances and states are the same after each round. In turn `kill` ends everything, a signal does, and a signal ends the daemon and
// the keepers while the list of apps is gone, as after a disk was replaced.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { isDeepStrictEqual } = require('node:util');

const { Manager } = require('../../manager/client.js');

const COMMAND = path.join(__dirname, '..', '..', 'bin', 'rcluster.js');
const ROUNDS = 24;
/** The longest (ms) that anything may take. */
const PATIENCE = 60_000;

const APPS = `module.exports = { apps: [
  { name: 'one', script: 'sleep.js' },
  { name: 'three', script: 'sleep.js', instances: 3, exec_mode: 'fork', namespace: 'other' },
  { name: 'web', script: 'web.js', instances: 2, exec_mode: 'cluster' },
  { name: 'given', script: 'sleep.js', sockets: ['tcp:127.0.0.1:0'] },
  { name: 'stopped', script: 'sleep.js' },
  { name: 'listed', script: 'sleep.js', autostart: false },
  { name: 'a name with "signs" / and ü', script: 'sh', interpreter: 'none', args: ['-c', 'while :; do sleep 1000; done'] },
] };`;

/** @param {string} text @param {() => any} condition */
async function until(text, condition) {
  for (const deadline = Date.now() + PATIENCE; ; await sleep(20)) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${PATIENCE} ms: ${text}`);
  }
}

/** @param {number} pid */
const runs = (pid) => fs.existsSync(`/proc/${pid}`) && !/^\d+ \(.*\) Z/s.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));

/** @param {number} pid */
function killOne(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** @param {number} rounds */
async function soak(rounds) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-'));
  const home = path.join(folder, 'home');
  const manager = new Manager({ home });
  /** @param {...string} words */
  const verb = (...words) => new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [COMMAND, ...words], { cwd: folder, env: { ...process.env, RCLUSTER_HOME: home }, stdio: ['ignore', 'ignore', 'inherit'] });
    child.on('exit', (code) => (code === 0 ? resolve(undefined) : reject(new Error(`rcluster ${words.join(' ')} ended with ${code}`))));
  });
  const shape = async () => (await manager.list()).map(({ name, namespace, mode, instances, ids, processes, workers }) => ({
    name, namespace, mode, instances, ids, states: processes.map(({ state }) => state), workers: workers.map(({ seat, state }) => [seat, state]),
  }));
  /** All processes of the manager and of its apps. */
  const all = async () => {
    const apps = await manager.list();
    const { pid: daemon } = await manager.ping();
    return [daemon, ...apps.flatMap(({ keeper, processes, workers }) => [keeper, ...processes.map(({ pid }) => pid), ...workers.map(({ pid }) => pid)])].filter((pid) => pid !== null);
  };
  try {
    fs.writeFileSync(path.join(folder, 'sleep.js'), 'setInterval(() => {}, 1e6)');
    fs.writeFileSync(path.join(folder, 'web.js'), "require('http').createServer((_, answer) => answer.end()).listen(0, '127.0.0.1')");
    fs.writeFileSync(path.join(folder, 'apps.config.js'), APPS);
    await verb('start', 'apps.config.js');
    await verb('stop', 'stopped');
    await verb('save');
    const before = await shape();
    for (let round = 1; round <= rounds; round++) {
      const pids = await all();
      if (round % 3 === 0) {
        await verb('kill');
      } else {
        for (const pid of pids) killOne(pid);
        // The list as it was written last is there, as after a power cut; or nothing but what was saved.
        if (round % 3 === 1) for (const file of ['state.json', 'state.json.1', 'state.json.2', 'run']) fs.rmSync(path.join(home, file), { recursive: true, force: true });
      }
      manager.close();
      await until('the end of all', () => !pids.some(runs));
      await verb('resurrect');
      const now = await until('the same apps', async () => {
        const apps = await shape();
        return isDeepStrictEqual(apps, before) && apps;
      }).catch(async (error) => {
        throw new Error(`round ${round}: ${error.message}: ${JSON.stringify(await shape())} instead of ${JSON.stringify(before)}`);
      });
      const again = await all();
      if (again.length !== pids.length || again.some((pid) => pids.includes(pid))) throw new Error(`round ${round}: processes ${again} after ${pids}`);
      console.log(`round ${round}: ${now.length} apps, ${again.length} processes`);
    }
  } finally {
    await manager.ensureDaemon();
    await manager.kill();
    manager.close();
    fs.rmSync(folder, { recursive: true });
  }
}

soak(Number(process.argv[2] ?? ROUNDS)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
