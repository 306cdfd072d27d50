'use strict';

// Private members of Node's `http` are what lib/node/ takes them for, in whichever Node this is.

const { once } = require('node:events');
const http = require('node:http');
const net = require('node:net');
const node = require('../../lib/node/http.js');

/** @type {(() => void)[]} */
let undo;
beforeEach(() => {
  undo = [];
});
afterEach(() => {
  for (const one of undo) one();
});

/** A request that has come, on a connection that stays. */
async function asked(head = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n') {
  const server = http.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect(server.address().port, '127.0.0.1');
  client.setEncoding('utf8').on('error', () => {});
  client.write(head);
  const [request, response] = await once(server, 'request');
  undo.push(() => client.destroy(), () => request.socket?.destroy(), () => server.close());
  return { server, client, request, response, socket: request.socket };
}

test('parsersOf and responseOn: the connections of a server, and what is being written on them', async () => {
  const { server, client, request, response, socket } = await asked('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n');
  const sockets = (parsers) => parsers.map((parser) => parser.socket);
  expect(sockets(node.parsersOf(server).all())[0]).toBe(socket);
  expect(sockets(node.parsersOf(server).idle())).toHaveLength(0);
  expect(node.responseOn(socket)).toBe(response);
  client.write('body');
  await once(request.resume(), 'end');
  response.end('done');
  await once(client, 'data');
  expect(sockets(node.parsersOf(server).idle())[0]).toBe(socket);
  expect(node.responseOn(socket)).toBeFalsy();
  expect(node.parsersOf(net.createServer())).toBeUndefined();
});

test('connectionListener: what every HTTP server listens with', () => {
  expect(http.createServer().listeners('connection')).toEqual([node.connectionListener()]);
});

test('detachHttp: the connection is only a socket, and the server forgets it', async () => {
  const { server, client, response, socket } = await asked();
  node.detachHttp(socket);
  expect([socket.parser, node.responseOn(socket), response.socket]).toEqual([null, null, null]);
  expect(node.parsersOf(server).all()).toHaveLength(0);
  socket.write('by hand');
  expect(await once(client, 'data')).toEqual(['by hand']);
  // One that no HTTP server has.
  node.detachHttp(new net.Socket());
});

test.each([
  ['writeHead', (response) => response.writeHead(200, { 'X-A': '1' }).end('text')],
  ['setHeader', (response) => response.setHeader('X-A', '1').end('text')],
  ['flushHeaders', (response) => (response.setHeader('X-A', '1'), response.flushHeaders(), response.end('text'))],
])('aroundHeaders and written: headers by %s can be changed once, just before they leave', async (_how, answer) => {
  const { client, response } = await asked();
  const calls = [];
  node.aroundHeaders(response, (write, headers) => {
    calls.push(headers);
    write(headers);
  });
  answer(response);
  const [text] = await once(client, 'data');
  expect(text).toMatch(/^HTTP\/1.1 200 OK\r\nX-A: 1\r\n/);
  expect(calls).toHaveLength(1);
  expect(node.written(response)).toEqual({ hasBody: true, header: expect.stringContaining('X-A: 1\r\n') });
});

test('written: an answer to HEAD has no body', async () => {
  const { client, response } = await asked('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
  response.end();
  await once(client, 'data');
  expect(node.written(response).hasBody).toBe(false);
});

test('keepOpen: the connection goes on though the answer said that it ends', async () => {
  const { server, client, response } = await asked();
  response.setHeader('Connection', 'close');
  response.prependOnceListener('finish', () => node.keepOpen(response));
  response.end('first');
  expect((await once(client, 'data'))[0]).toContain('Connection: close');
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const [, second] = await once(server, 'request');
  second.end('second');
  expect((await once(client, 'data'))[0]).toContain('second');
});
