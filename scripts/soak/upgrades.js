'use strict';

// The primary of a cluster is upgraded again and again by the process manager, under load:
//   node scripts/soak/upgrades.js [--upgrades 10] [--idle 500]
//
// wrk with 64 keep-alive connections, ab with 32 clients that connect for each request (where they are installed), idle keep-alive connections,
// ten WebSockets, uploads that trickle, a client over TLS and one of HTTP/2. Prints each upgrade's report; what was lost, by kind of client; how
// many plain idle connections were closed; and processes, descriptors and memory after the first and after the last upgrade. Exits with 1 when
// anything was lost or closed, or when there are more processes or descriptors than after the first.

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const { Manager } = require('../../manager/client.js');
const { costs } = require('./hostile/proc.js');
const { freePort } = require('./free_port.js');
const { childrenOf } = require('./supervision/subjects.js');
const { idle, second, secure, upload, webSocket } = require('./upgrades/clients.js');

const { values } = parseArgs({ options: { upgrades: { type: 'string', default: '10' }, idle: { type: 'string', default: '500' } } });
const UPGRADES = Number(values.upgrades);
const IDLE = Number(values.idle);
/** Between two upgrades (ms). */
const PAUSE = 500;
/** So often, and each so long (ms) after the one before, it is looked what there is: the least counts, as connections come and go. */
const LOOKS = 30;
const LOOK = 100;
/** wrk and ab are told to end; by themselves they do after so long (s). */
const LONGEST = 900;

/** To be ended whatever happens. @type {Set<import('node:child_process').ChildProcess>} */
const loads = new Set();

/** @param {number} pid @returns {number[]} It, and all that it has started. */
const treeOf = (pid) => [pid, ...childrenOf(pid).flatMap(treeOf)];

/**
 * Processes, descriptors and memory of a keeper with its app.
 *
 * @param {number} keeper
 */
async function figures(keeper) {
  /** @type {{ processes: number, fds: number, mib: number, keeperFds: number, keeperMib: number }[]} */
  const all = [];
  for (let look = 0; look < LOOKS; look++) {
    const each = treeOf(keeper).flatMap((pid) => costs(pid) ?? []);
    const sum = (/** @type {'fds' | 'mib'} */ what) => each.reduce((total, one) => total + one[what], 0);
    all.push({ processes: each.length, fds: sum('fds'), mib: sum('mib'), keeperFds: each[0].fds, keeperMib: each[0].mib });
    await sleep(LOOK);
  }
  const least = (/** @type {keyof typeof all[0]} */ what) => Math.min(...all.map((one) => one[what]));
  return { processes: least('processes'), fds: least('fds'), mib: least('mib'), keeperFds: least('keeperFds'), keeperMib: least('keeperMib') };
}

/**
 * A program that asks until it is told to end.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {(said: string) => { done: number, lost: number }} read
 */
function load(command, args, read) {
  if (spawnSync('which', [command]).status !== 0) return undefined;
  const child = spawn(command, args);
  loads.add(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text));
  const closed = once(child, 'close');
  return {
    async stop() {
      child.kill('SIGINT');
      await closed;
      const { done, lost } = read(said);
      // What it says when it gives up is no figure.
      if (!(done > 0)) throw new Error(`${command}: ${said}`);
      return { done, lost, again: 0, why: new Map() };
    },
  };
}

/** @param {string} text @param {RegExp} pattern */
const number = (text, pattern) => Number(pattern.exec(text)?.[1] ?? 0);

/** @param {string} said */
function readWrk(said) {
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(said)?.slice(1).map(Number) ?? [];
  return { done: number(said, /(\d+) requests in/), lost: errors.reduce((sum, count) => sum + count, number(said, /Non-2xx or 3xx responses: (\d+)/)) };
}

/** @param {string} said */
const readAb = (said) => ({ done: number(said, /Complete requests:\s+(\d+)/), lost: number(said, /Failed requests:\s+(\d+)/) + number(said, /Non-2xx responses:\s+(\d+)/) });

