'use strict';

// A server for a webhook, which ends with the test.

const { once } = require('node:events');
const http = require('node:http');
const https = require('node:https');

/** @type {http.Server[]} */
const servers = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/**
 * `answer` decides about each request.
 *
 * @param {(index: number) => number | undefined} answer A status; nothing for no answer.
 * @param {{ key: string, cert: string }} [tls] By HTTPS.
 */
async function receiver(answer, tls) {
  /** @type {{ headers: http.IncomingHttpHeaders, body: string }[]} */
  const got = [];
  /** @type {http.RequestListener} */
  const serve = (req, res) => {
    let body = '';
    req.on('data', (chunk) => (body += chunk)).on('end', () => {
      const status = answer(got.push({ headers: req.headers, body }) - 1);
      if (status !== undefined) res.writeHead(status).end();
    });
  };
  const server = tls ? https.createServer(tls, serve) : http.createServer(serve);
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { got, url: `http${tls ? 's' : ''}://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}/hook` };
}

module.exports = { receiver };
