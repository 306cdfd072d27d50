'use strict';

// Kills the manager's daemon at random moments while verbs run, and looks whether anything else has noticed:
//   node scripts/soak/daemon_kills.js [kills]
// Programs go on with the same processes, a cluster answers each request, each line of a log is there once, and what a verb has said to be
// done is done.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { Manager } = require('../../manager/client.js');

const COMMAND = path.join(__dirname, '..', '..', 'bin', 'rcluster.js');
/** At most so long (ms) after the last one a daemon is killed. */
const LONGEST = 400;
const KILLS = 50;

const FILES = Object.freeze({
  'ticker.js': `let count = 0; setInterval(() => console.log('tick', count++), 5);`,
  'sleep.js': 'setInterval(() => {}, 1e6);',
  'web.js': `require('http').createServer((q, s) => s.end('ok')).listen(0, '127.0.0.1', function () { console.log('port', this.address().port); });`,
});

/** @typedef {{ kills: number, verbs: number, failed: number, requests: number, lost: number, lines: number, linesLost: number, wrong: string[], time: number }} Figures */

class Soak {
  /** @type {Figures} */
  figures = { kills: 0, verbs: 0, failed: 0, requests: 0, lost: 0, lines: 0, linesLost: 0, wrong: [], time: 0 };
  /** Apps that verbs have made, and what is known of them: `true` is there, `false` is not, `undefined` nobody knows. @type {Map<string, boolean | undefined>} */
  #made = new Map();
  /** How many verbs are about each app at the moment. @type {Map<string, number>} */
  #busy = new Map();
  /** The apps that two have been about at the same time, until none is. @type {Set<string>} */
  #shared = new Set();
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-'));
  #home = path.join(this.#folder, 'home');
  #manager = new Manager({ home: this.#home });
  #on = true;
  #last = 0;

