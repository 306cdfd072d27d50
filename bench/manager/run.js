'use strict';

/**
 * Measures the process manager beside PM2: `npm run bench -- manager`. bench/README.md says what each figure means.
 */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { buildManager } = require('../../scripts/build-manager.js');
const { build } = require('../lib/build.js');
const { machine, busy } = require('../lib/machine.js');
const figures = require('./figures.js');
const logs = require('./logs.js');
const looking = require('./looking.js');
const { endAllOnSignals, nameOfPm2, pm2, rcluster, withoutPm2 } = require('./managers.js');

const { PROGRAMS } = figures;

/**
 * What is shown of it: how many digits, the goal of rcluster's, and whether what there is meets it.
 *
 * @typedef {object} Row
 * @property {string} text
 * @property {string} key
 * @property {number} [digits]
 * @property {string} [goal]
 * @property {(value: number, of: (name: string, key: string) => number | undefined) => boolean} [met]
 */

/** @type {Row[]} */
const ROWS = [
  { text: `${PROGRAMS} idle programs from one configuration, until all are listed as online, ms`, key: 'start', digits: 0, goal: '≤ 300', met: (value) => value <= 300 },
  { text: `\`list\` with ${PROGRAMS} programs, ms`, key: 'list', digits: 0 },
  { text: '`node -e 0`, ms', key: 'node', digits: 0 },
  { text: '`list` by `node -e 0`', key: 'listRatio', digits: 2, goal: '≤ 1.5', met: (value) => value <= 1.5 },
  { text: 'daemon, empty: resident, MB', key: 'empty', digits: 1, goal: '≤ 8', met: (value) => value <= 8 },
  { text: `daemon with ${PROGRAMS} programs: resident, MB`, key: 'full', digits: 1, goal: '≤ 10', met: (value) => value <= 10 },
  { text: "private memory of all of the manager's processes, MB", key: 'private', digits: 1, goal: '≤ 40', met: (value) => value <= 40 },
  { text: 'of that, each keeper, MB', key: 'keeper', digits: 2, goal: '≤ 0.3', met: (value) => value <= 0.3 },
  { text: 'log lines per second into the file', key: 'lines', digits: 0, goal: `≥ 0.9 × \`${logs.FILE}\``, met: (value, of) => value >= 0.9 * (of(logs.FILE, 'lines') ?? Infinity) },
  { text: 'CPU of the manager per million lines, s', key: 'cpu', digits: 2, goal: '≤ 0.25', met: (value) => value <= 0.25 },
  { text: "keeper's private memory a moment after these lines, MB", key: 'after', digits: 2 },
  { text: 'a killed program running again, ms', key: 'crash', digits: 1, goal: '≤ 5', met: (value) => value <= 5 },
  { text: 'the same program started by `child_process.spawn`, ms', key: 'alone', digits: 1 },
  { text: "idle: wake-ups of the manager's processes per second", key: 'idle', digits: 1, goal: '0', met: (value) => value === 0 },
  { text: `daemon with ${PROGRAMS} clusters of four workers that nobody looks at, % of a processor`, key: 'unseen', digits: 2, goal: '0', met: (value) => value === 0 },
  { text: 'the same daemon with the page open, %', key: 'page', digits: 2, goal: '≤ 2', met: (value) => value <= 2 },
  { text: 'the same daemon with `monit`, %', key: 'monit', digits: 2, goal: '≤ 2', met: (value) => value <= 2 },
  { text: '`monit` itself, % of a processor', key: 'view', digits: 2, goal: '≤ 2', met: (value) => value <= 2 },
  { text: 'the same daemon with a scrape of `/metrics` every five seconds, %', key: 'scraped', digits: 2, goal: '≤ 1', met: (value) => value <= 1 },
  { text: 'a scrape of `/metrics` with these, ms', key: 'scrape', digits: 1, goal: '≤ 20', met: (value) => value <= 20 },
];

/** The raw rounds: by rival, by figure. */
class Rounds {
  /** @type {Record<string, Record<string, number[]>>} */
  all = {};
  /** @type {string[]} */
  failures = [];

  /** @param {string} name @param {() => Promise<Record<string, number | undefined>>} measure */
  async add(name, measure) {
    const of = (this.all[name] ??= {});
    try {
      for (const [key, value] of Object.entries(await measure())) if (value !== undefined) (of[key] ??= []).push(value);
    } catch (error) {
      this.failures.push(`${name}: ${/** @type {Error} */ (error).message}`);
    }
  }

  /** @param {string} name @param {string} key */
  median = (name, key) => (this.all[name]?.[key] ? figures.median(this.all[name][key]) : undefined);

  /** @param {Row} row @param {string} name */
  cell({ key, digits = 0 }, name) {
    const values = this.all[name]?.[key];
    if (!values) return '–';
    const shown = (/** @type {number} */ value) => value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return `${shown(figures.median(values))} (${shown(Math.min(...values))}–${shown(Math.max(...values))})`;
  }

  print() {
    const names = Object.keys(this.all);
    console.log(`\n| median (lowest–highest) | ${names.join(' | ')} | goal | |\n| --- |${' --- |'.repeat(names.length + 2)}`);
    for (const row of ROWS) {
      const value = this.median('rcluster', row.key);
      const verdict = row.met && value !== undefined ? (row.met(value, this.median) ? 'ok' : 'MISS') : '';
      console.log(`| ${row.text} | ${names.map((name) => this.cell(row, name)).join(' | ')} | ${row.goal ?? ''} | ${verdict} |`);
    }
    for (const failure of this.failures) console.log(`\nfailed: ${failure}`);
  }
}

/**
 * @param {() => import('./managers.js').Rival} make
 * @param {(rival: import('./managers.js').Rival, folder: string) => Promise<Record<string, number | undefined>>} measure
 */
async function measureManager(make, measure) {
  const rival = make();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  try {
    return await measure(rival, folder);
  } finally {
    await rival.end();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string[]} args */
async function main([rounds = '5']) {
  if (!/^[1-9]\d?$/.test(rounds)) throw new Error(`the number of rounds must be from 1 to 99. Received '${rounds}'`);
  await buildManager();
  const { begin } = build();
  // Each Node reads these certificates when it starts, for nothing of this: that would make all look alike.
  delete process.env.NODE_EXTRA_CA_CERTS;
  const missing = withoutPm2();
  if (missing) console.log(missing);
  endAllOnSignals();
  const { cores, cpu, kernel, node } = machine();
  console.log(`${cores} cores, ${cpu}, ${kernel}, Node ${node}, ${rounds} alternating rounds`);
  if (busy() > 0.5) console.log(`the machine is busy (load average ${busy().toFixed(1)}): expect figures that scatter`);
  const began = Date.now();
  const all = new Rounds();
  const measure = (/** @type {import('./managers.js').Rival} */ rival, /** @type {string} */ folder) => figures.measure(rival, folder, begin);
  for (let round = 0; round < Number(rounds); round++) {
    await all.add('rcluster', () => measureManager(rcluster, measure));
    if (!missing) await all.add(nameOfPm2(), () => measureManager(pm2, measure));
    await all.add('rcluster', () => measureManager(rcluster, looking.measure));
    await all.add('rcluster', () => logs.measure('manager'));
    if (!missing) await all.add(nameOfPm2(), () => logs.measure('pm2'));
    await all.add(logs.FILE, () => logs.measure('file'));
    process.stderr.write(`round ${round + 1} of ${rounds}: ${Math.round((Date.now() - began) / 1000)} s\n`);
  }
  all.print();
}

module.exports = { main };
