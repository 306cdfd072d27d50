'use strict';

const net = require('node:net');
const { once } = require('node:events');
const { childrenOf, isAlive, request, startScript, waitFor, waitForDeath } = require('./helpers/run');

const CLEAN = { code: 0, signal: null };

/** Starts an example on a free port and waits until it says where it listens and who its workers are. */
async function startExample(name, env = {}) {
  const app = startScript(`examples/${name}`, { env: { PORT: '0', ...env } });
  const [, port] = await app.waitForLine(/^Listening on http:\/\/127\.0\.0\.1:(\d+)$/);
  const [, pids] = await app.waitForLine(/orkers ([\d, ]+)$/);
  const workers = pids.split(', ').map(Number);
  return { app, port: Number(port), workers };
}

/** @returns the pid that answers */
async function ask(port, options) {
  const { status, body } = await request(port, options);
  expect(status).toBe(200);
  expect(body).toMatch(/^\d+\n$/);
  return Number(body);
}

/** Asks, many at a time, until all or at least `count` of the workers have answered. */
async function askUntilServedBy(port, workers, count = workers.length) {
  const seen = new Set();
  await waitFor(
    async () => {
      const pids = await Promise.all(Array.from({ length: 50 }, () => ask(port)));
      for (const pid of pids) seen.add(pid);
      return seen.size >= count;
    },
    { message: () => `answers came only from ${[...seen].join(', ')}` },
  );
  expect(workers).toEqual(expect.arrayContaining([...seen]));
}

/** Ends an example with SIGTERM: exit code 0, no complaint, no process left. */
async function expectCleanEnd(app, workers) {
  expect(await app.stop('SIGTERM')).toEqual(CLEAN);
  expect(app.stderr).toEqual([]);
  await waitForDeath(workers);
}

describe('examples/http.js', () => {
  test('answers from all workers, and SIGTERM ends it cleanly', async () => {
    const { app, port, workers } = await startExample('http.js');
    expect(workers.length).toBeGreaterThanOrEqual(2);
    expect(new Set(workers)).toEqual(new Set(childrenOf(app.pid)));
    await askUntilServedBy(port, workers);
    await expectCleanEnd(app, workers);
  });

  test('says how to try it', async () => {
    const { app, port } = await startExample('http.js');
    await app.waitForLine(new RegExp(`curl http://127\\.0\\.0\\.1:${port}\\b`));
  });

  test('ends cleanly when it has only just begun', async () => {
    const app = startScript('examples/http.js', { env: { PORT: '0' } });
    const [worker] = await waitFor(() => {
      const children = childrenOf(app.pid);
      return children.length > 0 && children;
    });
    await expectCleanEnd(app, [worker]);
  });

  test.each([
    ['SIGTERM to the primary', (app) => process.kill(app.pid, 'SIGTERM')],
    ['Ctrl-C, which the workers get too,', (app) => app.signalGroup('SIGINT')],
  ])('after %s a half-sent request is still answered', async (_, stop) => {
    const { app, port, workers } = await startExample('http.js');
    const socket = net.connect(port, '127.0.0.1');
    socket.setEncoding('utf8');
    let received = '';
    socket.on('data', (chunk) => (received += chunk));
    // The reply to the first request shows that the beginning of the second, of the same packet, has arrived.
    socket.write('GET / HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n');
    const replies = () => [...received.matchAll(/\r\n\r\n(\d+)\n/g)].map((match) => Number(match[1]));
    const [pid] = await waitFor(() => replies().length === 1 && replies());

    stop(app);
    await waitFor(() => workers.filter(isAlive).length === 1, { message: 'the idle workers end' });
    const closed = once(socket, 'close');
    socket.write('\r\n');
    await closed;
    expect(replies()).toEqual([pid, pid]);
    expect(await app.waitForExit()).toEqual(CLEAN);
    expect(app.stderr).toEqual([]);
    await waitForDeath(workers);
  });

  test('a connection without a request does not keep it from ending', async () => {
    const { app, port, workers } = await startExample('http.js');
    const idle = net.connect(port, '127.0.0.1');
    idle.on('error', () => {});
    await once(idle, 'connect');
    await ask(port);
    expect(await app.stop()).toEqual(CLEAN);
    // Whether it has to be cut is up to the Node: newer ones may close it with the server.
    expect(app.stderr.filter((line) => !/the last connections are cut/.test(line))).toEqual([]);
    await waitForDeath(workers);
  });

  test('a worker that is killed is replaced', async () => {
    const { app, port, workers } = await startExample('http.js');
    process.kill(workers[0], 'SIGKILL');
    const [, replacement] = await app.waitForLine(/worker (\d+) replaces it/);
    const now = [...workers.slice(1), Number(replacement)];
    await askUntilServedBy(port, now);
    await expectCleanEnd(app, now);
  });

  test('a port in use: one line and exit code 1', async () => {
    const other = net.createServer().listen(0, '127.0.0.1');
    try {
      await once(other, 'listening');
      const { port } = other.address();
      const app = startScript('examples/http.js', { env: { PORT: String(port) } });
      expect(await app.waitForExit()).toEqual({ code: 1, signal: null });
      expect(app.stderr).toEqual([expect.stringMatching(new RegExp(`EADDRINUSE.*127\\.0\\.0\\.1:${port}`))]);
      expect(app.stdout).toEqual([]);
    } finally {
      other.close();
    }
  });

  test.each(['http', '65536', '-1'])('PORT=%s: one line and exit code 1', async (port) => {
    const app = startScript('examples/http.js', { env: { PORT: port } });
    expect(await app.waitForExit()).toEqual({ code: 1, signal: null });
    expect(app.stderr).toEqual([`PORT must be a number from 0 to 65535, not "${port}".`]);
  });
});