  /** @param {...string} words @returns {Promise<boolean>} Whether the verb has said that it is done. */
  #verb(...words) {
    return new Promise((resolve) => {
      const env = { ...process.env, RCLUSTER_HOME: this.#home };
      const child = spawn(process.execPath, [COMMAND, ...words], { cwd: this.#folder, env, stdio: 'ignore' });
      child.on('exit', (code) => {
        this.figures.verbs++;
        if (code !== 0) this.figures.failed++;
        resolve(code === 0);
      });
    });
  }

  /**
   * A verb about an app. Where two are about the same one at a time, nobody knows which of them was last.
   *
   * @param {string} name
   * @param {boolean} isThere Whether there is such an app when it is done.
   * @param {...string} words
   */
  async #about(name, isThere, ...words) {
    const others = this.#busy.get(name) ?? 0;
    if (others > 0) this.#shared.add(name);
    this.#busy.set(name, others + 1);
    this.#made.set(name, undefined);
    const isDone = await this.#verb(...words);
    const left = /** @type {number} */ (this.#busy.get(name)) - 1;
    this.#busy.set(name, left);
    if (isDone && !this.#shared.has(name)) this.#made.set(name, isThere);
    if (left === 0) this.#shared.delete(name);
  }

  async #verbs() {
    while (this.#on) {
      const names = [...this.#made].filter(([, isThere]) => isThere !== false).map(([name]) => name);
      const name = names[Math.floor(Math.random() * names.length)];
      const dice = Math.random();
      if (dice < 0.4 || !name) {
        const fresh = `made-${this.#last++}`;
        await this.#about(fresh, true, 'start', 'sleep.js', '-n', fresh);
      } else if (dice < 0.7) {
        await this.#about(name, false, 'delete', name);
      } else {
        await this.#verb(['list', 'save', 'jlist'][Math.floor(Math.random() * 3)]);
      }
    }
  }

  /** @param {number} port */
  async #requests(port) {
    while (this.#on) {
      this.figures.requests++;
      await new Promise((resolve) => {
        const asked = http.get({ port, host: '127.0.0.1', agent: false }, (answer) => answer.resume().on('end', resolve));
        asked.on('error', () => {
          this.figures.lost++;
          resolve(undefined);
        });
      });
      await sleep(2);
    }
  }

  #daemon() {
    const pid = Number(fs.readFileSync(path.join(this.#home, 'daemon.pid'), 'utf8'));
    // It may have been killed already, and its number be somebody else's.
    const text = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return text.includes('daemon') && text.includes(this.#home) ? pid : undefined;
  }

  /** @param {number} count */
  async #kills(count) {
    while (this.figures.kills < count) {
      await sleep(Math.random() * LONGEST);
      try {
        const pid = this.#daemon();
        if (pid === undefined) continue;
        process.kill(pid, 'SIGKILL');
        this.figures.kills++;
      } catch {
        // None runs at the moment.
      }
    }
  }

  async #shape() {
    await this.#manager.ensureDaemon();
    const list = await this.#manager.list();
    const steady = list.filter(({ name }) => ['ticker', 'sleep', 'web'].includes(name));
    return {
      names: list.map(({ name }) => name),
      steady: JSON.stringify(steady.map(({ name, keeper, processes }) => [name, keeper, processes.map(({ pid, restarts }) => [pid, restarts])])),
    };
  }

  #log(/** @type {string} */ name) {
    return fs.readFileSync(path.join(this.#home, 'logs', name), 'utf8');
  }

  /** @param {number} count */
  async run(count) {
    const began = performance.now();
    for (const [name, text] of Object.entries(FILES)) fs.writeFileSync(path.join(this.#folder, name), text);
    try {
      fs.writeFileSync(path.join(this.#folder, 'apps.config.js'), `module.exports = { apps: [{ script: 'ticker.js' }, { script: 'sleep.js', instances: 2, exec_mode: 'fork' }, { script: 'web.js', exec_mode: 'cluster', instances: 2 }] };`);
      if (!await this.#verb('start', 'apps.config.js')) throw new Error('the apps could not be started');
      const before = await this.#shape();
      const port = await this.#port();
      const all = [this.#requests(port), this.#verbs(), this.#verbs()];
      await this.#kills(count);
      this.#on = false;
      await Promise.all(all);
      await this.#look(before.steady);
    } finally {
      this.#on = false;
      await this.#manager.ensureDaemon();
      await this.#manager.kill();
      this.#manager.close();
      fs.rmSync(this.#folder, { recursive: true });
    }
    this.figures.time = Math.round(performance.now() - began);
    return this.figures;
  }

  async #port() {
    for (;;) {
      // One that was not ready in time was started anew.
      const found = [...this.#log('web-out-0.log').matchAll(/port (\d+)/g)].at(-1);
      if (found) return Number(found[1]);
      await sleep(10);
    }
  }

  /** @param {string} before */
  async #look(before) {
    const { wrong } = this.figures;
    const { names, steady } = await this.#shape();
    if (steady !== before) wrong.push(`before: ${before}, after: ${steady}`);
    for (const [name, isThere] of this.#made) {
      if (isThere !== undefined && names.includes(name) !== isThere) wrong.push(`${name} is ${isThere ? 'missing' : 'there'}`);
    }
    for (const name of names) if (!['ticker', 'sleep', 'web'].includes(name) && !this.#made.has(name)) wrong.push(`${name} was deleted, and is there`);
    const ticks = this.#log('ticker-out.log').split('\n').slice(0, -1);
    this.figures.lines = ticks.length;
    this.figures.linesLost = ticks.filter((line, index) => line !== `tick ${index}`).length;
  }
}

/**
 * @param {number} kills
 * @returns {Promise<Figures>}
 */
const soak = (kills) => new Soak().run(kills);

if (require.main === module) {
  const count = process.argv[2] === undefined ? KILLS : Number(process.argv[2]);
  if (!Number.isInteger(count) || count < 1) {
    process.stderr.write(`how often must be a whole number, 1 or more. Received '${process.argv[2]}'\n`);
    process.exit(2);
  }
  soak(count).then((figures) => {
    for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(12)}${Array.isArray(value) ? value.join('; ') || 'nothing' : value}\n`);
    process.exitCode = figures.wrong.length + figures.lost + figures.linesLost > 0 ? 1 : 0;
  });
}

module.exports = { soak };
