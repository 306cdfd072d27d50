'use strict';

// What a verb asks the daemon with: an answer comes whole, however it is cut, or not at all.

const net = require('node:net');
const path = require('node:path');
const { once } = require('node:events');
const { ask } = require('../../manager/ask.js');
const { temporaryFolder } = require('../helpers/service');

const BODY = JSON.stringify({ name: 'größer' });
const ANSWER = `HTTP/1.1 404 Not Found\r\nServer: rclusterd/1\r\nContent-Length: ${Buffer.byteLength(BODY)}\r\n\r\n${BODY}`;

let server;
let asked;

/** A daemon that writes these pieces, each in a turn of its own, when it has read all that is asked. */
async function daemonThatSays(pieces) {
  const socketPath = path.join(temporaryFolder(), 'daemon.sock');
  asked = '';
  server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', async (data) => {
      asked += data;
      if (!/\r\n\r\n/.test(asked)) return;
      for (const piece of pieces) {
        socket.write(piece);
        await new Promise(setImmediate);
      }
      socket.end();
    });
  }).listen(socketPath);
  await once(server, 'listening');
  return socketPath;
}

afterEach(() => server?.close());

test('an answer that comes byte by byte', async () => {
  const socketPath = await daemonThatSays([...Buffer.from(ANSWER)].map((byte) => Buffer.of(byte)));
  await expect(ask(socketPath, 'POST', '/v1/apps', { a: 'ö' })).resolves.toEqual({ status: 404, server: 'rclusterd/1', body: BODY });
  expect(asked).toMatch(/^POST \/v1\/apps HTTP\/1\.1\r\n[^]*content-length: 10\r\n\r\n\{"a":"ö"\}$/);
});

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[1,\n\r\n3;x=y\r\n 2]\r\n0\r\n\r\n';

test('an answer in chunks', async () => {
  await expect(ask(await daemonThatSays([CHUNKED.slice(0, 60), CHUNKED.slice(60)]), 'GET', '/v1/apps')).resolves.toEqual({ status: 200, server: '', body: '[1,\n 2]' });
});

test.each(['', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200 OK\r\n\r\n[]', ANSWER.slice(0, -1), CHUNKED.slice(0, -5), CHUNKED.slice(0, 60)])('a daemon that goes away after %j', async (text) => {
  await expect(ask(await daemonThatSays([text]), 'GET', '/v1/apps')).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test('nobody is there', async () => {
  await expect(ask(path.join(temporaryFolder(), 'none'), 'GET', '/v1/ping')).rejects.toMatchObject({ code: 'ENOENT' });
});

test.each([['GET', '/v1/ping HTTP/1.1\r\nx: y'], ['GET\r\n', '/v1/ping'], ['GET', '/v1/ö'], ['GET', '']])('nothing comes into the head of a request: %j %j', async (method, url) => {
  const socketPath = await daemonThatSays([ANSWER]);
  await expect(ask(socketPath, method, url)).rejects.toThrow('must be printable');
  expect(asked).toBe('');
});
