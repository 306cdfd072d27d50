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
 * @returns {Promise<Record<string, number>>}
 */
async function measure(rival, folder) {
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
  const crashes = await crash(rival, folder);
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
 * A program that says a word when it begins is killed: how long until the next one says it. Beside it, how long Node takes to start the same program.
 *
 * @param {Rival} rival
 * @param {string} folder
 */
async function crash(rival, folder) {
  const fifo = path.join(folder, 'begun');
  const script = path.join(folder, 'begin.sh');
  spawnSync('mkfifo', [fifo]);
  fs.writeFileSync(script, `#!/bin/sh\necho $$ > "${fifo}"\nexec sleep 1000000\n`, { mode: 0o755 });
  // Both ways, so that it has no end.
  const words = fs.createReadStream(fifo, { flags: 'r+', encoding: 'utf8' });
  const word = async () => Number(/** @type {string[]} */ (await once(words, 'data'))[0]);
  try {
    const alone = [];
    for (let count = 0; count < CRASHES; count++) {
      const said = word();
      const began = performance.now();
      const child = spawn(script, { stdio: 'ignore' });
      await said;
      alone.push(performance.now() - began);
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    let said = word();
    rival.run('start', script, '--name', 'crash');
    let pid = await said;
    const again = [];
    for (let count = 0; count < CRASHES; count++) {
      await sleep(STEADY);
      said = word();
      const began = performance.now();
      process.kill(pid, 'SIGKILL');
      pid = await said;
      again.push(performance.now() - began);
    }
    return { crash: median(again), alone: median(alone) };
  } finally {
    // A read that nobody answers would keep us.
    words.destroy();
    fs.writeFileSync(fifo, '\n');
  }
}

module.exports = { PROGRAMS, measure, median };
