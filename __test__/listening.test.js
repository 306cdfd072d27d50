'use strict';

// What a worker's server can listen on, and what it, the primary and clients see of it: as with the built-in module.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { compare, runScenario } = require('./helpers/scenario');

/** @type {string} */
let folder;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-listening-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

/**
 * One worker listens on one address after the other; the primary connects to each in several ways. FOLDER stands for a
 * folder of this cluster's own, in which the worker runs.
 */
const oneByOne = {
  async primary({ args, cluster, once, report, side }) {
    const fs = require('node:fs');
    const net = require('node:net');
    const own = `${args.folder}/${side}`;
    process.umask(0o027);
    fs.mkdirSync(own);
    cluster.setupPrimary({ cwd: own });
    const worker = cluster.fork();
    for (let { listen, clients = [], file } of args.cases) {
      ({ listen, clients, file } = JSON.parse(JSON.stringify({ listen, clients, file }).replaceAll('FOLDER', own)));
      const listening = once(worker, 'listening');
      worker.send(listen);
      const [outcome] = await once(worker, 'message');
      const [info] = outcome.address ? await listening : [];
      const answers = [];
      for (const to of clients) {
        const socket = net.connect({ ...to, port: info.port });
        answers.push(await once(socket, 'data').then(String, ({ code }) => code));
        socket.destroy();
      }
      const mode = file && (fs.statSync(file).mode & 0o777).toString(8);
      if (info?.port > 0) info.port = outcome.address.port = 'a port';
      worker.send('close');
      await once(worker, 'message');
      const left = file && fs.existsSync(file);
      report(JSON.parse(JSON.stringify({ ...outcome, info, answers, mode, left }).replaceAll(own, 'FOLDER')));
    }
    worker.disconnect();
  },
  worker({ describe }) {
    const net = require('node:net');
    let server;
    process.on('message', (message) => {
      if (message === 'close') {
        if (server.listening) server.close(() => process.send('closed'));
        else process.send('closed');
        return;
      }
      server = net.createServer((socket) => socket.on('error', () => {}).end('served'));
      server.on('error', (error) => process.send({ error: { ...describe(error), ...error } }));
      server.on('listening', () => process.send({ address: server.address() }));
      try {
        server.listen(...message);
      } catch (error) {
        process.send({ thrown: describe(error) });
      }
    });
  },
};

const v4 = { host: '127.0.0.1' };
const v6 = { host: '::1' };

test('TCP over IPv4 and IPv6', async () => {
  const clients = [v4, v6];
  const { primary } = await compare(oneByOne, { args: { folder, cases: [
    { listen: [0], clients },
    { listen: [{ port: 0, host: '0.0.0.0' }], clients },
    { listen: [{ port: 0, host: '::' }], clients },
    { listen: [{ port: 0, host: '::', ipv6Only: true }], clients },
    { listen: [{ port: 0, host: '127.0.0.1' }], clients },
    { listen: [{ port: '0', host: '::1' }], clients },
    { listen: [{ port: 0, host: 'localhost' }], clients: [{ host: 'localhost' }] },
    { listen: [0, '127.0.0.1', 5], clients: [v4] },
  ] } });
  const served = (address, family) => ({ address: { address, family, port: 'a port' } });
  expect(primary).toMatchObject([
    { ...served('::', 'IPv6'), answers: ['served', 'served'], info: { addressType: 4, address: null, port: 'a port' } },
    { ...served('0.0.0.0', 'IPv4'), answers: ['served', 'ECONNREFUSED'] },
    { ...served('::', 'IPv6'), answers: ['served', 'served'] },
    { ...served('::', 'IPv6'), answers: ['ECONNREFUSED', 'served'], info: { addressType: 6, address: '::' } },
    { ...served('127.0.0.1', 'IPv4'), answers: ['served', 'ECONNREFUSED'] },
    { ...served('::1', 'IPv6'), answers: ['ECONNREFUSED', 'served'] },
    { answers: ['served'] },
    { answers: ['served'] },
  ]);
});

test('Unix sockets: their paths, permissions and files', async () => {
  const file = 'FOLDER/socket';
  const clients = [{ path: file }];
  const { primary } = await compare(oneByOne, { args: { folder, cases: [
    { listen: [file], clients, file },
    { listen: [{ path: 'socket' }], clients, file },
    { listen: ['./in/../socket'], clients, file },
    { listen: [{ path: file, readableAll: true }], file },
    { listen: [{ path: file, writableAll: true }], file },
    { listen: [{ path: file, readableAll: true, writableAll: true }], clients, file },
    { listen: [{ path: file, backlog: 3 }], clients, file },
  ] } });
  const info = { addressType: -1, address: file, port: -1 };
  expect(primary).toMatchObject(Array(7).fill({ info, left: false }));
  expect(primary.map(({ address }) => address)).toEqual([file, 'socket', './in/../socket', file, file, file, file]);
  expect(primary[0]).toMatchObject({ answers: ['served'], mode: '750' });
  expect(primary[5]).toMatchObject({ answers: ['served'] });
});

test('a Unix socket without a file', async () => {
  const name = `\0rcluster-test-${process.pid}`;
  const cases = [{ listen: [{ path: name }], clients: [{ path: name }] }];
  // The built-in module finds it only when workers run in the primary's folder.
  const { primary } = await runScenario(oneByOne, { args: { folder, cases } });
  expect(primary).toMatchObject([{ address: name, answers: ['served'] }]);
});

test('what cannot be listened on is an error, thrown or as an event', async () => {
  const { primary } = await compare(oneByOne, { args: { folder, cases: [
    { listen: [{ path: 'FOLDER/no/such/folder' }] },
    { listen: [{ port: 0, host: '203.0.113.7' }] },
    { listen: [{ port: 0, host: 'fe80::1%nosuch' }] },
    { listen: [{ fd: 999 }] },
    { listen: [{ fd: 0 }] },
    { listen: [{ port: 65536 }] },
    { listen: [{ port: -1 }] },
    { listen: [{ port: 'http' }] },
    { listen: [{}] },
  ] } });
  const errors = primary.map(({ error, thrown }) => (error ?? thrown).code);
  expect(errors).toEqual([
    'EACCES', 'EADDRNOTAVAIL', 'EINVAL', 'EINVAL', 'EINVAL',
    'ERR_SOCKET_BAD_PORT', 'ERR_SOCKET_BAD_PORT', 'ERR_SOCKET_BAD_PORT', 'ERR_INVALID_ARG_VALUE',
  ]);
  expect(primary[0].error).toMatchObject({ syscall: 'bind', port: -1 });
});
