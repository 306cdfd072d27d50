'use strict';

// The real nginx and HAProxy, both with upstream keep-alive, in front of a cluster of the process manager, while that is reloaded, upgraded, killed and
// stopped:
//   node scripts/soak/never_down.js [--rate 1000] [--reloads 10] [--upgrades 3] [--kills 3] [--policy rr]
//
// So many requests per second come in all, half of them through each proxy, at their times whether others are answered or not. Neither proxy may try again.
// The primary is killed by SIGKILL. The stop has a `--stop-delay`: another cluster takes over meanwhile, of which HAProxy knows by its check of /ready and
// nginx by a reload two seconds after the stop has begun. Prints what was answered, by what was done when it was asked; exits with 1 when there was a 502,
// 503 or 504, or anything else than an answer, but for requests that were under way at the moment of a kill, and no more of these than the primary
// had in its hands then.

const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const { Manager } = require('../../manager/client.js');
const { heldBy } = require('./held_by.js');
const { Load } = require('./never_down/load.js');
const { FRONTS, freePort, haproxy, startFront } = require('./proxies/fronts.js');

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '1000' },
    reloads: { type: 'string', default: '10' },
    upgrades: { type: 'string', default: '3' },
    kills: { type: 'string', default: '3' },
    policy: { type: 'string', default: 'rr' },
  },
});

/** Between two of them (ms). */
const PAUSE = 1000;
/** How long (ms) a stop is delayed; what nginx is told comes so long after its beginning. */
const STOP_DELAY = 5000;
const LAG = 2000;
/** How often (ms) it is looked whether something is so, and how long that may take. */
const LOOK = 20;
const PATIENCE = 30_000;
/** So many of those that failed are shown. */
const SAMPLE = 5;

/** @param {() => Promise<boolean>} isSo @param {string} what */
async function until(isSo, what) {
  for (const deadline = Date.now() + PATIENCE; !(await isSo()); await sleep(LOOK)) if (Date.now() > deadline) throw new Error(`${what}: not within ${PATIENCE / 1000} s`);
}

/** @param {number} health */
const isReady = (health) =>
  /** @type {Promise<boolean>} */ (new Promise((resolve) => {
    const asked = http.get({ host: '127.0.0.1', port: health, path: '/ready', agent: false, timeout: 1000 }, ({ statusCode }) => resolve(statusCode === 200));
    asked.on('timeout', () => asked.destroy()).on('error', () => resolve(false));
  }));

/** A cluster of the manager, in which nginx and HAProxy find it. */
class Service {
  /** @param {Manager} manager @param {string} name @param {number} port @param {number} health */
  constructor(manager, name, port, health) {
    this.manager = manager;
    this.name = name;
    this.port = port;
    this.health = health;
  }

  async start() {
    const clusterArgs = ['--settle-time', '200', '--policy', values.policy, '--health', `127.0.0.1:${this.health}`, '--stop-delay', `${STOP_DELAY}ms`, '--keep-alive-timeout', '75s'];
    const script = path.join(__dirname, 'proxies', 'app.js');
    const env = { PATH: process.env.PATH ?? '', PORT: `${this.port}` };
    await this.manager.start([{ name: this.name, mode: 'cluster', script, cwd: __dirname, instances: 2, env, clusterArgs, outFile: null, errorFile: null }]);
    await until(() => isReady(this.health), `${this.name} is ready`);
  }

  async primary() {
    const apps = /** @type {any[]} */ (await this.manager.list());
    return Number(apps.find(({ name }) => name === this.name)?.processes[0].pid ?? 0);
  }

  /** @returns {Promise<{ when: number, held: number }>} How many connections the primary had in its hands. */
  async kill() {
    const before = await this.primary();
    const held = await heldBy(before, this.port);
    const when = performance.now();
    process.kill(before, 'SIGKILL');
    await until(async () => ![0, before].includes(await this.primary()) && (await isReady(this.health)), `the next primary of ${this.name} serves`).catch(async (error) => {
      throw new Error(`${error.message}: ${JSON.stringify(await this.manager.list())}`);
    });
    return { when, held };
  }
}

/** @param {(string | number)[]} cells */
const row = (cells) => console.log(cells.map((cell, index) => (index < 2 ? String(cell).padEnd(26) : String(cell).padStart(11))).join(''));

