'use strict';

// A TLS, HTTPS or HTTP/2 server on two workers. The tickets of one worker are good for the others, as Node shares the
// keys that encrypt them through the cluster.

const cluster = require('node:cluster');
const fs = require('node:fs');

if (cluster.isPrimary) {
  require('../helpers/announce')(cluster, 2);
  cluster.fork();
  cluster.fork();
} else {
  const key = fs.readFileSync(process.env.KEY_FILE);
  const cert = fs.readFileSync(process.env.CERT_FILE);
  const servers = {
    tls: () => require('node:tls').createServer({ key, cert }, (socket) => socket.end(`${process.pid}`)),
    https: () => require('node:https').createServer({ key, cert }, (request, response) => response.end(`${process.pid}`)),
    http2: () =>
      require('node:http2').createSecureServer({ key, cert, allowHTTP1: true }, (request, response) => {
        response.end(`${process.pid} ${request.httpVersion}`);
      }),
  };
  servers[process.env.KIND]().listen(0, '127.0.0.1');
}