describe('examples/send-server.js', () => {
  test('the workers compete for connections, and SIGTERM ends it cleanly', async () => {
    const { app, port, workers } = await startExample('send-server.js');
    await askUntilServedBy(port, workers, 2);
    await expectCleanEnd(app, workers);
  });

  test('with one worker killed the others serve on', async () => {
    const { app, port, workers } = await startExample('send-server.js');
    process.kill(workers[0], 'SIGKILL');
    await waitForDeath(workers.slice(0, 1));
    const pids = await Promise.all(Array.from({ length: 20 }, () => ask(port)));
    expect(workers.slice(1)).toEqual(expect.arrayContaining(pids));
    expect(await app.stop()).toEqual(CLEAN);
    await waitForDeath(workers);
  });

  test('a port in use: one line and exit code 1', async () => {
    const { port } = await startExample('send-server.js');
    const second = startScript('examples/send-server.js', { env: { PORT: String(port) } });
    expect(await second.waitForExit()).toEqual({ code: 1, signal: null });
    expect(second.stderr).toEqual([expect.stringMatching(/EADDRINUSE/)]);
  });
});

describe('examples/send-socket.js', () => {
  test('a client address always gets the same worker, and SIGTERM ends it cleanly', async () => {
    const { app, port, workers } = await startExample('send-socket.js');
    const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'];
    const answers = await Promise.all(
      addresses.map((localAddress) => Promise.all(Array.from({ length: 10 }, () => ask(port, { localAddress })))),
    );
    for (const pids of answers) expect(new Set(pids).size).toBe(1);
    const served = new Set(answers.flat());
    expect(served.size).toBeGreaterThanOrEqual(2);
    expect(workers).toEqual(expect.arrayContaining([...served]));
    await expectCleanEnd(app, workers);
  });

  test('the clients of a killed worker move to another', async () => {
    const { app, port, workers } = await startExample('send-socket.js');
    const first = await ask(port);
    process.kill(first, 'SIGKILL');
    await app.waitForLine(new RegExp(`Worker ${first} ended`));
    const second = await ask(port);
    expect(second).not.toBe(first);
    expect(workers).toContain(second);
    expect(await app.stop()).toEqual(CLEAN);
    await waitForDeath(workers);
  });

  test('a port in use: one line and exit code 1', async () => {
    const { port } = await startExample('send-socket.js');
    const second = startScript('examples/send-socket.js', { env: { PORT: String(port) } });
    expect(await second.waitForExit()).toEqual({ code: 1, signal: null });
    expect(second.stderr).toEqual([expect.stringMatching(/EADDRINUSE/)]);
  });
});
