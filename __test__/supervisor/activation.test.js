'use strict';

// Sockets that whoever started us has opened: sd_listen_fds(3).

const path = require('node:path');
const { COMMAND } = require('../helpers/command');
const { freePort } = require('../helpers/free_port');
const { testWith } = require('../helpers/needs');
const { openDescriptors, request, startScript, waitFor, childrenOf } = require('../helpers/run');
const { temporaryFolder, writeScript } = require('../helpers/service');

/** Listens where it is told to. */
function server() {
  const http = require('node:http');
  const { ACTIVATED_PORT, SOCKET, HOST } = process.env;
  const where = SOCKET ? { path: SOCKET } : { port: Number(ACTIVATED_PORT), host: HOST };
  http.createServer((asked, response) => response.end(`${process.pid}`)).listen(where);
}

/** Starts the command with sockets that are open already. */
async function activate(list, env = {}) {
  const args = [list, process.execPath, COMMAND, '-i', '2', '--settle-time', '100ms', writeScript(server)];
  const script = startScript('__test__/fixtures/activate.py', { node: 'python3', args, env });
  const [, where] = await script.waitForLine(/^activated (.+) \d+$/);
  const [, pid] = await script.waitForLine(/^started (\d+)$/);
  return { script, where, pid: Number(pid) };
}

const testWithPython = testWith('python3');

testWithPython('a listen on that address uses the socket, and what has come before is served', async () => {
  const { script, where, pid } = await activate('0');
  // Nobody has started to listen yet.
  const early = request(where);
  await script.waitForLine(/2 workers are ready/);
  expect((await early).status).toBe(200);
  process.kill(pid, 'SIGHUP');
  await script.waitForLine(/replaced 2 workers/);
  expect((await request(where)).status).toBe(200);
  process.kill(pid, 'SIGTERM');
  expect(await script.waitForExit()).toEqual({ code: 0, signal: null });
});

testWithPython.each(['127.0.0.1', 'localhost'])('asked for as %s', async (host) => {
  const { script, where } = await activate('0', { HOST: host });
  await script.waitForLine(/2 workers are ready/);
  expect((await request(where)).status).toBe(200);
});

testWithPython('a Unix socket', async () => {
  const socket = path.join(temporaryFolder(), 'socket');
  const { script, where } = await activate(socket, { SOCKET: socket });
  expect(where).toBe(socket);
  await script.waitForLine(/2 workers are ready/);
  expect((await request(socket)).status).toBe(200);
});

testWithPython('of several each is used for its own address; workers inherit none of them', async () => {
  const socket = path.join(temporaryFolder(), 'socket');
  const { script, where, pid } = await activate(`0,${socket}`);
  await script.waitForLine(/2 workers are ready/);
  expect((await request(where)).status).toBe(200);
  const activated = script.stdout.flatMap((line) => /^activated .* (\d+)$/.exec(line)?.slice(1) ?? []).map((inode) => `socket:[${inode}]`);
  expect(openDescriptors(pid)).toEqual(expect.arrayContaining(activated));
  for (const worker of childrenOf(pid)) {
    const open = openDescriptors(worker);
    expect(open.length).toBeGreaterThan(5);
    for (const name of activated) expect(open).not.toContain(name);
  }
});

testWith('systemd-socket-activate')('by systemd-socket-activate', async () => {
  const port = await freePort();
  const env = { ACTIVATED_PORT: `${port}` };
  const args = ['-l', `127.0.0.1:${port}`, ...['ACTIVATED_PORT', 'PATH'].map((name) => `--setenv=${name}`)];
  const script = startScript(process.execPath, {
    node: 'systemd-socket-activate',
    execArgv: args,
    args: [COMMAND, '-i', '2', writeScript(server)],
    env,
  });
  await script.waitForLine(/Listening on 127\.0\.0\.1:\d+/);
  // It starts the command when the first one connects.
  expect((await request(port)).status).toBe(200);
  await waitFor(() => childrenOf(script.pid).length === 2);
  expect(await script.stop()).toEqual({ code: 0, signal: null });
});
