'use strict';

const { once } = require('node:events');
const { WebSocket } = require('ws');
const { childrenOf, serve, waitFor } = require('./helpers/start');

/** A client that keeps what it hears. */
async function connect(port) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  const heard = [];
  socket.on('message', (data, isBinary) => heard.push(isBinary ? data : JSON.parse(data)));
  await once(socket, 'open');
  await waitFor(() => heard.length > 0);
  const { pid } = heard.shift();
  return { socket, heard, pid };
}

test('ws: connections are spread, echo binary data, and hear what the clients of other workers say', async () => {
  const { app, port } = await serve('ws.js');
  const clients = await Promise.all(Array.from({ length: 10 }, () => connect(port)));
  try {
    const workers = childrenOf(app.pid);
    expect(workers).toEqual(expect.arrayContaining([...new Set(clients.map(({ pid }) => pid))]));

    const bytes = Buffer.alloc(300_000, 7);
    clients[0].socket.send(bytes);
    await waitFor(() => clients[0].heard.length > 0);
    expect(clients[0].heard.shift().equals(bytes)).toBe(true);

    for (let i = 0; i < 20; i++) clients[i % 10].socket.send(`message ${i}`);
    await waitFor(() => clients.every(({ heard }) => heard.length >= 20));
    const said = clients[0].heard.map(({ say }) => say);
    expect(new Set(said)).toEqual(new Set(Array.from({ length: 20 }, (_, i) => `message ${i}`)));
    // All hear the same, in the same order.
    for (const { heard } of clients) expect(heard).toEqual(clients[0].heard);
  } finally {
    for (const { socket } of clients) socket.terminate();
  }
});
