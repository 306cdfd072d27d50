'use strict';

// The primary of a cluster is killed with SIGKILL again and again, while 32 clients ask over a new connection each time, as `ab -c 32` does:
//   node scripts/soak/primary_kills.js [--kills 10] [--only rcluster,pm2,node]
//
// rcluster   the cluster of an app: its keeper starts the next primary
// ab         the same under ab itself, which gives up when it is refused
// pm2        PM2's daemon, which is its primary; `pm2 resurrect` as soon as it has gone. Of bench/manager
// node       Node's own cluster, started anew as soon as its primary has gone
//
// Prints a line for each; exits with 1 when rcluster refuses a connection, or leaves more without an answer than its primaries had in their hands when
// they died: accepted from the kernel, and not yet passed on to a worker. Nobody else has such a connection; what had been passed on is served.

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const { endAllOnSignals, pm2, rcluster, withoutPm2 } = require('../../bench/manager/managers.js');
const { freePort } = require('../../__test__/helpers/free_port.js');
const { heldBy } = require('./held_by.js');

const { values } = parseArgs({ options: { kills: { type: 'string', default: '10' }, only: { type: 'string', default: 'rcluster,ab,pm2,node' } } });
const KILLS = Number(values.kills);
const CLIENTS = 32;
/** Between a new primary's first answer and the next kill (ms). */
const PAUSE = 1000;
/** How long (ms) a client that was refused waits, and how long a primary may take. */
const AGAIN = 5;
const PATIENCE = 30_000;

const WEB = `require('node:http').createServer((request, response) => response.end(String(process.ppid))).listen(Number(process.env.PORT), '127.0.0.1');`;
const NODE = `const cluster = require('node:cluster');
if (cluster.isPrimary) { cluster.fork(); cluster.fork(); } else require('./web.js');`;

/** @typedef {{ answered: number, refused: number, lost: number, longest: number }} Counts */

/**
 * One request over a connection of its own.
 *
 * @param {number} port
 * @returns {Promise<string>} The answer's body. Rejects with what has happened to it.
 */
function ask(port) {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = net.connect(port, '127.0.0.1');
    socket.setEncoding('latin1').on('data', (data) => (text += data)).on('error', reject);
    socket.on('close', () => {
      const [, body] = /^HTTP\/1.1 200 [^]*\r\n\r\n([^]+)$/.exec(text) ?? [];
      if (body === undefined) reject(new Error('no answer'));
      else resolve(body);
    });
    socket.write('GET / HTTP/1.0\r\nHost: x\r\n\r\n');
  });
}

/** @param {number} port */
function clients(port) {
  /** @type {Counts} */
  const counts = { answered: 0, refused: 0, lost: 0, longest: 0 };
  let on = true;
  const client = async () => {
    // From when it is wanted until there is an answer, however often that takes.
    let began = performance.now();
    while (on) {
      try {
        await ask(port);
        counts.answered++;
        counts.longest = Math.max(counts.longest, performance.now() - began);
        began = performance.now();
      } catch (error) {
        if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ECONNREFUSED') counts.refused++;
        else counts.lost++;
        await sleep(AGAIN);
      }
    }
  };
  const all = Array.from({ length: CLIENTS }, client);
  return {
    async end() {
      on = false;
      await Promise.all(all);
      return counts;
    },
  };
}

/** @param {number} port */
function ab(port) {
  const child = spawn('ab', ['-r', '-q', '-s', '30', '-t', '600', '-n', '10000000', '-c', String(CLIENTS), `http://127.0.0.1:${port}/`]);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  const closed = once(child, 'close');
  const number = (/** @type {RegExp} */ pattern) => Number(pattern.exec(output)?.[1] ?? 0);
  return {
    /** @returns {Promise<Counts>} */
    async end() {
      child.kill('SIGINT');
      await closed;
      const gaveUp = !/Complete requests/.test(output);
      const refused = number(/Connect: (\d+)/) + Number(gaveUp);
      return { answered: number(/Complete requests:\s+(\d+)/), refused, lost: Math.max(number(/Receive: (\d+)/), number(/Exceptions: (\d+)/)), longest: number(/100%\s+(\d+)/) };
    },
  };
}

/**
 * Until another primary's workers answer than the one that is (or was) `before`.
 *
 * @param {number} port
 * @param {number} [before]
 */
