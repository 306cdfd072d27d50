'use strict';

/**
 * Measures the process manager beside PM2: `npm run bench -- manager`. bench/README.md says what each figure means.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { machine, busy } = require('../lib/machine.js');
const { missing, pm2, rcluster } = require('./managers.js');

/** @typedef {import('./managers.js').Rival} Rival */

const PROGRAMS = 100;
const LISTS = 9;
const CRASHES = 9;
/** How long (ms) it is watched that nothing happens. */
const IDLE = 5000;

/** @param {number[]} list */
const median = (list) => [...list].sort((one, other) => one - other)[Math.floor(list.length / 2)];
const now = () => Number(process.hrtime.bigint()) / 1e6;

/** @param {() => void} act */
function took(act) {
  const began = now();
  act();
  return now() - began;
}

/** @param {number} pid */
function memory(pid) {
  const of = (/** @type {string} */ file, /** @type {RegExp} */ line) => [...fs.readFileSync(`/proc/${pid}/${file}`, 'utf8').matchAll(line)].reduce((sum, [, kb]) => sum + Number(kb), 0) / 1024;
  return { resident: of('status', /^VmRSS:\s+(\d+)/gm), private: of('smaps_rollup', /^Private_\w+:\s+(\d+)/gm) };
}

/** How often processes were woken up so far. @param {number[]} pids */
function wakeUps(pids) {
  return pids.reduce((sum, pid) => sum + Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]), 0);
}

/**
 * @param {Rival} rival
 * @param {string} folder
 * @returns {Promise<Record<string, number>>}
 */
async function measure(rival, folder) {
  /** @type {Record<string, number>} */
  const figures = {};
  rival.run('ping');
  await sleep(500);
  figures['daemon, empty: resident, MB'] = memory(rival.daemon()).resident;

  const apps = Array.from({ length: PROGRAMS }, (_, index) => ({ name: `idle-${index}`, script: '/bin/sleep', args: '1000000', interpreter: 'none' }));
  const config = path.join(folder, 'idle.json');
  fs.writeFileSync(config, JSON.stringify({ apps }));
  const began = now();
  rival.run('start', config);
  while (rival.list().filter(({ status }) => status === 'online').length < PROGRAMS) await sleep(1);
  figures[`${PROGRAMS} idle programs until all are listed as online, ms`] = now() - began;

  figures[`list with ${PROGRAMS} programs, ms`] = median(Array.from({ length: LISTS }, () => took(() => rival.run('list'))));
  figures['node -e 0, ms'] = median(Array.from({ length: LISTS }, () => took(() => spawnSync(process.execPath, ['-e', '0']))));
  figures[`daemon with ${PROGRAMS} programs: resident, MB`] = memory(rival.daemon()).resident;
  figures["private memory of the manager's processes, MB"] = rival.own().reduce((sum, pid) => sum + memory(pid).private, 0);

  await sleep(1000);
  const before = wakeUps(rival.own());
  await sleep(IDLE);
  figures[`idle: wake-ups of its processes in ${IDLE / 1000} s`] = wakeUps(rival.own()) - before;
  rival.run('delete', 'all');

  figures['a crashed program running again, ms'] = await crash(rival, folder);
  return figures;
}

/**
 * A program that writes when it begins is killed. The time from there to the next one's first word.
 *
 * @param {Rival} rival
 * @param {string} folder
 */
async function crash(rival, folder) {
  const said = path.join(folder, `${rival.name}.begun`);
  const script = path.join(folder, 'begin.sh');
  fs.writeFileSync(script, `#!/bin/sh\necho "$$ $(date +%s%N)" >> "${said}"\nexec sleep 1000000\n`, { mode: 0o755 });
  rival.run('start', script, '--name', 'crash');
  const lines = () => (fs.existsSync(said) ? fs.readFileSync(said, 'utf8').trim().split('\n') : []);
  const times = [];
  for (let count = 1; count <= CRASHES; count++) {
    while (lines().length < count) await sleep(1);
    // One that ends within a second has ended too soon.
    await sleep(1200);
    const [pid] = lines()[count - 1].split(' ');
    const at = BigInt(Date.now()) * 1_000_000n;
    process.kill(Number(pid), 'SIGKILL');
    while (lines().length <= count) await sleep(1);
    times.push(Number(BigInt(lines()[count].split(' ')[1]) - at) / 1e6);
  }
  return median(times);
}

/** @param {string[]} args */
async function main([rounds = '3']) {
  const reason = missing();
  if (reason) throw new Error(reason);
  const { cores, cpu, kernel, node } = machine();
  console.log(`${cores} cores, ${cpu}, ${kernel}, Node ${node}, ${rounds} rounds`);
  if (busy() > 0.5) console.log(`the machine is busy (load average ${busy().toFixed(1)}): expect figures that scatter`);
  /** @type {Record<string, Record<string, number[]>>} */
  const all = {};
  for (let round = 0; round < Number(rounds); round++) {
    for (const make of [rcluster, pm2]) {
      const rival = make();
      if (typeof rival === 'string') {
        if (round === 0) console.log(rival);
        continue;
      }
      const folder = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'bench-'));
      try {
        for (const [figure, value] of Object.entries(await measure(rival, folder))) ((all[figure] ??= {})[rival.name] ??= []).push(value);
      } finally {
        rival.end();
        fs.rmSync(folder, { recursive: true, force: true });
      }
    }
  }
  const names = [...new Set(Object.values(all).flatMap((figures) => Object.keys(figures)))];
  console.log(`\n| | ${names.join(' | ')} |\n| --- |${' --- |'.repeat(names.length)}`);
  for (const [figure, values] of Object.entries(all)) console.log(`| ${figure} | ${names.map((name) => (values[name] ? median(values[name]).toFixed(1) : '–')).join(' | ')} |`);
}

module.exports = { main };
