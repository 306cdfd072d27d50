'use strict';

// The manager's daemon is killed with SIGKILL again and again, while `wrk` asks a cluster of two workers and a program writes a numbered line each
// millisecond:
//   node scripts/soak/daemon_wrk.js [--kills 10] [--only rcluster,pm2]
//
// rcluster   the next verb (`list`) starts another daemon
// pm2        `pm2 resurrect`, as soon as its daemon has gone
//
// Prints a line for each. Exits with 1 when with rcluster a request fails, a line is missing or there twice, or a process is another one afterwards.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const { endAllOnSignals, pm2, rcluster, withoutPm2 } = require('../../bench/manager/managers.js');
const { freePort } = require('../../__test__/helpers/free_port.js');

const { values } = parseArgs({ options: { kills: { type: 'string', default: '10' }, only: { type: 'string', default: 'rcluster,pm2' } } });
const KILLS = Number(values.kills);
/** Between two kills (ms). */
const PAUSE = 1000;
/** How long (s) wrk asks at most. It is told to end. */
const LONGEST = 600;
/** How long (ms) what was written may take into the file. */
const WRITING = 1000;

/** What it has written itself is what there should be. */
const TICKER = `const fs = require('node:fs');
const own = fs.openSync(process.argv[2], 'a');
process.stdout.on('error', () => {});
let count = 0;
setInterval(() => { const line = process.pid + ' ' + count++ + '\\n'; fs.writeSync(own, line); process.stdout.write(line); }, 1);
process.on('SIGINT', () => process.exit());`;
const WEB = `require('node:http').createServer((request, response) => response.end('ok')).listen(Number(process.env.PORT), '127.0.0.1');`;

/** @type {Record<string, { make: () => import('../../bench/manager/managers.js').Rival, verb: string }>} */
const MANAGERS = { rcluster: { make: rcluster, verb: 'list' }, pm2: { make: pm2, verb: 'resurrect' } };

/** @typedef {{ requests: number, failed: number, written: number, missing: number, twice: number, others: number }} Figures */

/** @param {number} port */
function wrk(port) {
  const child = spawn('wrk', ['-t', '1', '-c', '32', '-d', `${LONGEST}s`, '--timeout', '30s', `http://127.0.0.1:${port}/`]);
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  const closed = once(child, 'close');
  return async () => {
    child.kill('SIGINT');
    await closed;
    const number = (/** @type {RegExp} */ pattern) => Number(pattern.exec(output)?.[1] ?? 0);
    const errors = [/connect (\d+)/, /read (\d+)/, /write (\d+)/, /timeout (\d+)/, /Non-2xx or 3xx responses: (\d+)/].map(number);
    return { requests: number(/(\d+) requests in/), failed: errors.reduce((sum, one) => sum + one, 0) };
  };
}

/** @param {string} file */
const linesOf = (file) => fs.readFileSync(file, 'utf8').split('\n').filter(Boolean);

/**
 * @param {string} name
 * @returns {Promise<Figures>}
 */
async function measure(name) {
  const { make, verb } = MANAGERS[name];
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-'));
  const inFolder = (/** @type {string} */ file) => path.join(folder, file);
  fs.writeFileSync(inFolder('web.js'), WEB);
  fs.writeFileSync(inFolder('ticker.js'), TICKER);
  const port = await freePort();
  const apps = [
    { name: 'web', script: 'web.js', cwd: folder, exec_mode: 'cluster', instances: 2, env: { PORT: `${port}` } },
    { name: 'ticker', script: 'ticker.js', cwd: folder, args: [inFolder('own')], out_file: inFolder('out.log') },
  ];
  fs.writeFileSync(inFolder('apps.config.js'), `module.exports = { apps: ${JSON.stringify(apps)} };`);
  const manager = make();
  try {
    manager.run('start', inFolder('apps.config.js'));
    manager.run('save');
    const pids = () => manager.list().map(({ pid }) => pid).sort((one, other) => one - other);
    const before = pids();
    const ended = wrk(port);
    for (let count = 0; count < KILLS; count++) {
      await sleep(PAUSE);
      process.kill(manager.daemon(), 'SIGKILL');
      manager.run(verb);
    }
    await sleep(PAUSE);
    const { requests, failed } = await ended();
    const after = pids();
    manager.run('stop', 'ticker');
    await sleep(WRITING);
    const [written, found] = [linesOf(inFolder('own')), linesOf(inFolder('out.log'))];
    const there = new Set(found);
    return {
      requests, failed,
      written: written.length,
      missing: written.filter((line) => !there.has(line)).length,
      twice: found.length - there.size,
      others: before.filter((pid) => !after.includes(pid)).length,
    };
  } finally {
    await manager.end();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function main() {
  endAllOnSignals();
  let names = values.only.split(',');
  const why = names.includes('pm2') ? withoutPm2() : undefined;
  if (why) {
    console.error(why);
    names = names.filter((name) => name !== 'pm2');
  }
  console.log(`${KILLS} kills of the daemon    requests      failed  lines written     missing       twice  other processes`);
  for (const name of names) {
    const figures = await measure(name);
    const { requests, failed, written, missing, twice, others } = figures;
    console.log(`${name.padEnd(20)}${[requests, failed, written, missing, twice, others].map((figure, index) => String(figure).padStart([14, 12, 15, 12, 12, 17][index])).join('')}`);
    if (name === 'rcluster' && (failed > 0 || missing > 0 || twice > 0 || others > 0 || requests === 0 || written === 0)) process.exitCode = 1;
  }
}

void main();