/** @param {(string | number)[]} cells */
const row = (cells) => console.log(cells.map((cell, index) => (index === 0 ? String(cell).padEnd(34) : String(cell).padStart(14))).join(''));

/** @param {Manager} manager */
async function measure(manager) {
  const [plain, tls, two] = [await freePort(), await freePort(), await freePort()];
  const env = { PATH: process.env.PATH ?? '', PORT: `${plain}`, TLS: `${tls}`, TWO: `${two}` };
  await manager.ensureDaemon();
  await manager.start([{ name: 'app', mode: 'cluster', script: path.join(__dirname, 'upgrades', 'app.js'), cwd: __dirname, instances: 2, env }]);
  const [{ keeper }] = await manager.list();
  const waiting = await idle(plain, IDLE);
  const url = `http://127.0.0.1:${plain}/`;
  /** @type {Record<string, { stop(): Promise<import('./upgrades/clients.js').Tally> } | undefined>} */
  const clients = {
    'wrk, 64 keep-alive connections': load('wrk', ['-t', '1', '-c', '64', '-d', `${LONGEST}s`, '--timeout', '20s', url], readWrk),
    'ab, 32, a connection per request': load('ab', ['-q', '-r', '-s', '30', '-c', '32', '-t', `${LONGEST}`, '-n', '100000000', url], readAb),
    ...Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`WebSocket ${index + 1}`, webSocket(plain)])),
    'uploads that trickle for 3 s': upload(plain),
    'TLS, keep-alive': secure(tls),
    'HTTP/2': second(two),
  };
  /** @type {Awaited<ReturnType<typeof figures>> | undefined} */
  let first;
  row(['upgrade', 'ms', 'moved', 'finished', 'cut']);
  for (let count = 1; count <= UPGRADES; count++) {
    await sleep(PAUSE);
    const [{ report }] = await manager.upgrade('app');
    const { time, moved, finished, cut } = /** @type {any} */ (report);
    row([count, time, moved, finished, cut]);
    if (count === 1) first = await figures(Number(keeper));
  }
  const last = await figures(Number(keeper));
  const [{ processes: [{ restarts }], keeper: keeperNow }] = await manager.list();
  let lost = 0;
  console.log('');
  row(['', 'answered', 'lost', 'came back']);
  for (const [name, client] of Object.entries(clients)) {
    if (!client) {
      console.log(`${name}: left out, it is not installed`);
      continue;
    }
    const tally = await client.stop();
    lost += tally.lost;
    row([name, tally.done, tally.lost, tally.again]);
    for (const [why, times] of tally.why) console.log(`    ${times} × ${why}`);
  }
  const closed = waiting.closed();
  const answered = await waiting.ask();
  waiting.close();
  console.log(`\n${IDLE} plain idle connections: ${closed} closed during the upgrades, ${answered} answered after them\n`);
  row(['', 'processes', 'descriptors', 'MiB', "keeper's fds", "keeper's MiB"]);
  for (const [when, one] of [['after 1 upgrade', first], [`after ${UPGRADES}`, last]]) {
    const { processes, fds, mib, keeperFds, keeperMib } = /** @type {typeof last} */ (one);
    row([/** @type {string} */ (when), processes, fds, mib, keeperFds, keeperMib]);
  }
  console.log(`restarts counted: ${restarts}`);
  const before = first ?? last;
  const grew = last.processes > before.processes || last.keeperFds > before.keeperFds;
  return lost === 0 && closed === 0 && answered === IDLE && restarts === 0 && keeper === keeperNow && !grew;
}

async function main() {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-upgrades-'));
  const manager = new Manager({ home });
  const end = async () => {
    for (const child of loads) child.kill('SIGKILL');
    await manager.kill();
    manager.close();
    fs.rmSync(home, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => end().finally(() => process.exit(1)));
  try {
    process.exitCode = (await measure(manager)) ? 0 : 1;
  } finally {
    await end();
  }
}

void main();
