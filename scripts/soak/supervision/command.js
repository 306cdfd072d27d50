'use strict';

// The command: as the first process of a container, and what it refuses.

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');

const { Asking, get } = require('./load.js');
const { freePort } = require('../../../__test__/helpers/free_port.js');
const { APP, childrenOf, root } = require('./subjects.js');

const COMMAND = path.join(root, 'bin', 'rcluster.js');
const UNSHARE = ['--pid', '--fork', '--mount-proc', '--kill-child'];

/**
 * @param {string} file
 * @param {string} text
 */
function script(file, text) {
  const name = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-soak-')), file);
  fs.writeFileSync(name, text);
  return name;
}

/** As process 1: SIGTERM under load, and orphans. */
async function first() {
  if (spawnSync('unshare', [...UNSHARE, 'true']).status !== 0) {
    return { title: 'as process 1', rows: [{ skipped: 'unshare is not permitted here' }], ok: true };
  }
  const port = await freePort();
  const app = script('app.js', `
    const { spawn } = require('node:child_process');
    require('node:http').createServer((request, response) => {
      if (request.url === '/orphan') spawn('sh', ['-c', 'sleep 0.2 &'], { stdio: 'ignore' });
      setTimeout(() => response.end('ok'), request.url === '/slow' ? 1000 : 5);
    }).listen(${port}, '127.0.0.1');`);
  const child = spawn('unshare', [...UNSHARE, process.execPath, COMMAND, '-i', '2', app], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => (said += chunk));
  while (!said.includes('workers are ready')) await sleep(20);
  const [pid] = childrenOf(/** @type {number} */ (child.pid));
  await Promise.all(Array.from({ length: 50 }, () => get(port, false, '/orphan')));
  await sleep(700);
  const left = childrenOf(pid);
  const zombies = left.filter((one) => /^State:\s+Z/m.test(fs.readFileSync(`/proc/${one}/status`, 'utf8'))).length;
  const slow = Array.from({ length: 20 }, () => get(port, false, '/slow').then(() => 'answered', ({ code }) => code));
  const asking = new Asking(port, { clients: 4 });
  await sleep(300);
  await asking.stop();
  const start = performance.now();
  process.kill(pid, 'SIGTERM');
  const [code] = await once(child, 'exit');
  const time = performance.now() - start;
  const answers = await Promise.all(slow);
  const rows = [{
    'orphans made': 50,
    'zombies left': zombies,
    'other processes': left.length,
    'requests under way at SIGTERM': slow.length,
    answered: answers.filter((answer) => answer === 'answered').length,
    'time (ms)': Math.round(time),
    'exit code': code,
  }];
  fs.rmSync(path.dirname(app), { recursive: true, force: true });
  return { title: 'as process 1 of a namespace', rows, ok: zombies === 0 && left.length === 2 && code === 0 && answers.every((answer) => answer === 'answered') };
}

/** What is refused: how fast, with which exit code, in which words. */
async function refusals() {
  const taken = net.createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (taken.address());
  const exits = script('exits.js', 'process.exit(3);');
  const cases = [
    { what: 'a bad option', args: ['-i', '0', APP], code: 2 },
    { what: 'an unknown option', args: ['--nonsense', APP], code: 2 },
    { what: 'a missing script', args: ['no-such-script.js'], code: 2 },
    { what: 'a script that exits at once', args: ['-i', '2', exits], code: 1 },
    { what: 'a port in use', args: ['-i', '2', APP], code: 1, env: { PORT: `${port}` } },
  ];
  const rows = [];
  let ok = true;
  for (const { what, args, code, env } of cases) {
    const start = performance.now();
    const { status, stderr } = spawnSync(process.execPath, [COMMAND, ...args], { env: { ...process.env, ...env }, encoding: 'utf8' });
    const time = Math.round(performance.now() - start);
    const last = stderr.trim().split('\n').at(-1) ?? '';
    if (status !== code || time > 2000) ok = false;
    rows.push({ what, 'exit code': status ?? '', 'time (ms)': time, 'last line': last.replace('rcluster: ', '').slice(0, 120) });
  }
  taken.close();
  fs.rmSync(path.dirname(exits), { recursive: true, force: true });
  return { title: 'what is refused', rows, ok };
}

module.exports = { first, refusals };
