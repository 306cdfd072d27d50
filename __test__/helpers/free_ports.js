'use strict';

const { once } = require('node:events');
const net = require('node:net');

/** The first of so many ports in a row that nobody has, and that no client gets for its side of a connection (ip(7)). @returns {Promise<number>} */
async function freePorts(count) {
  const first = 10_000 + Math.floor(Math.random() * 20_000);
  const servers = [];
  try {
    for (let i = 0; i < count; i++) {
      const server = net.createServer().listen(first + i, '127.0.0.1');
      servers.push(server);
      await once(server, 'listening');
    }
    return first;
  } catch {
    return freePorts(count);
  } finally {
    for (const server of servers) server.close();
  }
}

module.exports = { freePorts };
