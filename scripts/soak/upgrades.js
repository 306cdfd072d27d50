'use strict';

// The primary of a cluster is upgraded again and again by the process manager, under load, and then what people have instead:
//   node scripts/soak/upgrades.js [--upgrades 10] [--idle 500] [--only rcluster,nginx,haproxy]
//
// rcluster   a cluster of two workers: `rcluster upgrade`
// nginx      two workers of its, before one Node: USR2, WINCH, QUIT
// haproxy    two threads of its, before one Node: another one with `-x` (it asks for the sockets) and `-sf` (the old one finishes)
//
// wrk with 64 keep-alive connections, ab with 32 clients that connect for each request (where they are installed), idle keep-alive connections,
// ten WebSockets, uploads that trickle, a client over TLS and one of HTTP/2. Prints each upgrade's time and report; what was lost, by kind of client; how
// many plain idle connections were closed; and processes, descriptors and memory after the first and after the last upgrade, under load and at rest (an
// upgrade before the clients come, and when they have gone). Exits with 1 when rcluster has lost or closed anything, or has more processes or descriptors
// at rest, or its keeper has more, than after the first.

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const { makeCertificate } = require('./certificate.js');
const { costs } = require('./hostile/proc.js');
const { freePort } = require('../../__test__/helpers/free_port.js');
const { childrenOf } = require('./supervision/subjects.js');
const { idle, second, secure, upload, webSocket } = require('./upgrades/clients.js');
const { SUBJECTS } = require('./upgrades/subjects.js');

const { values } = parseArgs({ options: { upgrades: { type: 'string', default: '10' }, idle: { type: 'string', default: '500' }, only: { type: 'string', default: Object.keys(SUBJECTS).join() } } });
const UPGRADES = Number(values.upgrades);
const IDLE = Number(values.idle);
/** Between two upgrades (ms). */
const PAUSE = 500;
/** So often, and each so long (ms) after the one before, it is looked what there is: the median counts, as connections come and go. */
const LOOKS = 30;
const LOOK = 100;
/** wrk and ab are told to end; by themselves they do after so long (s). */
const LONGEST = 900;

/** To be ended whatever happens. @type {Set<import('node:child_process').ChildProcess>} */
const loads = new Set();

/** @param {number} pid @returns {number[]} It, and all that it has started. */
const treeOf = (pid) => [pid, ...childrenOf(pid).flatMap(treeOf)];

/** @typedef {{ processes: number, fds: number, mib: number, keeperFds: number, keeperMib: number }} Figures */

/**
 * Processes, descriptors and memory of a process (rcluster's keeper, a proxy's main process) with all that it has started.
 *
 * @param {number} keeper
 * @returns {Promise<Figures>}
 */
