'use strict';

// One HTTP request over a connection of its own.

const http = require('node:http');

/**
 * @param {number | string} port or the path of a Unix socket
 * @param {http.RequestOptions & { body?: string }} [options] as of `http.request`; by default GET / on 127.0.0.1,
 *   without keep-alive, and a timeout of 10,000 ms
 * @returns {Promise<{ status: number, headers: http.IncomingHttpHeaders, body: string }>}
 */
function request(port, { body, ...options } = {}) {
  const where = Number.isInteger(Number(port)) ? { host: '127.0.0.1', port: Number(port) } : { socketPath: String(port) };
  return new Promise((resolve, reject) => {
    const asked = http.request({ ...where, agent: false, timeout: 10_000, ...options }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      );
    });
    asked.on('timeout', () => asked.destroy(new Error(`no reply from ${JSON.stringify(where)} in time`)));
    asked.on('error', reject);
    asked.end(body);
  });
}

module.exports = { request };
