'use strict';

// The npm library `http-proxy` behind TLS: node tls_proxy.js <port> <port of the service>

const http = require('node:http');
const https = require('node:https');
const { createRequire } = require('node:module');
const path = require('node:path');

const fromEcosystem = createRequire(path.resolve(__dirname, '..', '..', '..', '__test__', 'ecosystem', 'package.json'));
const { createProxyServer } = fromEcosystem('http-proxy');
const { generate } = fromEcosystem('selfsigned');

async function main() {
  const [port, target] = process.argv.slice(2).map(Number);
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }]);
  const agent = new http.Agent({ keepAlive: true });
  const proxy = createProxyServer({ target: { host: '127.0.0.1', port: target }, agent });
  proxy.on('error', (/** @type {Error} */ error, /** @type {any} */ request, /** @type {any} */ response) => {
    console.error(error.message);
    response.writeHead(502).end(error.message);
  });
  const server = https.createServer({ key, cert, keepAliveTimeout: 120_000 }, (request, response) => proxy.web(request, response));
  server.listen(port, '127.0.0.1');
}

void main();