async function untilServed(port, before) {
  for (const until = Date.now() + PATIENCE; Date.now() < until; await sleep(AGAIN)) {
    const primary = Number(await ask(port).catch(() => before ?? 0));
    if (primary !== 0 && primary !== before) return primary;
  }
  throw new Error(`nobody has answered for ${PATIENCE / 1000} s`);
}

/**
 * @param {string} folder
 * @param {() => import('../../bench/manager/managers.js').Rival} make
 * @param {(rival: import('../../bench/manager/managers.js').Rival) => void} revive Whatever has to be done when the primary has been killed.
 */
function managed(folder, make, revive) {
  const rival = make();
  return {
    begin(/** @type {number} */ port) {
      fs.writeFileSync(path.join(folder, 'web.config.js'), `module.exports = { apps: [{ script: 'web.js', cwd: ${JSON.stringify(folder)}, exec_mode: 'cluster', instances: 2, env: { PORT: '${port}' } }] };`);
      rival.run('start', path.join(folder, 'web.config.js'));
      rival.run('save');
    },
    kill(/** @type {number} */ primary) {
      process.kill(primary, 'SIGKILL');
      revive(rival);
    },
    end: () => rival.end(),
  };
}

/** @param {string} folder */
function plain(folder) {
  /** @type {import('node:child_process').ChildProcess} */
  let child;
  let on = true;
  const start = (/** @type {number} */ port) => {
    child = spawn(process.execPath, [path.join(folder, 'node.js')], { env: { ...process.env, PORT: String(port) }, stdio: 'ignore' });
    child.on('exit', () => on && start(port));
  };
  return {
    begin: start,
    kill: (/** @type {number} */ primary) => void process.kill(primary, 'SIGKILL'),
    async end() {
      on = false;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** @type {Record<string, (folder: string) => { begin(port: number): void, kill(primary: number): void, end(): Promise<void> }>} */
const SUBJECTS = {
  rcluster: (folder) => managed(folder, rcluster, () => {}),
  ab: (folder) => managed(folder, rcluster, () => {}),
  pm2: (folder) => managed(folder, pm2, (rival) => void rival.run('resurrect')),
  node: plain,
};

/** Those of rcluster's. */
const OURS = ['rcluster', 'ab'];

/** @param {string} name */
async function measure(name) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-'));
  fs.writeFileSync(path.join(folder, 'web.js'), WEB);
  fs.writeFileSync(path.join(folder, 'node.js'), NODE);
  const subject = SUBJECTS[name](folder);
  const port = await freePort();
  try {
    subject.begin(port);
    let primary = await untilServed(port);
    let held = 0;
    const load = (name === 'ab' ? ab : clients)(port);
    try {
      for (let kill = 0; kill < KILLS; kill++) {
        await sleep(PAUSE);
        if (OURS.includes(name)) held += await heldBy(primary, port);
        subject.kill(primary);
        primary = await untilServed(port, primary);
      }
      await sleep(PAUSE);
    } catch (error) {
      await load.end();
      throw error;
    }
    return { ...await load.end(), held };
  } finally {
    await subject.end();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

async function main() {
  const names = values.only.split(',');
  const unknown = names.find((name) => !Object.hasOwn(SUBJECTS, name));
  if (unknown !== undefined || !Number.isInteger(KILLS) || KILLS < 1) throw new Error(`--only may name ${Object.keys(SUBJECTS).join(', ')}, and --kills must be 1 or more. Received '${values.only}' and '${values.kills}'`);
  endAllOnSignals();
  console.log(`${KILLS} kills, ${CLIENTS} clients\n`);
  console.log('             answered  refused  without an answer  in its hands  longest wait (ms)');
  for (const name of names) {
    const missing = name === 'pm2' ? withoutPm2() : name === 'ab' && spawnSync('ab', ['-V']).error ? 'ab is not there' : undefined;
    if (missing) {
      console.log(missing);
      continue;
    }
    const { answered, refused, lost, longest, held } = await measure(name);
    console.log([name.padEnd(12), `${answered}`.padStart(8), `${refused}`.padStart(8), `${lost}`.padStart(18), (OURS.includes(name) ? `${held}` : '').padStart(13), `${Math.round(longest)}`.padStart(18)].join(' '));
    if (OURS.includes(name) && (refused > 0 || lost > held || answered === 0)) process.exitCode = 1;
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 2;
});
