'use strict';

// The process manager, by its command: a program is started, its output is kept and shown, it is started again when it was killed, the
// daemon may be killed meanwhile, it is stopped, and a cluster is reloaded.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const LIMIT = 60_000;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-'));
const env = { ...process.env, RCLUSTER_HOME: path.join(folder, 'home') };
const command = path.join(__dirname, 'node_modules', '.bin', 'rcluster');

/** @param {string[]} words */
const rcluster = (...words) => execFileSync(command, words, { encoding: 'utf8', cwd: folder, env });
/** @param {string} name @returns {{ processes: { pid: number, state: string }[], workers: { pid: number }[] }} */
const appOf = (name) => JSON.parse(rcluster('list', '--json')).find((app) => app.name === name);

/** @param {string} what @param {() => any} condition */
async function until(what, condition) {
  for (const end = Date.now() + LIMIT; Date.now() < end; await sleep(100)) {
    const value = condition();
    if (value) return value;
  }
  throw new Error(`${what}: not within ${LIMIT} ms`);
}

async function main() {
  fs.writeFileSync(path.join(folder, 'program.js'), "console.log('it runs on', process.arch); setInterval(() => {}, 1e6)");
  fs.writeFileSync(path.join(folder, 'server.js'), "require('http').createServer((q, r) => r.end('x')).listen(0, '127.0.0.1')");
  try {
    rcluster('start', 'program.js', '--min-uptime', '1');
    const [{ pid, state }] = appOf('program').processes;
    assert.equal(state, 'online');
    const log = path.join(env.RCLUSTER_HOME, 'logs', 'program-out.log');
    await until('the line is in the log', () => fs.existsSync(log) && fs.readFileSync(log, 'utf8').includes(`it runs on ${process.arch}\n`));

    process.kill(Number(fs.readFileSync(path.join(env.RCLUSTER_HOME, 'daemon.pid'), 'utf8')), 'SIGKILL');
    process.kill(pid, 'SIGKILL');
    await until('it runs again', () => appOf('program').processes.find((one) => one.state === 'online' && one.pid !== pid));

    const twice = new RegExp(`it runs on ${process.arch}\n[^]*it runs on ${process.arch}\n`);
    await until('the line of each is shown', () => twice.test(rcluster('logs', 'program', '--nostream')));
    assert.match(rcluster('list'), /program.*online/);
    const [{ pid: again }] = appOf('program').processes;
    rcluster('stop', 'program');
    assert.deepEqual(appOf('program').processes.map((one) => one.state), ['stopped']);
    assert.throws(() => process.kill(again, 0), { code: 'ESRCH' });

    rcluster('start', 'server.js', '-i', '2', '--listen-timeout', '60000');
    const workers = () => appOf('server').workers.map((one) => one.pid);
    const before = workers();
    assert.equal(before.length, 2);
    rcluster('reload', 'server');
    assert.ok(workers().every((one) => !before.includes(one)));
    rcluster('delete', 'all');
    assert.equal(rcluster('list', '--json').trim(), '[]');
  } finally {
    rcluster('kill');
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

main();
