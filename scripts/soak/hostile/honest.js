'use strict';

// An honest worker. What it keeps of a connection that says nothing is bounded, as with any server.

const http = require('node:http');

const server = http.createServer((request, response) => response.end(`${process.pid}`));
server.headersTimeout = 3000;
const { MAX_CONNECTIONS } = process.env;
if (Number(MAX_CONNECTIONS) > 0) server.maxConnections = Number(MAX_CONNECTIONS);
server.listen(0, '127.0.0.1');

process.on('message', () => process.send?.('pong'));