/**
 * @param {Load} load
 * @param {{ when: number, held: number }[]} kills
 * @returns {boolean} Whether nothing was lost that need not be.
 */
function print(load, kills) {
  let [atKills, lost] = [0, 0];
  const statuses = ['502', '503', '504'];
  row(['asked during', 'through', 'requests', ...statuses, 'other', 'at a kill', 'again', 'longest, ms']);
  for (const [phase, proxies] of load.tallies) {
    for (const [name, { requests, failed, again, longest }] of proxies) {
      const excused = failed.filter(({ sent, ended }) => kills.some(({ when }) => sent <= when && when <= ended));
      const others = failed.filter(({ why }) => !statuses.includes(why));
      row([phase, name, requests, ...statuses.map((status) => failed.filter(({ why }) => why === status).length), others.length, excused.length, again, Math.round(longest)]);
      for (const { why, sent, ended } of failed.slice(0, SAMPLE)) console.log(`    ${why} after ${Math.round(ended - sent)} ms, ${kills.map(({ when }) => `${Math.round(sent - when)} ms`).join(', ') || 'not'} after a kill`);
      atKills += excused.length;
      lost += failed.length - excused.length;
    }
  }
  const held = kills.map((kill) => kill.held);
  console.log(`connections that the primary had in its hands, accepted and not yet passed on, when it was killed: ${held.join(', ') || 'none'}`);
  return lost === 0 && atKills <= held.reduce((sum, one) => sum + one, 0);
}

/** @param {Manager} manager @param {string} folder */
async function measure(manager, folder) {
  const [first, firstHealth, next, nextHealth] = [await freePort(), await freePort(), await freePort(), await freePort()];
  await manager.ensureDaemon();
  const service = new Service(manager, 'app', first, firstHealth);
  const heir = new Service(manager, 'next', next, nextHealth);
  await service.start();
  const check = 'inter 1s fall 3 rise 1';
  const byCheck = haproxy(() => `option httpchk GET /ready?leaving=404
  http-check disable-on-404
  server app 127.0.0.1:${first} check port ${firstHealth} ${check}
  server next 127.0.0.1:${next} check port ${nextHealth} ${check} backup`);
  const wanted = FRONTS.filter(({ name }) => ['nginx, upstream keep-alive', 'HAProxy'].includes(name)).map((front) => (front.name === 'HAProxy' ? { ...front, command: byCheck } : front));
  /** @type {(Awaited<ReturnType<typeof startFront>> & { name: string })[]} */
  const fronts = [];
  /** @type {{ when: number, held: number }[]} */
  const kills = [];
  try {
    for (const front of wanted) {
      const missing = front.missing();
      if (missing) throw new Error(missing);
      fronts.push({ name: front.name, ...(await startFront(front, folder, first)) });
    }
    const load = new Load(fronts, Number(values.rate));
    await sleep(5 * PAUSE);
    /** @param {string} phase @param {string} count @param {() => Promise<unknown>} act */
    const during = async (phase, count, act) => {
      load.phase = `${count} ${phase}`;
      for (let done = 0; done < Number(count); done++) {
        await act();
        await sleep(PAUSE);
      }
    };
    await during('reloads', values.reloads, () => manager.reload('app'));
    await during('upgrades', values.upgrades, () => manager.upgrade('app'));
    await during('kills of the primary', values.kills, async () => kills.push(await service.kill()));
    load.phase = 'nothing, again';
    await heir.start();
    await sleep(PAUSE);
    await during('stop', '1', async () => {
      const stopped = manager.stop('app');
      await sleep(LAG);
      for (const front of fronts) if (front.name !== 'HAProxy') front.lead(next);
      await stopped;
    });
    await load.stop();
    return print(load, kills);
  } finally {
    for (const front of fronts) await front.stop();
  }
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-never-'));
  const manager = new Manager({ home: path.join(folder, 'home') });
  const end = async () => {
    await manager.kill();
    manager.close();
    fs.rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => end().finally(() => process.exit(1)));
  try {
    process.exitCode = (await measure(manager, folder)) ? 0 : 1;
  } finally {
    await end();
  }
}

void main();
