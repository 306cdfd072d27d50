'use strict';

// One round of one process manager: bench/README.md says what each figure means.

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');

/** @typedef {import('./managers.js').Rival} Rival */

const PROGRAMS = 100;
const LISTS = 7;
const CRASHES = 5;
/** How long (ms) it is watched that nothing happens. */
const IDLE = 4000;
/** One that ends within a second has ended too soon (ms). */
const STEADY = 1100;

/** @param {number[]} list */
const median = (list) => [...list].sort((one, other) => one - other)[Math.floor(list.length / 2)];

/** @param {() => void} act */
function took(act) {
  const began = performance.now();
  act();
  return performance.now() - began;
}

/** Of a process, in MB. @param {number} pid */
function memory(pid) {
  const of = (/** @type {string} */ file, /** @type {RegExp} */ line) => [...fs.readFileSync(`/proc/${pid}/${file}`, 'utf8').matchAll(line)].reduce((sum, [, kb]) => sum + Number(kb), 0) / 1024;
  return { resident: of('status', /^VmRSS:\s+(\d+)/gm), private: of('smaps_rollup', /^Private_\w+:\s+(\d+)/gm) };
}

/** How often processes were woken up so far, all threads. @param {number[]} pids */
function wakeUps(pids) {
  const of = (/** @type {string} */ status) => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(fs.readFileSync(status, 'utf8'))?.[1]);
  return pids.flatMap((pid) => fs.readdirSync(`/proc/${pid}/task`).map((task) => of(`/proc/${pid}/task/${task}/status`))).reduce((sum, count) => sum + count, 0);
}

/**
 * @param {Rival} rival
 * @param {string} folder
 * @param {string} program One that says when it begins (`bench/load/src/bin/begin.rs`).
 * @returns {Promise<Record<string, number>>}
 */
async function measure(rival, folder, program) {
  rival.run('ping');
  await sleep(500);
  const empty = memory(rival.daemon()).resident;

  const apps = Array.from({ length: PROGRAMS }, (_, index) => ({ name: `idle-${index}`, script: '/bin/sleep', args: '1000000', interpreter: 'none' }));
  const config = path.join(folder, 'idle.json');
  fs.writeFileSync(config, JSON.stringify({ apps }));
  const began = performance.now();
  rival.run('start', config);
  while (rival.list().filter(({ status }) => status === 'online').length < PROGRAMS) await sleep(1);
  const started = performance.now() - began;

  /** @type {number[]} */
  const lists = [];
  /** @type {number[]} */
  const nodes = [];
  for (let count = 0; count < LISTS; count++) {
    lists.push(took(() => rival.run('list')));
    nodes.push(took(() => spawnSync(process.execPath, ['-e', '0'])));
  }
  const own = rival.own();
  const [daemon, ...keepers] = own.map(memory);
  const sum = (/** @type {{ private: number }[]} */ list) => list.reduce((all, one) => all + one.private, 0);

  await sleep(1000);
  const before = wakeUps(own);
  await sleep(IDLE);
  const idle = wakeUps(own) - before;
  rival.run('delete', 'all');
  const crashes = await crash(rival, folder, program);
  return {
    start: started,
    list: median(lists),
    node: median(nodes),
    listRatio: median(lists) / median(nodes),
    empty,
    full: daemon.resident,
    private: sum([daemon, ...keepers]),
    ...(keepers.length > 0 && { keeper: sum(keepers) / keepers.length }),
    idle: idle / (IDLE / 1000),
    ...crashes,
  };
}

/**
 * A program that says when it began is killed: how long from there to the beginning of the next one. Both are read from the same clock, so that what we
 * take to hear of it is no part of it. Beside it, how long Node takes to start the same program.
 *
 * @param {Rival} rival
 * @param {string} folder
 * @param {string} program
 */
async function crash(rival, folder, program) {
  const fifo = path.join(folder, 'begun');
  spawnSync('mkfifo', [fifo]);
  // Both ways, so that it has no end.
  const words = fs.createReadStream(fifo, { flags: 'r+', encoding: 'utf8' });
  const next = async () => {
    const [pid, began] = /** @type {string[]} */ (await once(words, 'data'))[0].trim().split(' ');
    return { pid: Number(pid), began: BigInt(began) };
  };
  const since = (/** @type {bigint} */ from, /** @type {bigint} */ to) => Number(to - from) / 1e6;
  try {
    const alone = [];
    for (let count = 0; count < CRASHES; count++) {
      const said = next();
      const asked = process.hrtime.bigint();
      const child = spawn(program, [fifo], { stdio: 'ignore' });
      alone.push(since(asked, (await said).began));
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    const config = path.join(folder, 'crash.json');
    fs.writeFileSync(config, JSON.stringify({ apps: [{ name: 'crash', script: program, args: fifo, interpreter: 'none' }] }));
    let said = next();
    rival.run('start', config);
    let { pid } = await said;
    const again = [];
    for (let count = 0; count < CRASHES; count++) {
      await sleep(STEADY);
      said = next();
      const killed = process.hrtime.bigint();
      process.kill(pid, 'SIGKILL');
      const one = await said;
      again.push(since(killed, one.began));
      pid = one.pid;
    }
    return { crash: median(again), alone: median(alone) };
  } finally {
    // A read that nobody answers would keep us.
    words.destroy();
    fs.writeFileSync(fifo, '\n');
  }
}

module.exports = { PROGRAMS, crash, measure, median };
