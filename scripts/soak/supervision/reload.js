'use strict';

// Reloads.

const fs = require('node:fs');
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');

const { Asking, ab, get, wrk } = require('./load.js');
const { Plain, Pm2, Rcluster, withSubject } = require('./subjects.js');

const ALL = [Rcluster, Pm2, Plain];
const SECONDS = 10;
const RELOADS = 3;
const IDLE = 100;

/** Three reloads while wrk or ab asks. */
async function reload() {
  const rows = [];
  let ok = true;
  for (const [tool, load] of /** @type {const} */ ([['wrk', wrk], ['ab', ab]])) {
    for (const delay of [0, 50]) {
      for (const Kind of ALL) {
        const { requests, lost, times } = await withSubject(Kind, { env: { DELAY: `${delay}` } }, async (subject) => {
          const result = load(subject.port, SECONDS);
          await sleep(1000);
          const took = [];
          for (let i = 0; i < RELOADS; i++) {
            const start = performance.now();
            await subject.reload();
            took.push(Math.round(performance.now() - start));
          }
          return { ...(await result), times: took };
        });
        if (Kind === Rcluster && lost > 0) ok = false;
        rows.push({ load: tool, 'reply after': `${delay} ms`, 'kept running by': Kind.title, requests, lost, 'each reload (ms)': times.join(', ') });
      }
    }
  }
  return { title: `${RELOADS} reloads under 32 connections for ${SECONDS} s; wrk keeps its connections, ab does not`, rows, ok };
}

/** The same for each policy. */
async function policies() {
  const rows = [];
  let ok = true;
  for (const policy of ['rr', 'least', 'sticky', 'reuseport', 'none']) {
    for (const [tool, load] of /** @type {const} */ ([['wrk', wrk], ['ab', ab]])) {
      const { requests, lost } = await withSubject(Rcluster, { args: ['--policy', policy, '--settle-time', '200ms'] }, async (subject) => {
        const result = load(subject.port, 5);
        await sleep(500);
        for (let i = 0; i < RELOADS; i++) await subject.reload();
        return result;
      });
      if (lost > 0) ok = false;
      rows.push({ policy, load: tool, requests, lost });
    }
  }
  return { title: `${RELOADS} reloads under 32 connections for 5 s, by policy`, rows, ok };
}

/** A hundred connections that do nothing during a reload. */
async function idle() {
  const rows = [];
  let ok = true;
  for (const Kind of ALL) {
    const row = await withSubject(Kind, {}, async (subject) => {
      const old = subject.workers;
      let closed = 0;
      const agents = Array.from({ length: IDLE }, () => new http.Agent({ keepAlive: true, maxSockets: 1 }));
      await Promise.all(agents.map((agent) => get(subject.port, agent)));
      for (const agent of agents) for (const sockets of Object.values(agent.freeSockets)) sockets?.[0].once('close', () => closed++);
      // Node's own limit for idle connections is 5 s.
      await subject.reload();
      await sleep(500);
      const atReload = closed;
      const pids = await Promise.all(agents.map((agent) => get(subject.port, agent).then(Number)));
      for (const agent of agents) agent.destroy();
      return { 'kept running by': Kind.title, connections: IDLE, closed: atReload, 'served by an old worker': pids.filter((pid) => old.includes(pid)).length };
    });
    if (Kind === Rcluster && (row.closed > 0 || row['served by an old worker'] > 0)) ok = false;
    rows.push(row);
  }
  return { title: `${IDLE} idle keep-alive connections and one reload`, rows, ok };
}

/**
 * @param {number} pid
 * @returns {{ descriptors: number, memory: number }} memory in MiB
 */
function figures(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return { descriptors: fs.readdirSync(`/proc/${pid}/fd`).length, memory: Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 102.4) / 10 };
}

/** Twenty reloads in a row. */
async function twenty() {
  return withSubject(Rcluster, {}, async (subject) => {
    const rows = [];
    // What is allocated once is not what grows.
    await subject.reload();
    const before = figures(subject.pid);
    rows.push({ after: '1 reload', requests: 0, lost: 0, 'descriptors of the primary': before.descriptors, 'its memory (MiB)': before.memory });
    let lost = 0;
    for (const count of [10, 20]) {
      const asking = [new Asking(subject.port), new Asking(subject.port, { keepAlive: false })];
      for (let i = 0; i < 10; i++) await subject.reload();
      const results = await Promise.all(asking.map((one) => one.stop()));
      const failed = results.flatMap((one) => one.failed);
      lost += failed.length;
      await sleep(300);
      const { descriptors, memory } = figures(subject.pid);
      rows.push({
        after: `${count} more`,
        requests: results.reduce((sum, { answered }) => sum + answered, 0),
        lost: failed.length,
        'descriptors of the primary': descriptors,
        'its memory (MiB)': memory,
      });
    }
    const after = figures(subject.pid);
    const ok = lost === 0 && after.descriptors <= before.descriptors + 2 && after.memory <= before.memory + 20;
    return { title: '20 reloads in a row under 16 clients, half of which keep their connections', rows, ok };
  });
}

module.exports = { idle, policies, reload, twenty };
