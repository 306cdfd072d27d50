'use strict';

// What probes ask the primary, and the time between being told to stop and stopping.

const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { once } = require('node:events');
const path = require('node:path');
const { childrenOf, request, startScript, waitFor, waitForDeath } = require('../helpers/run');
const { COMMAND, startCommand } = require('../helpers/command');
const { temporaryFolder, writeScript } = require('../helpers/service');

/** A server that tells its port, and who answered; it listens when the file that it is given is there. */
function server() {
  const { existsSync } = require('node:fs');
  const app = require('node:http').createServer((asked, response) => response.end(`${process.pid}`));
  const listen = () => app.listen(0, '127.0.0.1', () => console.log(`port ${app.address().port}`));
  const look = () => (process.argv[2] === undefined || existsSync(process.argv[2]) ? listen() : setTimeout(look, 20));
  look();
}

const READY = /^rcluster: \d+ workers? (?:is|are) ready$/;

/** @param {string[]} options @param {string[]} [args] Of the script. */
async function start(options, args = []) {
  const command = startCommand(['--settle-time', '0', ...options, writeScript(server), '--', ...args]);
  const [, place] = await command.waitForLine(/^rcluster: \/live and \/ready are answered on (?:127\.0\.0\.1:)?(\S+)$/);
  const ask = async (url, how) => (await request(place, { path: url, ...how })).status;
  const ready = async () => {
    const { status, body } = await request(place, { path: '/ready' });
    return { status, ...JSON.parse(body) };
  };
  const port = async () => (await command.waitForLine(/^port (\d+)$/))[1];
  return { command, place, ask, ready, port };
}

const LOCAL = ['--health', '127.0.0.1:0'];

test('live from the start, ready when the workers are', async () => {
  const go = path.join(temporaryFolder(), 'go');
  const { command, ask, ready } = await start(['-i', '2', ...LOCAL], [go]);
  expect(await ask('/live')).toBe(200);
  expect(await ready()).toEqual({ status: 503, state: 'running', ready: 0, workers: 2, minReady: 1 });
  fs.writeFileSync(go, '');
  await command.waitForLine(READY);
  expect(await ready()).toEqual({ status: 200, state: 'running', ready: 2, workers: 2, minReady: 1 });
  expect(await ask('/ready', { method: 'HEAD' })).toBe(200);
  expect(await ask('/ready', { method: 'POST' })).toBe(405);
  expect(await ask('/metrics')).toBe(404);
  expect(await ask('/__proto__')).toBe(404);
  expect(await command.stop()).toEqual({ code: 0, signal: null });
});

test('with fewer ready workers than --min-ready it is not ready, until there are as many again', async () => {
  const { command, ready } = await start(['-i', '2', '--min-ready', '2', ...LOCAL]);
  await command.waitForLine(READY);
  const [pid] = childrenOf(command.pid);
  process.kill(pid, 'SIGKILL');
  await waitFor(async () => (await ready()).status === 503);
  await waitFor(async () => (await ready()).status === 200);
  expect(await ready()).toMatchObject({ ready: 2 });
});

test('more than there are workers is all of them', async () => {
  const { command, ready } = await start(['-i', '1', '--min-ready', '3', ...LOCAL]);
  await command.waitForLine(READY);
  expect(await ready()).toMatchObject({ status: 200, minReady: 3 });
});

test('a reload leaves it ready', async () => {
  const { command, ready } = await start(['-i', '1', ...LOCAL]);
  await command.waitForLine(READY);
  process.kill(command.pid, 'SIGHUP');
  await waitFor(async () => {
    expect((await ready()).status).toBe(200);
    return command.stderr.some((line) => /replaced 1 workers/.test(line));
  });
});

test('a port in use: one line, exit code 1, and no worker is left', async () => {
  const other = net.createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  try {
    const { port } = other.address();
    const command = startCommand(['-i', '2', '--health', `127.0.0.1:${port}`, writeScript(server)]);
    expect(await command.waitForExit()).toEqual({ code: 1, signal: null });
    expect(command.stderr).toEqual([`rcluster: The health endpoint cannot listen on 127.0.0.1:${port}: it is in use (EADDRINUSE)`]);
  } finally {
    other.close();
  }
});

test('a folder that there is not: it is said', async () => {
  const command = startCommand(['--health', '/nowhere/health.sock', writeScript(server)]);
  expect((await command.waitForExit()).code).toBe(1);
  expect(command.stderr).toEqual(['rcluster: The health endpoint cannot listen on /nowhere/health.sock: there is no such folder (ENOENT)']);
});

test('what is no place: one line, exit code 2', async () => {
  const command = startCommand(['--health', 'everywhere', writeScript(server)]);
  expect(await command.waitForExit()).toEqual({ code: 2, signal: null });
  expect(command.stderr).toEqual([expect.stringMatching(/^rcluster: The "health" option must be a port, .* Received type string \('everywhere'\)$/)]);
});

