'use strict';

// The PROXY protocol with the real HAProxy, and what it costs.
//   node scripts/soak/proxy_protocol.js [--connections 100000] [--clients 16] [--rounds 10] [--each 4000] [--only seen|cost] [--policy rr]
//
// First so many connections of clients of many addresses, through HAProxy's send-proxy and send-proxy-v2, to HTTP, HTTPS, HTTP/2 and WebSockets, during
// reloads: each has to be told its own address and port. Then, in turns from the same sender, connections with a header and a request to a service
// with the option, and with the request alone to one without it: CPU of primary and worker per connection, and connections per second. The sender is HAProxy,
// and then a client of ours, whose header comes so late that each connection has to wait for it.
// Prints rows; exits with 1 when an address was wrong or a connection was lost, or a header costs more than 5 %.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const { root } = require('../lib/sources.js');
const { makeCertificate } = require('./certificate.js');
const { freePort, untilListening } = require('./proxies/fronts.js');
const { CLIENTS } = require('./proxy_protocol/clients.js');

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '100000' },
    clients: { type: 'string', default: '16' },
    rounds: { type: 'string', default: '10' },
    each: { type: 'string', default: '4000' },
    only: { type: 'string', default: '' },
    policy: { type: 'string', default: 'rr' },
  },
});

/** Of hundred connections, how many are of each kind. */
const MIX = { http: 70, https: 14, http2: 8, ws: 8 };
/** The most that a header may cost, as a part of all that a connection costs. */
const MOST = 1.05;
/** How long (ms) the service is left alone between two reloads. */
const PAUSE = 1500;

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

/**
 * @param {string[]} options
 * @param {Record<string, string>} env
 */
async function startService(options, env) {
  const child = spawn(process.execPath, [path.join(root, 'bin', 'rcluster.js'), '--settle-time', '200', '--policy', values.policy, ...options, path.join(__dirname, 'proxy_protocol', 'app.js')], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  children.add(child);
  let said = '';
  child.stderr.on('data', (text) => (said += text));
  const until = async (/** @type {RegExp} */ what, from = 0) => {
    while (!what.test(said.slice(from))) {
      if (child.exitCode !== null) throw new Error(`the command has ended with code ${child.exitCode}:\n${said}`);
      await sleep(10);
    }
  };
  await until(/ready/);
  return {
    pid: Number(child.pid),
    async reload() {
      const from = said.length;
      child.kill('SIGHUP');
      await until(/replaced|failed/, from);
      if (!/replaced/.test(said.slice(from))) throw new Error(said.slice(from));
    },
  };
}

/**
 * @param {string} folder
 * @param {{ port: number, to: number, how: string }[]} ways
 */
async function startHaproxy(folder, ways) {
  const file = path.join(folder, `haproxy-${ways[0].port}.cfg`);
  const listen = ways.map(({ port, to, how }) => `listen l${port}\n  bind 127.0.0.1:${port}\n  server one 127.0.0.1:${to} ${how}\n`);
  fs.writeFileSync(file, `
defaults
  mode tcp
  retries 0
  timeout connect 5s
  timeout client 60s
  timeout server 60s
${listen.join('')}`);
  const proxy = spawn('haproxy', ['-db', '-q', '-f', file], { stdio: ['ignore', 'ignore', 'inherit'] });
  children.add(proxy);
  await untilListening(/** @type {{ port: number }} */ (ways.at(-1)).port, proxy);
}

/** @param {string} folder */
async function seen(folder) {
  const [plain, secure, one, oneSecure, two, twoSecure] = await Promise.all(Array.from({ length: 6 }, freePort));
  const keys = makeCertificate(folder);
  const service = await startService(['-i', '2', '--proxy-protocol', '127.0.0.1'], { ...keys, PORT: `${plain}`, SECURE_PORT: `${secure}` });
  await startHaproxy(folder, [
    { port: one, to: plain, how: 'send-proxy' },
    { port: oneSecure, to: secure, how: 'send-proxy' },
    { port: two, to: plain, how: 'send-proxy-v2' },
    { port: twoSecure, to: secure, how: 'send-proxy-v2' },
  ]);

  const kinds = Object.entries(MIX).flatMap(([kind, count]) => Array.from({ length: count }, () => kind));
  const versions = [{ plain: one, secure: oneSecure }, { plain: two, secure: twoSecure }];
  /** @type {Record<string, { right: number, wrong: number, lost: number, first?: string }>} */
  const rows = {};
  let left = Number(values.connections);
  const client = async () => {
    while (left > 0) {
      const number = left--;
      const version = (Math.floor(number / kinds.length) % 2) + 1;
      const kind = kinds[number % kinds.length];
      const row = (rows[`v${version} ${kind}`] ??= { right: 0, wrong: 0, lost: 0 });
      try {
        const { said, is } = await CLIENTS[kind](versions[version - 1]);
        row[said === is ? 'right' : 'wrong']++;
        if (said !== is) row.first ??= `it is ${is}, and was told ${said}`;
      } catch (error) {
        row.lost++;
        row.first ??= /** @type {Error} */ (error).message;
      }
    }
  };
  let reloads = 0;
  const reloading = (async () => {
    while (left > 0) {
      await sleep(PAUSE);
      await service.reload();
      reloads++;
    }
  })();
  await Promise.all([reloading, ...Array.from({ length: Number(values.clients) }, client)]);
  for (const [name, { first, ...row }] of Object.entries(rows).sort()) console.log(name.padEnd(12), row, first ?? '');
  const sum = (/** @type {'right' | 'wrong' | 'lost'} */ what) => Object.values(rows).reduce((all, row) => all + row[what], 0);
  console.log(`${sum('right')} right, ${sum('wrong')} wrong, ${sum('lost')} lost, during ${reloads} reloads`);
  return sum('wrong') === 0 && sum('lost') === 0;
}

/**
 * What a process and its workers have had of the processors, ns.
 *
 * @param {number} pid
 * @returns {number}
 */
function cpuOf(pid) {
  const threads = fs.readdirSync(`/proc/${pid}/task`);
  const own = threads.reduce((sum, thread) => sum + Number(fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]), 0);
  const of = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return of === '' ? own : own + of.split(' ').reduce((sum, child) => sum + cpuOf(Number(child)), 0);
}

