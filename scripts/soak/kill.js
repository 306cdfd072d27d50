'use strict';

// Workers that are killed under load: only what they had already taken is lost, and no request hangs.
//   node scripts/soak/kill.js [--rounds 20] [--workers 4] [--clients 64]
//
// Each round: a cluster under `ab`, of which one worker is killed with SIGKILL each half second. The acceptor counts how many
// connections a killed worker had taken that were not over. Prints a line per round; exits with 1 when more requests
// failed than that, or one took longer than the patience.

const { fork, spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const KILLS = 6;
const PAUSE = 500; // ms
/** The longest (ms) that a request may take. */
const PATIENCE = 3000;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    workers: { type: 'string', default: '4' },
    clients: { type: 'string', default: '64' },
  },
});

/** @returns {Promise<{ app: import('node:child_process').ChildProcess, port: number }>} */
async function start() {
  const app = fork(path.join(__dirname, 'kill_app.js'), { env: { ...process.env, WORKERS: values.workers } });
  const [{ listening: port }] = await once(app, 'message');
  return { app, port };
}

/**
 * Runs `ab` until it is told to stop.
 *
 * @param {number} port
 */
function load(port) {
  const ab = spawn('ab', ['-r', '-q', '-s', '30', '-t', '60', '-n', '1000000', '-c', `${values.clients}`, `http://127.0.0.1:${port}/`]);
  let output = '';
  ab.stdout.on('data', (data) => (output += data));
  ab.stderr.on('data', (data) => (output += data));
  const done = once(ab, 'close');
  return {
    async stop() {
      ab.kill('SIGINT');
      await done;
      /** @param {RegExp} pattern */
      const number = (pattern) => Number(pattern.exec(output)?.[1] ?? 0);
      return {
        complete: number(/Complete requests:\s+(\d+)/),
        // A request that fails is counted once as received wrong, once as of wrong length, and once as an exception.
        failed: number(/Connect: (\d+)/) + Math.max(number(/Receive: (\d+)/), number(/Length: (\d+)/), number(/Exceptions: (\d+)/)),
        longest: number(/100%\s+(\d+)/),
      };
    },
  };
}

async function round() {
  const { app, port } = await start();
  const running = load(port);
  let taken = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(PAUSE);
    app.send('kill');
    const [{ connections }] = await new Promise((resolve) => {
      /** @param {any} message */
      const onMessage = (message) => {
        if (message.died === undefined) return;
        app.off('message', onMessage);
        resolve([message]);
      };
      app.on('message', onMessage);
    });
    taken += connections;
  }
  await sleep(PAUSE);
  const result = await running.stop();
  app.disconnect();
  await once(app, 'exit');
  return { ...result, taken };
}

async function main() {
  console.log('round  requests  failed  taken by those killed  longest (ms)');
  let bad = 0;
  const sum = { complete: 0, failed: 0, taken: 0, longest: 0 };
  for (let number = 1; number <= Number(values.rounds); number++) {
    const { complete, failed, longest, taken } = await round();
    const isBad = failed > taken || longest > PATIENCE || complete === 0;
    if (isBad) bad++;
    sum.complete += complete;
    sum.failed += failed;
    sum.taken += taken;
    sum.longest = Math.max(sum.longest, longest);
    console.log([`${number}`.padStart(5), `${complete}`.padStart(9), `${failed}`.padStart(7), `${taken}`.padStart(22), `${longest}`.padStart(13), isBad ? ' !' : ''].join(' '));
  }
  console.log([' all ', `${sum.complete}`.padStart(9), `${sum.failed}`.padStart(7), `${sum.taken}`.padStart(22), `${sum.longest}`.padStart(13)].join(' '));
  process.exitCode = bad ? 1 : 0;
}

main();