describe('a Unix socket', () => {
  test('that a killed primary has left is taken over, and is gone in the end', async () => {
    const file = path.join(temporaryFolder(), 'health.sock');
    const first = await start(['-i', '1', '--health', file]);
    await first.command.waitForLine(READY);
    const workers = childrenOf(first.command.pid);
    process.kill(first.command.pid, 'SIGKILL');
    await first.command.waitForExit();
    await waitForDeath(workers);
    expect(fs.existsSync(file)).toBe(true);
    const second = await start(['-i', '1', '--health', file]);
    await second.command.waitForLine(READY);
    expect(await second.ask('/ready')).toBe(200);
    await second.command.stop();
    expect(fs.existsSync(file)).toBe(false);
  });

  test('of another one that lives, and another file, are left alone', async () => {
    const file = path.join(temporaryFolder(), 'health.sock');
    const first = await start(['-i', '1', '--health', file]);
    const second = startCommand(['--health', file, writeScript(server)]);
    expect((await second.waitForExit()).code).toBe(1);
    expect(second.stderr).toEqual([`rcluster: The health endpoint cannot listen on ${file}: it is in use (EADDRINUSE)`]);
    expect(await first.ask('/live')).toBe(200);
    const text = path.join(temporaryFolder(), 'text');
    fs.writeFileSync(text, 'mine');
    expect((await startCommand(['--health', text, writeScript(server)]).waitForExit()).code).toBe(1);
    expect(fs.readFileSync(text, 'utf8')).toBe('mine');
  });
});

describe('--stop-delay', () => {
  const DELAY = ['--stop-delay', '3s', ...LOCAL];

  test('not ready at once, everything is served with Connection: close, the dead are replaced, and then it stops', async () => {
    const { command, ask, ready, port } = await start(['-i', '1', ...DELAY]);
    await command.waitForLine(READY);
    const service = await port();
    const agent = new http.Agent({ keepAlive: true });
    const { headers, body: pid } = await request(service, { agent });
    expect(headers.connection).toBe('keep-alive');
    const asked = Date.now();
    process.kill(command.pid, 'SIGTERM');
    await command.waitForLine(/^rcluster: SIGTERM: serving on for 3000 ms, then finishing /);
    expect(await ready()).toMatchObject({ status: 503, state: 'stopping', ready: 1 });
    expect(await ask('/ready?leaving=404')).toBe(404);
    expect(await ask('/live')).toBe(200);
    // On the connection that was there, and on a new one.
    await waitFor(async () => (await request(service)).headers.connection === 'close');
    expect((await request(service, { agent })).headers.connection).toBe('close');
    process.kill(Number(pid), 'SIGKILL');
    await waitFor(async () => (await request(service)).body !== pid);
    await waitFor(async () => (await request(service, { agent: new http.Agent({ keepAlive: true }) })).headers.connection === 'close');
    expect(await command.waitForExit()).toEqual({ code: 0, signal: null });
    expect(Date.now() - asked).toBeGreaterThanOrEqual(3000);
    agent.destroy();
  });

  test('a SIGTERM to the whole group replaces nobody', async () => {
    const { command, port } = await start(['-i', '1', ...DELAY]);
    await command.waitForLine(READY);
    const service = await port();
    const { body } = await request(service);
    command.signalGroup('SIGTERM');
    await command.waitForLine(/serving on/);
    await waitFor(async () => {
      const answer = await request(service).catch(() => undefined);
      if (answer) expect(answer.body).toBe(body);
      return !answer;
    });
    expect((await command.waitForExit()).code).toBe(0);
    expect(command.stderr.filter((line) => /replaced|another starts/.test(line))).toEqual([]);
  });

  test('a second signal ends at once', async () => {
    const { command, ready } = await start(['-i', '1', '--stop-delay', '10m', ...LOCAL]);
    await command.waitForLine(READY);
    process.kill(command.pid, 'SIGTERM');
    await waitFor(async () => (await ready()).state === 'stopping');
    const ended = command.waitForExit();
    let isOver = false;
    void ended.then(() => (isOver = true));
    // What comes within 300 ms of the first is taken for the same.
    await waitFor(() => {
      if (!isOver) process.kill(command.pid, 'SIGTERM');
      return isOver;
    });
    expect(await ended).toEqual({ code: 143, signal: null });
  });

  test('a service that was never ready does not wait', async () => {
    const { command } = await start(['-i', '1', '--stop-delay', '10m', ...LOCAL], [path.join(temporaryFolder(), 'never')]);
    expect(await command.stop()).toEqual({ code: 0, signal: null });
  });
});

describe('rcluster health', () => {
  /** @param {string[]} args */
  async function probe(...args) {
    const command = startScript(COMMAND, { args: ['health', ...args], env: { RCLUSTER_HOME: temporaryFolder() } });
    const { code } = await command.waitForExit();
    return { code, said: [...command.stdout, ...command.stderr].join('\n') };
  }

  test('asks an endpoint: exit code 0 or 1', async () => {
    const go = path.join(temporaryFolder(), 'go');
    const { command, place } = await start(['-i', '1', ...LOCAL], [go]);
    expect(await probe(`127.0.0.1:${place}`)).toEqual({ code: 1, said: expect.stringMatching(/^503 {"state":"running","ready":0/) });
    expect(await probe('--live', `:${place}`)).toEqual({ code: 0, said: '200 live' });
    fs.writeFileSync(go, '');
    await command.waitForLine(READY);
    expect(await probe(`:${place}`)).toEqual({ code: 0, said: expect.stringMatching(/^200 {"state":"running","ready":1/) });
    await command.stop();
    expect(await probe(`:${place}`)).toEqual({ code: 1, said: expect.stringMatching(/^no answer: /) });
  });

  test('without one, or with two, it says how it is used: exit code 2', async () => {
    expect((await probe()).code).toBe(2);
    expect((await probe(':1', ':2')).code).toBe(2);
  });

  test('of an app where no manager runs: exit code 1', async () => {
    expect((await probe('app')).code).toBe(1);
  });
});
