'use strict';

// Ten reloads and a stop of the command behind what people have before it: no request is lost, and none hangs.
//   node scripts/soak/proxies.js [--reloads 10] [--clients 32] [--only nginx] [--policy rr]
//
// `ab -n` (not `-t`, which does not count what hangs at its end), HTTP/1.0 clients, nginx without and with upstream keep-alive,
// HAProxy, and the library `http-proxy` behind TLS. None of them may try again by itself. Before the stop each client asks once
// more, for something slow: that is what is under way then. What is not installed is left out. Prints a row for each; exits
// with 1 when anything was lost, or hung, or when the command did not end with code 0.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');

const { root } = require('../lib/sources.js');
const { startClients } = require('./proxies/clients.js');
const { FRONTS, freePort, startFront, untilListening } = require('./proxies/fronts.js');

/** How long (ms) the service is left alone between two reloads. */
const PAUSE = 300;

const { values } = parseArgs({
  options: {
    reloads: { type: 'string', default: '10' },
    clients: { type: 'string', default: '32' },
    only: { type: 'string', default: '' },
    policy: { type: 'string', default: 'rr' },
  },
});

/** @param {number} port */
async function startService(port) {
  const command = [path.join(root, 'bin', 'rcluster.js'), '-i', '2', '--settle-time', '200', '--policy', values.policy];
  const child = spawn(process.execPath, [...command, path.join(__dirname, 'proxies', 'app.js')], {
    env: { ...process.env, PORT: `${port}` },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (text) => (said += text));
  const ended = new Promise((resolve) => {
    child.once('close', resolve);
  });
  /** @param {RegExp} what */
  const until = async (what, from = 0) => {
    while (!what.test(said.slice(from))) {
      if (child.exitCode !== null) throw new Error(`the command has ended with code ${child.exitCode}:\n${said}`);
      await sleep(10);
    }
  };
  await untilListening(port, child);
  await until(/workers are ready/);
  return {
    async reload() {
      const from = said.length;
      child.kill('SIGHUP');
      await until(/replaced|failed/, from);
      if (!/replaced/.test(said.slice(from))) throw new Error(said.slice(from));
    },
    /** @returns {Promise<number | null>} Its exit code. */
    stop() {
      child.kill('SIGTERM');
      return ended;
    },
    kill() {
      child.kill('SIGKILL');
    },
  };
}

/**
 * @param {import('./proxies/fronts.js').Front} front
 * @param {string} folder
 */
async function measure(front, folder) {
  const servicePort = await freePort();
  const service = await startService(servicePort);
  /** @type {Awaited<ReturnType<typeof startFront>> | undefined} */
  let before;
  try {
    before = await startFront(front, folder, servicePort);
    const clients = startClients(front, before.port, Number(values.clients));
    for (let i = 0; i < Number(values.reloads); i++) {
      await sleep(PAUSE);
      await service.reload();
    }
    await clients.stop();
    const last = clients.askOnce('/slow?700');
    await sleep(350);
    const code = await service.stop();
    await last;
    clients.close();
    return { ...clients.tally, code };
  } finally {
    service.kill();
    await before?.stop();
  }
}

/** @param {(string | number)[]} cells */
const row = (cells) => console.log(cells.map((cell, index) => (index === 0 ? String(cell).padEnd(28) : String(cell).padStart(12))).join(''));

async function main() {
  let failed = false;
  row(['', 'requests', 'lost', 'hung', 'longest, ms', 'exit code']);
  for (const front of FRONTS.filter(({ name }) => name.includes(values.only))) {
    const missing = front.missing();
    if (missing) {
      console.log(`${front.name.padEnd(28)} left out: ${missing}`);
      continue;
    }
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-proxies-'));
    try {
      const { requests, lost, hung, longest, code, why } = await measure(front, folder);
      row([front.name, requests, lost, hung, Math.round(longest), code ?? 'none']);
      for (const [reason, times] of why) console.log(`    ${times} × ${reason}`);
      failed ||= lost > 0 || hung > 0 || code !== 0;
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
  }
  process.exitCode = failed ? 1 : 0;
}

void main();
