'use strict';

// As in the documentation of socket.io: @socket.io/sticky keeps a session with its worker, and
// @socket.io/cluster-adapter brings what one worker emits to the clients of the others.

const cluster = require('node:cluster');
const http = require('node:http');
const { createAdapter, setupPrimary } = require('@socket.io/cluster-adapter');
const { setupMaster, setupWorker } = require('@socket.io/sticky');

if (cluster.isPrimary) {
  const server = http.createServer();
  setupMaster(server, { loadBalancingMethod: 'round-robin' });
  setupPrimary();
  cluster.setupPrimary({ serialization: 'advanced' });
  let online = 0;
  cluster.on('online', () => {
    if (++online === 2) server.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
  });
  cluster.fork();
  cluster.fork();
} else {
  const { Server } = require('socket.io');
  const io = new Server(http.createServer());
  io.adapter(createAdapter());
  setupWorker(io);
  io.on('connection', (socket) => {
    socket.emit('welcome', process.pid);
    socket.on('whoServes', (answer) => answer(process.pid));
    socket.on('echo', (bytes, answer) => answer(bytes));
    socket.on('join', (room, answer) => answer(socket.join(room)));
    socket.on('shout', (text) => io.emit('shouted', text));
    socket.on('whisper', (room, text) => socket.to(room).emit('whispered', text));
    socket.on('everyone', async (answer) => answer((await io.fetchSockets()).map(({ id }) => id)));
    socket.on('askWorkers', (answer) => io.serverSideEmit('whichWorker', (error, pids) => answer(pids)));
  });
  io.on('whichWorker', (answer) => answer(process.pid));
}