/**
 * So many connections, eight at a time, each with one request.
 *
 * @param {number} port
 * @param {string} bytes
 */
async function visit(port, bytes) {
  let left = Number(values.each);
  const client = async () => {
    while (left-- > 0) {
      await new Promise((resolve, reject) => {
        let got = 0;
        const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
        socket.on('data', (chunk) => (got += chunk.length));
        socket.on('error', reject);
        socket.on('close', () => (got > 0 ? resolve(undefined) : reject(new Error('no answer'))));
      });
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
}

/**
 * @param {string} folder
 * @param {boolean} through Whether HAProxy is the sender.
 */
async function cost(folder, through) {
  const request = 'GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n';
  const signature = '\r\n\r\n\0\r\nQUIT\n';
  const sides = await Promise.all([
    { name: 'without', options: [], bytes: request },
    { name: 'v1', options: ['--proxy-protocol', '127.0.0.1'], bytes: `PROXY TCP4 192.0.2.7 198.51.100.9 4711 443\r\n${request}` },
    { name: 'v2', options: ['--proxy-protocol', '127.0.0.1'], bytes: Buffer.from(`${signature}\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x09\x12\x67\x01\xbb${request}`, 'latin1') },
  ].map(async (side) => {
    const [behind, front] = [await freePort(), await freePort()];
    const service = await startService(['-i', '1', ...side.options], { PORT: `${behind}` });
    return { ...side, behind, port: through ? front : behind, service, cpu: /** @type {number[]} */ ([]), rate: /** @type {number[]} */ ([]) };
  }));
  if (through) {
    const how = /** @type {Record<string, string>} */ ({ without: '', v1: 'send-proxy', v2: 'send-proxy-v2' });
    await startHaproxy(folder, sides.map(({ name, behind, port }) => ({ port, to: behind, how: how[name] })));
    for (const side of sides) side.bytes = request;
  }
  console.log(through ? 'from HAProxy:' : 'from a client whose header is late:');
  for (let round = -1; round < Number(values.rounds); round++) {
    // Each is first as often as last.
    const order = round % 2 ? sides : [...sides].reverse();
    for (const side of order) {
      const [before, start] = [cpuOf(side.service.pid), performance.now()];
      await visit(side.port, /** @type {string} */ (side.bytes));
      if (round < 0) continue;
      side.rate.push(Number(values.each) / ((performance.now() - start) / 1000));
      side.cpu.push((cpuOf(side.service.pid) - before) / 1000 / Number(values.each));
    }
  }
  const median = (/** @type {number[]} */ list) => [...list].sort((one, other) => one - other)[Math.floor(list.length / 2)];
  let fine = true;
  for (const { name, cpu, rate } of sides) {
    const ratios = cpu.map((one, round) => one / sides[0].cpu[round]);
    const rates = rate.map((one, round) => one / sides[0].rate[round]);
    console.log(`${name.padEnd(8)} ${median(cpu).toFixed(1)} µs per connection (${median(ratios).toFixed(3)} ×), ${median(rate).toFixed(0)} connections/s (${median(rates).toFixed(3)} ×)`);
    fine &&= median(ratios) <= MOST;
  }
  return fine;
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-proxy-'));
  try {
    const all = [];
    if (values.only !== 'cost') all.push(await seen(folder));
    if (values.only !== 'seen') all.push(await cost(folder, true), await cost(folder, false));
    if (all.includes(false)) process.exitCode = 1;
  } finally {
    for (const child of children) child.kill('SIGKILL');
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

void main();
