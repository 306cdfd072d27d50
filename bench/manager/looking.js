'use strict';

// What looking at a hundred clusters of four workers costs the daemon: nobody looks, the page is open, the terminal view is, Prometheus asks.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');

const { Manager } = require('../../manager/client.js');
const { executable } = require('../../manager/home.js');
const { PROGRAMS, median } = require('./figures.js');

/** How long (ms) each is watched, and how long before it does what it does all the time. */
const TIME = 15_000;
const SETTLING = 2000;
/** How often (ms) Prometheus asks here: more often than most have it. */
const SCRAPE = 5000;

/** What runs in place of Node: clusters of four workers, whose boards are full. */
const PRIMARY = path.join(__dirname, 'primary.py');
/** Lines of `/metrics` that there are of each worker. */
const HTTP = 'rcluster_http_response_seconds_count{';
const WORKERS = 4;

const TICKS = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout);

/** Processor time (s) of a process, all threads. @param {number} pid */
function cpu(pid) {
  const [, ...fields] = /** @type {RegExpExecArray} */ (/\) (.*)/s.exec(fs.readFileSync(`/proc/${pid}/stat`, 'latin1')))[1].split(' ');
  return (Number(fields[10]) + Number(fields[11])) / TICKS;
}

/**
 * Percent of one processor that each of these uses, from a while after now on.
 *
 * @param {number[]} pids
 */
async function used(pids) {
  await sleep(SETTLING);
  const [before, began] = [pids.map(cpu), performance.now()];
  await sleep(TIME);
  const seconds = (performance.now() - began) / 1000;
  return pids.map((pid, index) => ((cpu(pid) - before[index]) * 100) / seconds);
}

/**
 * As a browser does: exchanges the link for a session, and reads what it is told from then on.
 *
 * @param {Manager} manager
 * @param {() => Promise<number>} look
 */
async function withPage(manager, look) {
  const { url } = await manager.openWeb({ listen: '127.0.0.1:0' });
  const { origin, hash } = new URL(url);
  const body = JSON.stringify({ token: new URLSearchParams(hash.slice(1)).get('token') });
  const entered = await fetch(`${origin}/api/enter`, { method: 'POST', headers: { 'content-type': 'application/json', origin }, body });
  const { key } = /** @type {any} */ (await entered.json());
  const over = new AbortController();
  const headers = { 'x-rcluster-key': key, cookie: `${entered.headers.get('set-cookie')}`.split(';')[0] };
  const live = await fetch(`${origin}/api/live`, { headers, signal: over.signal });
  if (!live.ok || !live.body) throw new Error(`the page answers ${live.status}`);
  let events = 0;
  const reading = (async () => {
    for await (const piece of /** @type {any} */ (live.body)) events += Buffer.from(piece).toString().split('\nevent:').length;
  })().catch(() => {});
  try {
    const figure = await look();
    if (events < 3) throw new Error(`the page was told ${events} times only`);
    return figure;
  } finally {
    over.abort();
    await reading;
    await manager.closeWeb();
  }
}

/**
 * With the terminal view in a window of 80 by 24; `undefined` where there is no tmux.
 *
 * @param {string} home
 * @param {string} folder
 * @param {(pid: number) => Promise<number[]>} look
 */
async function withMonit(home, folder, look) {
  const socket = path.join(folder, 'tmux');
  const tmux = (/** @type {string[]} */ ...words) => spawnSync('tmux', ['-S', socket, '-f', '/dev/null', ...words], { encoding: 'utf8', env: { ...process.env, TERM: 'xterm-256color' } });
  const command = `exec '${executable()}' monit --home '${home}' --child`;
  if (tmux('new-session', '-d', '-x', '80', '-y', '24', command).status !== 0) return undefined;
  try {
    const pid = Number(tmux('display-message', '-p', '#{pane_pid}').stdout);
    const figures = await look(pid);
    const screen = tmux('capture-pane', '-p').stdout;
    if (!screen.includes('idle-')) throw new Error(`monit shows no apps: ${screen.slice(0, 200)}`);
    return figures;
  } finally {
    tmux('kill-server');
  }
}

/** One scrape, as Prometheus asks: until its last byte is here. @param {string} socketPath @returns {Promise<{ text: string, time: number }>} ms */
function scrape(socketPath) {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const headers = { accept: 'application/openmetrics-text;version=1.0.0' };
    http.get({ socketPath, path: '/metrics', headers }, (response) => {
      /** @type {Buffer[]} */
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece)).on('error', reject);
      response.on('end', () => {
        const time = performance.now() - began;
        resolve({ text: Buffer.concat(pieces).toString(), time });
      });
    }).on('error', reject);
  });
}

/**
 * @param {string} home
 * @param {() => Promise<number>} look
 */
async function withScrapes(home, look) {
  /** @type {number[]} */
  const times = [];
  const timer = setInterval(async () => {
    const { text, time } = await scrape(path.join(home, 'daemon.sock'));
    if (text.split(`\n${HTTP}`).length <= PROGRAMS * WORKERS) throw new Error(`/metrics does not have all workers: ${text.slice(0, 200)}`);
    times.push(time);
  }, SCRAPE);
  try {
    return { scraped: await look(), scrape: median(times) };
  } finally {
    clearInterval(timer);
  }
}

/**
 * @param {import('./managers.js').Rival} rival
 * @param {string} folder
 * @returns {Promise<Record<string, number | undefined>>}
 */
async function measure(rival, folder) {
  const primary = path.join(folder, 'primary');
  fs.writeFileSync(primary, `#!/usr/bin/env python3\n${fs.readFileSync(PRIMARY, 'utf8')}`, { mode: 0o755 });
  const apps = Array.from({ length: PROGRAMS }, (_, index) => ({ name: `idle-${index}`, script: 'server.js', exec_mode: 'cluster', instances: WORKERS, interpreter: primary, listen_timeout: 60_000, kill_timeout: 100 }));
  fs.writeFileSync(path.join(folder, 'server.js'), '');
  const config = path.join(folder, 'idle.json');
  fs.writeFileSync(config, JSON.stringify({ apps }));
  rival.run('start', config);
  const manager = new Manager({ home: rival.home });
  try {
    const daemon = async () => (await used([rival.daemon()]))[0];
    const unseen = await daemon();
    const page = await withPage(manager, daemon);
    const [monit, view] = (await withMonit(rival.home, folder, (pid) => used([rival.daemon(), pid]))) ?? [];
    return { unseen, page, monit, view, ...(await withScrapes(rival.home, daemon)) };
  } finally {
    manager.close();
  }
}

module.exports = { measure };
