'use strict';

// Private members of Node's `net` and `dgram` are what lib/node/ takes them for, in whichever Node this is.

const dgram = require('node:dgram');
const { spawnSync } = require('node:child_process');
const EventEmitter = require('node:events');
const { once } = EventEmitter;
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const tls = require('node:tls');
const { load } = require('../../lib/native.js');
const { udpHandle } = require('../../lib/node/dgram.js');
const node = require('../../lib/node/net.js');
const { waitFor } = require('../helpers/run');

/** @type {{ close(): void }[]} */
let open;
beforeEach(() => {
  open = [];
});
afterEach(() => {
  for (const one of open) one.close();
});

/** A server, with both ends of a connection to it. */
async function connected({ server = net.createServer(), ...options } = {}) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect({ port: server.address().port, host: '127.0.0.1', ...options });
  const [socket] = await once(server, 'connection');
  for (const one of [socket, client]) {
    one.on('error', () => {});
    open.push({ close: () => one.destroy() });
  }
  open.push(server);
  return { server, socket, client };
}

test('rawHandle, openRaw and rawOf: a descriptor becomes a raw handle, such as Node has for its own', async () => {
  const { server, socket } = await connected();
  expect(node.rawOf(socket)).toBeInstanceOf(node.rawHandle('tcp'));
  expect(node.rawOf(server)).toBeInstanceOf(node.rawHandle('tcp'));
  const pipe = net.createServer().listen(path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-node-')), 's'));
  open.push(pipe);
  await once(pipe, 'listening');
  expect(node.rawOf(pipe)).toBeInstanceOf(node.rawHandle('pipe'));
  expect(node.rawOf(net.createServer())).toBeFalsy();

  const fd = load().newSocket('tcp');
  const raw = node.openRaw('tcp', fd);
  open.push(raw);
  expect([raw.fd, raw.constructor.name]).toEqual([fd, 'TCP']);
  expect(() => node.openRaw('udp', fs.openSync('/dev/null'))).toThrow(expect.objectContaining({ syscall: 'open' }));
});

test('openRaw: the first connection needs no other descriptor, so that one which comes as the last of a full table is served', async () => {
  const script = `
    const net = require('node:net');
    const fs = require('node:fs');
    const { openRaw } = require(${JSON.stringify(require.resolve('../../lib/node/net.js'))});
    const { load } = require(${JSON.stringify(require.resolve('../../lib/native.js'))});
    const server = net.createServer((socket) => socket.end('served')).listen(0, '127.0.0.1', () => {
      const client = net.connect(server.address().port, '127.0.0.1', () => {
        const got = [];
        client.on('data', (data) => got.push(data)).on('end', () => { process.stdout.write(Buffer.concat(got)); process.exit(); });
      });
      client.on('error', (error) => { throw error; });
      server._handle.onconnection = function (status, raw) {
        const fd = load().duplicateFd(raw.fd);
        raw.close();
        try { for (;;) fs.openSync('/dev/null'); } catch {}
        const socket = new net.Socket({ handle: openRaw('tcp', fd), readable: true, writable: true });
        socket.end('served');
      };
    });`;
  const { stdout, stderr } = spawnSync('sh', ['-c', 'ulimit -n 200; exec "$0" -e "$1"', process.execPath, script], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(stdout).toBe('served');
});

test('udpHandle: the raw handle of a datagram socket', async () => {
  const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  open.push(socket);
  await once(socket, 'listening');
  expect(udpHandle(socket)).toBeInstanceOf(node.rawHandle('udp'));
  expect(udpHandle(socket).fd).toBeGreaterThan(2);
});

test('net and dgram are the modules, loaded when they are asked for', () => {
  expect([node.net(), node.dgram()]).toEqual([net, dgram]);
});

test('takeRaw: the socket reads nothing more, and the handle is open', async () => {
  const { socket, client } = await connected();
  const got = jest.fn();
  socket.on('data', got);
  const raw = node.takeRaw(socket);
  expect(node.rawOf(socket)).toBe(null);
  await new Promise((resolve) => {
    client.write('unread', resolve);
  });
  // Whatever would be read is read in the next turn.
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  const adopted = new net.Socket({ handle: node.openRaw('tcp', load().duplicateFd(raw.fd)) });
  open.push({ close: () => adopted.destroy() });
  raw.close();
  adopted.setEncoding('utf8');
  expect(await once(adopted, 'data')).toEqual(['unread']);
  expect(got).not.toHaveBeenCalled();
});

test('listenOn: a server listens on a raw handle', async () => {
  const { server } = await connected();
  const other = net.createServer();
  open.push(other);
  node.listenOn(other, node.openRaw('tcp', load().duplicateFd(node.rawOf(server).fd), true));
  await once(other, 'listening');
  expect(other.address()).toEqual(server.address());
});

test('bindPipe: a raw handle that is bound, or an error', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-node-'));
  const raw = node.bindPipe(path.join(folder, 's'));
  open.push(raw);
  expect(raw).toBeInstanceOf(node.rawHandle('pipe'));
  expect(node.bindPipe(path.join(folder, 'none', 's'))).toBeLessThan(0);
  fs.rmSync(folder, { recursive: true });
});

test('connectionsOf, forgetConnection and whenConnectionEnds: what a server knows of its connections', async () => {
  const { server, socket, client } = await connected();
  expect([node.connectionsOf(server), node.connectionsOf(dgram.createSocket('udp4').unref())]).toEqual([1, undefined]);
  const seen = [];
  node.whenConnectionEnds(server, () => seen.push(node.connectionsOf(server)));
  socket.destroy();
  client.destroy();
  await waitFor(() => seen.length > 0);
  expect(seen[0]).toBe(0);

  const { server: other, socket: sent } = await connected();
  node.forgetConnection(other);
  expect(node.connectionsOf(other)).toBe(0);
  sent.server = null; // As one that has been sent.
});

test('keyOf and countWith: a server asks who has its sockets how many there are', async () => {
  const { server } = await connected();
  expect(node.keyOf(server)).toBe('4:127.0.0.1:0');
  const list = Object.assign(new EventEmitter(), {
    getConnections: (callback) => callback(null, 3),
    close: (callback) => callback(null),
  });
  node.countWith(server, list);
  const count = await new Promise((resolve, reject) => {
    server.getConnections((error, number) => (error ? reject(error) : resolve(number)));
  });
  expect(count).toBe(4);
});

test('serverOf: where a connection came from, whatever the program says', async () => {
  const { server, socket, client } = await connected();
  socket.server = 'mine';
  expect([node.serverOf(socket), node.serverOf(client)]).toEqual([server, null]);
});

test('hasEnd and hasSentAll: what is known to the kernel alone', async () => {
  const { socket, client } = await connected();
  expect([node.hasEnd(socket), node.hasSentAll(socket)]).toEqual([false, true]);
  client.pause();
  while (socket.write(Buffer.alloc(1 << 20)));
  expect(node.hasSentAll(socket)).toBe(false);
  client.end();
  socket.resume();
  await waitFor(() => node.hasEnd(socket));
});

test('serverData and setServerData: TLS servers share the keys of their tickets, others have nothing to share', () => {
  const [one, other] = [tls.createServer(), tls.createServer()];
  expect(node.serverData(net.createServer())).toBe(null);
  const data = node.serverData(one);
  node.setServerData(other, JSON.parse(JSON.stringify(data)));
  expect(other.getTicketKeys()).toEqual(one.getTicketKeys());
  node.setServerData(net.createServer(), data);
  expect(() => node.setServerData(other, { ticketKeys: 7 })).toThrow();
});

test('untilTimeout: how long a socket may stay idle', async () => {
  const { socket } = await connected();
  socket.setTimeout(60_000);
  const left = node.untilTimeout(socket);
  expect(left).toBeLessThanOrEqual(60_000);
  expect(left).toBeGreaterThan(30_000);
  await waitFor(() => node.untilTimeout(socket) < left);
  // A clock of the program's own tells nothing.
  expect(node.untilTimeout({ timeout: 5 })).toBe(5);
});

test('zeroIsLimit: what a server with maxConnections = 0 does', async () => {
  const server = Object.assign(net.createServer(), { maxConnections: 0 });
  open.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect(server.address().port, '127.0.0.1');
  open.push({ close: () => client.destroy() });
  client.on('error', () => {});
  const dropped = await Promise.race([once(server, 'drop').then(() => true), once(server, 'connection').then(([socket]) => !socket.destroy())]);
  expect(node.zeroIsLimit()).toBe(dropped);
});

test('afterListening: servers of every kind, as soon as their handle has somebody to give connections to', async () => {
  const { prototype } = net.Server;
  const listen2 = Object.getOwnPropertyDescriptor(prototype, '_listen2');
  open.push({ close: () => Object.defineProperty(prototype, '_listen2', /** @type {any} */ (listen2)) });
  const looked = [];
  node.afterListening((server) => looked.push([server, typeof node.rawOf(server)?.onconnection]));
  const servers = [net.createServer(), tls.createServer(), require('node:http').createServer(), require('node:http2').createSecureServer()];
  for (const server of servers) {
    open.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  expect(looked.map(([server, kind]) => [servers.indexOf(server), kind])).toEqual(servers.map((_, index) => [index, 'function']));
  // One that cannot listen.
  const late = net.createServer().listen(servers[0].address().port, '127.0.0.1');
  await once(late, 'error');
  expect([looked.at(-1)[0] === late, looked.at(-1)[1]]).toEqual([true, 'undefined']);
});

test('rawUnder: the handle of TCP that one of TLS has, and asks for addresses', async () => {
  const { socket } = await connected();
  const secure = new tls.TLSSocket(socket, { isServer: true });
  secure.on('error', () => {});
  const raw = node.rawOf(socket);
  expect(node.rawUnder(node.rawOf(secure))).toBe(raw);
  raw.getpeername = (out) => Object.assign(out, { address: '192.0.2.7' }) && 0;
  expect(secure.remoteAddress).toBe('192.0.2.7');
  secure.destroy();
});

test('defineOnSockets: a property of all sockets, also of TLS', async () => {
  open.push({ close: () => Reflect.deleteProperty(net.Socket.prototype, 'ofThisTest') });
  node.defineOnSockets('ofThisTest', (socket) => [socket]);
  const { socket } = await connected();
  expect([socket.ofThisTest[0] === socket, 'ofThisTest' in tls.TLSSocket.prototype]).toEqual([true, true]);
});
