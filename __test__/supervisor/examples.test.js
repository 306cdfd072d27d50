'use strict';

const net = require('node:net');
const { once } = require('node:events');
const { KeepAliveClient } = require('../helpers/client');
const { request, startScript, waitFor, waitForDeath } = require('../helpers/run');

/** Starts an example on a free port, and waits until it says where it listens and who its workers are. */
async function startExample(name, env = {}) {
  const app = startScript(`examples/${name}`, { env: { PORT: '0', ...env } });
  const [, port] = await app.waitForLine(/^Listening on http:\/\/127\.0\.0\.1:(\d+)$/);
  const [, pids] = await app.waitForLine(/orkers ([\d, ]+)$/);
  return { app, port: Number(port), workers: pids.split(', ').map(Number) };
}

/** A port that is in use. */
async function takenPort(action) {
  const other = net.createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  try {
    return await action(other.address().port);
  } finally {
    other.close();
  }
}

describe('examples/supervise.js', () => {
  test('answers, and SIGTERM ends it cleanly', async () => {
    const { app, port, workers } = await startExample('supervise.js');
    expect(workers.length).toBeGreaterThanOrEqual(2);
    expect(workers).toContain(Number((await request(port)).body));
    expect(await app.stop()).toEqual({ code: 0, signal: null });
    expect(app.stderr).toEqual([]);
    await waitForDeath(workers);
  });

  test('a worker that throws is replaced, and its other connections go on', async () => {
    const { app, port } = await startExample('supervise.js');
    const clients = Array.from({ length: 10 }, () => new KeepAliveClient(port));
    await Promise.all(clients.map((client) => client.ask()));
    const pid = Number((await request(port, { path: '/crash' })).body);
    await app.waitForLine(new RegExp(`^Worker ${pid} crashed, another starts in \\d+ ms\\.$`));
    await waitForDeath([pid]);
    const replies = await Promise.all(clients.map((client) => client.ask()));
    expect(replies.every(({ status, body }) => status === 200 && Number(body) !== pid)).toBe(true);
    expect(clients.reduce((sum, { closed }) => sum + closed, 0)).toBe(0);
  });

  test('SIGHUP reloads', async () => {
    const { app, port, workers } = await startExample('supervise.js');
    process.kill(app.pid, 'SIGHUP');
    await app.waitForLine(new RegExp(`^Replaced ${workers.length} workers in \\d+ ms`));
    expect(workers).not.toContain(Number((await request(port)).body));
  });

  test('a port in use: it says so, and exits with code 1', async () => {
    await takenPort(async (port) => {
      const app = startScript('examples/supervise.js', { env: { PORT: `${port}` } });
      expect(await app.waitForExit()).toEqual({ code: 1, signal: null });
      expect(app.stderr.at(-1)).toMatch(/EADDRINUSE/);
    });
  });
});

describe('examples/graceful-exit.js', () => {
  test('a worker that throws tells the primary, finishes what it has, and exits with code 1', async () => {
    const { app, port, workers } = await startExample('graceful-exit.js');
    const slow = Array.from({ length: 8 }, () => request(port, { path: '/slow' }));
    await waitFor(async () => (await request(port)).status === 200);
    const pid = Number((await request(port, { path: '/crash' })).body);
    await app.waitForLine(new RegExp(`^Worker ${pid} leaves, worker \\d+ takes its place\\.$`));
    expect((await Promise.all(slow)).map(({ status }) => status)).toEqual(Array(8).fill(200));
    await app.waitForLine(new RegExp(`^Worker ${pid} ended \\(code 1\\)\\.$`));
    expect((await request(port)).status).toBe(200);
    expect(await app.stop()).toEqual({ code: 0, signal: null });
    await waitForDeath(workers);
  });

  test('one that is killed is replaced, too', async () => {
    const { app, port, workers } = await startExample('graceful-exit.js');
    process.kill(workers[0], 'SIGKILL');
    await app.waitForLine(new RegExp(`^Worker ${workers[0]} ended \\(SIGKILL\\)\\.$`));
    expect((await request(port)).status).toBe(200);
  });

  test('a port in use: it ends with code 1', async () => {
    await takenPort(async (port) => {
      const app = startScript('examples/graceful-exit.js', { env: { PORT: `${port}` } });
      expect(await app.waitForExit()).toEqual({ code: 1, signal: null });
      expect(app.stderr.join('\n')).toMatch(/EADDRINUSE/);
    });
  });
});