async function figures(keeper) {
  /** @type {Figures[]} */
  const all = [];
  for (let look = 0; look < LOOKS; look++) {
    const each = treeOf(keeper).flatMap((pid) => costs(pid) ?? []);
    const sum = (/** @type {'fds' | 'mib'} */ what) => each.reduce((total, one) => total + one[what], 0);
    all.push({ processes: each.length, fds: sum('fds'), mib: sum('mib'), keeperFds: each[0].fds, keeperMib: each[0].mib });
    await sleep(LOOK);
  }
  const median = (/** @type {keyof Figures} */ what) => all.map((one) => one[what]).sort((one, other) => one - other)[LOOKS / 2];
  return { processes: median('processes'), fds: median('fds'), mib: median('mib'), keeperFds: median('keeperFds'), keeperMib: median('keeperMib') };
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

/** @param {number} plain @param {number} tls @param {number} two */
function startClients(plain, tls, two) {
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
  return clients;
}

/** @typedef {{ name: string, time: number, closed: number, tallies: Map<string, import('./upgrades/clients.js').Tally> }} Result */

/**
 * @param {import('./upgrades/subjects.js').Subject} subject
 * @returns {Promise<Result & { isFine: boolean }>}
 */
async function measure(subject) {
  const [plain, tls, two] = [await freePort(), await freePort(), await freePort()];
  console.log(`\n${subject.name}\n`);
  await subject.begin({ plain, tls, two });
  /** @type {[string, Figures][]} */
  const all = [];
  const look = async (/** @type {string} */ when) => all.push([when, await figures(subject.pid())]);
  await subject.upgrade();
  await look('at rest, after 1 upgrade');
  const waiting = await idle(plain, IDLE);
  const clients = startClients(plain, tls, two);
  const times = [];
  row(['upgrade', 'ms', 'moved', 'finished', 'cut']);
  for (let count = 1; count <= UPGRADES; count++) {
    await sleep(PAUSE);
    const { time, moved, finished, cut } = await subject.upgrade();
    times.push(time);
    row([count, time, moved ?? '', finished ?? '', cut ?? '']);
    if (count === 1) await look('under load, after 1');
  }
  await look(`under load, after ${UPGRADES}`);
  console.log('');
  row(['', 'answered', 'lost', 'came back']);
  /** @type {Result['tallies']} */
  const tallies = new Map();
  for (const [name, client] of Object.entries(clients)) {
    if (!client) {
      console.log(`${name}: left out, it is not installed`);
      continue;
    }
    const tally = await client.stop();
    row([name, tally.done, tally.lost, tally.again]);
    for (const [why, count] of tally.why) console.log(`    ${count} × ${why}`);
    const kind = name.replace(/^WebSocket \d+$/, '10 WebSockets');
    const sum = tallies.get(kind) ?? { done: 0, lost: 0, again: 0, why: new Map() };
    tallies.set(kind, { done: sum.done + tally.done, lost: sum.lost + tally.lost, again: sum.again + tally.again, why: sum.why });
  }
  const closed = waiting.closed();
  const answered = await waiting.ask();
  waiting.close();
  console.log(`\n${IDLE} plain idle connections: ${closed} closed during the upgrades, ${answered} answered after them\n`);
  await look(`at rest, after ${UPGRADES + 1}`);
  row(['', 'processes', 'descriptors', 'MiB', "keeper's fds", "keeper's MiB"]);
  for (const [when, { processes, fds, mib, keeperFds, keeperMib }] of all) row([when, processes, fds, mib, keeperFds, keeperMib]);
  const wrong = await subject.wrong();
  if (wrong) console.log(wrong);
  const [[, before], [, last]] = [all[0], /** @type {[string, Figures]} */ (all.at(-1))];
  const grew = last.processes > before.processes || last.fds > before.fds || last.keeperFds > before.keeperFds;
  const lost = [...tallies.values()].reduce((sum, tally) => sum + tally.lost, 0);
  times.sort((one, other) => one - other);
  const time = times[Math.floor(times.length / 2)];
  return { name: subject.name, time, closed, tallies, isFine: lost === 0 && closed === 0 && answered === IDLE && !wrong && !grew };
}

/** Side by side. @param {Result[]} results */
function compare(results) {
  const cells = (/** @type {string} */ what, /** @type {(result: Result) => string | number} */ of) => console.log([what.padEnd(56), ...results.map((result) => String(of(result)).padStart(26))].join(''));
  console.log('');
  cells('', ({ name }) => name);
  for (const kind of results[0].tallies.keys()) cells(`lost, of answered: ${kind}`, ({ tallies }) => `${tallies.get(kind)?.lost}, ${tallies.get(kind)?.done}`);
  cells(`idle connections closed, of ${IDLE}`, ({ closed }) => closed);
  cells('ms of an upgrade (median)', ({ time }) => time);
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-upgrades-'));
  const keys = makeCertificate(folder);
  /** @type {import('./upgrades/subjects.js').Subject | undefined} */
  let running;
  const end = async () => {
    for (const child of loads) child.kill('SIGKILL');
    await running?.end();
    running = undefined;
  };
  const clear = () => fs.rmSync(folder, { recursive: true, force: true });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => end().finally(clear).finally(() => process.exit(1)));
  const results = [];
  try {
    for (const name of values.only.split(',')) {
      if (!Object.hasOwn(SUBJECTS, name)) throw new Error(`--only may name ${Object.keys(SUBJECTS).join(', ')}. Received '${name}'`);
      const own = path.join(folder, name);
      fs.mkdirSync(own);
      running = SUBJECTS[name](own, keys);
      const missing = running.missing();
      if (missing) console.log(`\n${running.name}: left out, ${missing}`);
      else results.push(await measure(running));
      await end();
    }
    if (results.length > 1) compare(results);
    process.exitCode = results.some(({ name, isFine }) => name === 'rcluster' && !isFine) ? 1 : 0;
  } finally {
    await end();
    clear();
  }
}

void main();
