'use strict';

// What signals to the command, to its workers, and to all of them do.

const { KeepAliveClient } = require('../helpers/client');
const { testWith } = require('../helpers/needs');
const { childrenOf, endWithTest, isAlive, request, waitFor, waitForDeath } = require('../helpers/run');
const { COMMAND, startCommand } = require('../helpers/command');
const { temporaryFolder, writeScript } = require('../helpers/service');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

/** An HTTP server that knows nothing of signals, and tells its port. `/slow` answers when it has been told to leave. */
function plainServer() {
  const cluster = require('node:cluster');
  const http = require('node:http');
  const draining = new Promise((resolve) => { cluster.once('draining', resolve); });
  const server = http.createServer(async (request_, response) => {
    if (request_.url === '/slow') {
      console.log('asked');
      await draining;
      setTimeout(() => response.end(`${process.pid}`), 100);
    } else if (request_.url === '/never') {
      console.log('asked');
    } else {
      response.end(`${process.pid}`);
    }
  });
  server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
}

/** Starts the command with two workers, and waits until they are ready. */
async function start({ args = [], worker = plainServer, file = writeScript(worker) } = {}) {
  const command = startCommand(['-i', '2', '--settle-time', '100ms', ...args, file]);
  await command.waitForLine(/2 workers are ready/);
  const [, port] = await command.waitForLine(/^port (\d+)$/);
  return { command, port: Number(port), pids: childrenOf(command.pid), file };
}

test.each(['SIGTERM', 'SIGINT'])('%s finishes what is under way, exit code 0', async (signal) => {
  const { command, port, pids } = await start();
  const slow = request(port, { path: '/slow' });
  await command.waitForLine(/^asked$/);
  expect(await command.stop(signal)).toEqual({ code: 0, signal: null });
  expect((await slow).status).toBe(200);
  expect(command.stderr).toContain(`rcluster: ${signal}: finishing what is under way; once more to end at once`);
  await waitForDeath(pids);
});

test('a second one ends it at once, exit code 128 + n', async () => {
  const { command, port, pids } = await start();
  const lost = request(port, { path: '/never' }).catch(({ code }) => code);
  await command.waitForLine(/^asked$/);
  process.kill(command.pid, 'SIGTERM');
  await command.waitForLine(/finishing what is under way/);
  // The same signal within 300 ms is the same one.
  process.kill(command.pid, 'SIGTERM');
  await waitFor(() => {
    if (!isAlive(command.pid)) return true;
    process.kill(command.pid, 'SIGINT');
    return false;
  });
  expect(command.stderr).toContain('rcluster: SIGINT: ending at once');
  expect(await command.waitForExit()).toEqual({ code: 130, signal: null });
  expect(await lost).toBe('ECONNRESET');
  await waitForDeath(pids);
});

test('SIGHUP reloads, also what a link points to, and a failed reload leaves it running', async () => {
  const folder = temporaryFolder();
  writeScript(plainServer, path.join(folder, 'v1.js'));
  writeScript(() => process.exit(1), path.join(folder, 'v2.js'));
  const file = path.join(folder, 'app.js');
  const linkTo = (version) => {
    fs.symlinkSync(path.join(folder, version), `${file}.new`);
    fs.renameSync(`${file}.new`, file);
  };
  linkTo('v1.js');
  const { command, port, pids } = await start({ file });
  const client = new KeepAliveClient(port);
  await client.ask();
  process.kill(command.pid, 'SIGHUP');
  await command.waitForLine(/^rcluster: replaced 2 workers in \d+ ms$/);
  await waitForDeath(pids);
  linkTo('v2.js');
  process.kill(command.pid, 'SIGHUP');
  await command.waitForLine(/^rcluster: The reload failed, 2 of 2 workers stay as they were: Worker \d+ exited with code 1/);
  expect((await client.ask()).status).toBe(200);
  expect(client.closed).toBe(0);
  expect(await command.stop()).toEqual({ code: 0, signal: null });
});

