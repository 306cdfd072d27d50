'use strict';

// Storms: more connections than there are descriptors, or room in the servers. All are served in the end, nobody spins
// meanwhile, and the user is warned once.
//   node scripts/soak/storm.js [--policies rr,least,sticky,reuseport] [--connections 50000] [--held 4000]
//
// flood of the primary   the primary's descriptor table is full but for FREE of 1,024; `connections` requests at once as
//                        fast as the generator can
// flood of the workers   the same with the workers' tables
// full workers           1,024 descriptors for each worker, and `held` requests that are answered only when told: most
//                        of them have to wait
// full servers           maxConnections reached in every worker, and `held` requests
//
// Prints a table; exits with 1 when something was lost, when the processes that wait use more than 2 % of a processor,
// or when there was not just the one warning that there should have been.

const net = require('node:net');
const path = require('node:path');
const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const { build } = require('../../bench/lib/build.js');
const { watchCpu } = require('../../bench/lib/cpu.js');
const { Running, ask } = require('../../bench/lib/processes.js');

const LIMIT = 1024;
const FREE = 24;
const WORKERS = 2;
/** How many requests of a flood are under way at a time. */
const AT_ONCE = 2000;
const MAX_CONNECTIONS = 100;
/** How long (ms) the use of the processors is measured while all wait. */
const WAIT = 5000;
const MOST_CPU = 2;
/** How long (s) a request of a flood may take. */
const PATIENCE = 120;

const { values } = parseArgs({
  options: {
    policies: { type: 'string', default: 'rr,least,sticky,reuseport' },
    connections: { type: 'string', default: '50000' },
    held: { type: 'string', default: '4000' },
  },
});

/** @typedef {{ policy: string, case: string, served: string, seconds: string, cpu: string, warnings: string, ok: boolean }} Row */

/**
 * Starts the cluster with at most LIMIT descriptors in each process.
 *
 * @param {string} policy
 * @param {Record<string, string>} env see storm_app.js
 */
async function start(policy, env) {
  const app = path.join(__dirname, 'storm_app.js');
  const running = new Running({
    command: 'sh',
    args: ['-c', `ulimit -n ${LIMIT} && exec "$0" "$1"`, process.execPath, app],
    env: { NODE_CLUSTER_SCHED_POLICY: policy, STORM_WORKERS: `${WORKERS}`, ...env },
  });
  const { port, primary, workers } = await running.line();
  return { running, port, primary, workers };
}

/** @param {Running} running */
const warnings = (running) => (running.stderr.match(/RCLUSTER_DESCRIPTORS/g) ?? []).length;

/**
 * @param {string} policy
 * @param {string} load the program
 * @param {'primary' | 'workers'} where whose descriptors are few
 * @returns {Promise<Row>}
 */
async function flood(policy, load, where) {
  const server = await start(policy, { STORM_FILL: where, STORM_FREE: `${FREE}` });
  try {
    const requests = Number(values.connections);
    const options = { port: server.port, connections: AT_ONCE, requests, sources: 64, timeout: PATIENCE };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
    const report = await ask({ command: load, args, timeout: 3 * PATIENCE * 1000 });
    const warned = warnings(server.running);
    const most = where === 'primary' ? 1 : WORKERS;
    return {
      policy,
      case: `flood of the ${where}`,
      served: `${report.requests} of ${requests}`,
      seconds: report.seconds.toFixed(1),
      cpu: '',
      warnings: `${warned}`,
      ok: report.requests === requests && warned <= most,
    };
  } finally {
    await server.running.stop();
  }
}

/**
 * One request over a connection of its own.
 *
 * @param {number} port
 * @param {number} index
 */
class Request {
  answered = false;
  /** @type {Error | undefined} */
  error = undefined;

  /**
   * @param {number} port
   * @param {number} index
   */
  constructor(port, index) {
    this.socket = net.connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${1 + (index % 64)}` });
    this.socket.write('GET / HTTP/1.1\r\nHost: storm\r\nConnection: close\r\n\r\n');
    this.socket.on('data', (data) => (this.answered ||= data.toString().startsWith('HTTP/1.1 200')));
    this.socket.on('error', (error) => (this.error = error));
  }

  async end() {
    if (!this.socket.closed) await once(this.socket, 'close');
  }
}

/**
 * @param {string} policy
 * @param {string} name
 * @param {Record<string, string>} env
 * @param {number} expected how many warnings
 * @returns {Promise<Row>}
 */
async function held(policy, name, env, expected) {
  const server = await start(policy, { STORM_HOLD: '1', ...env });
  try {
    const count = Number(values.held);
    const requests = Array.from({ length: count }, (_, index) => new Request(server.port, index));
    await sleep(3000);
    const used = watchCpu(server);
    await sleep(WAIT);
    const cpu = used().all / WAIT / 10;
    const began = performance.now();
    process.kill(server.primary, 'SIGUSR2');
    await Promise.all(requests.map((request) => request.end()));
    const answered = requests.filter((request) => request.answered).length;
    const warned = warnings(server.running);
    return {
      policy,
      case: name,
      served: `${answered} of ${count}`,
      seconds: ((performance.now() - began) / 1000).toFixed(1),
      cpu: `${cpu.toFixed(2)} %`,
      warnings: `${warned}`,
      ok: answered === count && cpu <= MOST_CPU && warned <= expected && warned > 0 === expected > 0,
    };
  } finally {
    await server.running.stop();
  }
}

async function main() {
  const { load } = build();
  /** @type {Row[]} */
  const rows = [];
  for (const policy of values.policies.split(',')) {
    rows.push(await flood(policy, load, 'primary'));
    rows.push(await flood(policy, load, 'workers'));
    rows.push(await held(policy, 'full workers', {}, WORKERS));
    rows.push(await held(policy, 'full servers', { STORM_MAX_CONNECTIONS: `${MAX_CONNECTIONS}` }, 0));
    for (const row of rows.slice(-4)) process.stderr.write(`${Object.values(row).join('  ')}\n`);
  }
  console.table(rows);
  process.exitCode = rows.every(({ ok }) => ok) ? 0 : 1;
}

main();