test('SIGUSR2 writes the status', async () => {
  const { command, pids } = await start();
  process.kill(command.pid, 'SIGUSR2');
  await command.waitForLine(/^ {2}"leaving": \[\]$/);
  await command.waitForLine(/^}$/);
  const text = command.stderr.join('\n');
  const status = JSON.parse(text.slice(text.indexOf('{\n')));
  expect(status.workers.map(({ pid }) => pid)).toEqual(pids);
});

test('a signal while it starts', async () => {
  const command = startCommand(['-i', '2', '--ready', 'message', writeScript(plainServer)]);
  await command.waitForLine(/^port/);
  expect(await command.stop()).toEqual({ code: 0, signal: null });
});

test('a signal while a worker waits for its restart', async () => {
  const { command, file, pids } = await start();
  writeScript(() => process.exit(1), file);
  process.kill(pids[0], 'SIGKILL');
  await command.waitForLine(/another starts in/);
  expect(await command.stop()).toEqual({ code: 0, signal: null });
});

describe('to the whole group', () => {
  test('Ctrl-C in a terminal loses nothing', async () => {
    const { command, port } = await start();
    const clients = Array.from({ length: 20 }, () => new KeepAliveClient(port));
    await Promise.all(clients.map((client) => client.ask()));
    const replies = clients.map((client) => client.ask('/slow'));
    await waitFor(() => command.stdout.filter((line) => line === 'asked').length === 20);
    command.signalGroup('SIGINT');
    expect((await Promise.all(replies)).map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(await command.waitForExit()).toEqual({ code: 0, signal: null });
  });

  test('SIGTERM, as from a service manager, loses nothing', async () => {
    const { command, port } = await start();
    const slow = request(port, { path: '/slow' });
    await command.waitForLine(/^asked$/);
    command.signalGroup('SIGTERM');
    expect((await slow).status).toBe(200);
    expect(await command.waitForExit()).toEqual({ code: 0, signal: null });
  });

  test('SIGHUP and SIGUSR2 leave the workers to the primary', async () => {
    const { command, pids } = await start();
    command.signalGroup('SIGUSR2');
    await command.waitForLine(/"leaving"/);
    expect(pids.every(isAlive)).toBe(true);
    command.signalGroup('SIGHUP');
    await command.waitForLine(/replaced 2 workers/);
    expect(command.stderr.filter((line) => /another starts/.test(line))).toEqual([]);
  });
});

test.each([0, 143])('a worker that ends with code %d while its whole group is told to end is no crash, and the other finishes', async (code) => {
  function hasty() {
    const server = require('node:http').createServer((request_, response) => {
      console.log(`asked for ${request_.url}`);
      if (request_.url !== '/') {
        setInterval(() => require('node:fs').existsSync(process.argv[2]) && process.exit(Number(request_.url.slice(1))), 10);
        return;
      }
      setTimeout(() => response.end('late'), 600);
    });
    server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
  }
  const now = path.join(temporaryFolder(), 'now');
  const command = startCommand(['-i', '2', writeScript(hasty), now]);
  await command.waitForLine(/2 workers are ready/);
  const port = Number((await command.waitForLine(/^port (\d+)$/))[1]);
  const lost = request(port, { path: `/${code}` }).catch((error) => error.code);
  await command.waitForLine(/^asked for \/\d/);
  const reply = request(port);
  await command.waitForLine(/^asked for \/$/);
  const pids = childrenOf(command.pid);
  fs.writeFileSync(now, '');
  // The primary hears of the end of the worker first, and of its own signal then.
  await waitFor(() => pids.filter(isAlive).length === 1, { interval: 1 });
  command.signalGroup('SIGTERM');
  expect(await lost).toBe('ECONNRESET');
  expect((await reply).body).toBe('late');
  expect(await command.waitForExit()).toEqual({ code: 0, signal: null });
  expect(command.stderr.filter((line) => /another starts|is replaced|workers died/.test(line))).toEqual([]);
});

describe('to a worker', () => {
  test('SIGTERM: it is replaced first', async () => {
    const { command, port, pids } = await start();
    const client = new KeepAliveClient(port);
    await client.ask();
    process.kill(pids[0], 'SIGTERM');
    await waitForDeath([pids[0]]);
    expect((await client.ask()).status).toBe(200);
    expect(client.closed).toBe(0);
    await waitFor(() => childrenOf(command.pid).length === 2);
    expect(command.stderr).toContain(`rcluster: worker ${pids[0]} got SIGTERM: it is replaced`);
    expect(command.stderr.filter((line) => /another starts/.test(line))).toEqual([]);
  });

  test('again when the first replacement has failed', async () => {
    const { command, file, pids } = await start();
    writeScript(() => process.exit(1), file);
    process.kill(pids[0], 'SIGTERM');
    await command.waitForLine(/^rcluster: Worker \d+ exited with code 1/);
    expect(isAlive(pids[0])).toBe(true);
    writeScript(plainServer, file);
    process.kill(pids[0], 'SIGTERM');
    await waitForDeath([pids[0]]);
    expect((await command.waitForLine(/ready/))[0]).toBe('ready');
  });
});

describe('a script with a handler of its own for SIGTERM', () => {
  function selfish() {
    const server = require('node:http').createServer((request_, response) => {
      console.log('asked');
      setTimeout(() => response.end('late'), 300);
    });
    server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
    process.on('SIGTERM', () => server.close(() => process.exit(0)));
  }

  test('that finishes and exits: nothing is lost, exit code 0', async () => {
    const { command, port } = await start({ worker: selfish });
    const reply = request(port);
    await command.waitForLine(/^asked$/);
    command.signalGroup('SIGTERM');
    expect((await reply).body).toBe('late');
    expect(await command.waitForExit()).toEqual({ code: 0, signal: null });
  });

  test('sent to the command alone it does not run', async () => {
    const { command, port } = await start({ worker: selfish });
    const reply = request(port);
    await command.waitForLine(/^asked$/);
    expect(await command.stop()).toEqual({ code: 0, signal: null });
    expect((await reply).body).toBe('late');
  });

  test('that exits at once: the supervisor ends all the same', async () => {
    function rude() {
      const server = require('node:http').createServer().listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
      process.on('SIGTERM', () => process.exit(7));
    }
    const { command } = await start({ worker: rude });
    command.signalGroup('SIGTERM');
    expect(await command.waitForExit()).toEqual({ code: 0, signal: null });
  });
});

test('the primary that gets SIGKILL leaves nobody behind', async () => {
  const { command, pids } = await start({ worker: plainServer });
  process.kill(command.pid, 'SIGKILL');
  await waitForDeath(pids);
});

testWith('script')('the terminal is closed: it stops, and does not reload as a daemon would', async () => {
  const log = path.join(temporaryFolder(), 'log');
  function leavesWord() {
    require('node:http').createServer().listen(0, '127.0.0.1');
    process.on('exit', (code) => require('node:fs').appendFileSync(process.argv[2], `exit ${code}\n`));
  }
  // What gives it a terminal, and takes it away when it dies.
  const line = [process.execPath, COMMAND, '-i', '1', writeScript(leavesWord), log].map((word) => `'${word}'`).join(' ');
  const terminal = endWithTest(spawn('script', ['-qfc', `exec ${line}`, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] }));
  let text = '';
  terminal.stdout.on('data', (data) => (text += data));
  await waitFor(() => text.includes('1 worker is ready'));
  const [pid] = childrenOf(terminal.pid);
  const workers = childrenOf(pid);
  terminal.kill('SIGKILL');
  await waitForDeath([pid, ...workers]);
  expect(fs.readFileSync(log, 'utf8')).toBe('exit 0\n');
});
