'use strict';

// A cluster that serves, and clients of it: for what is shown of boards.

const http = require('node:http');
const { once } = require('node:events');

const { freePort } = require('../helpers/free_port');

const SERVER = `
  require('node:http').createServer((request, response) => {
    response.statusCode = request.url === '/bad' ? 500 : 200;
    response.end('x');
  }).listen(Number(process.env.PORT), '127.0.0.1');`;

/**
 * A cluster `web` of two workers, whose requests are counted.
 *
 * @param {import('./home').Home} home
 */
async function startCluster(home) {
  home.write('server.js', SERVER);
  const env = { ...process.env, PORT: `${await freePort()}` };
  await home.manager.start([{ name: 'web', script: 'server.js', cwd: home.folder, mode: 'cluster', instances: 2, clusterArgs: ['--count-requests'], env }]);
  return Number(env.PORT);
}

/**
 * Asks again and again, each time over a connection of its own, until `isOver`: every fifth answer is an error, and not always one of
 * the same worker where two take turns.
 *
 * @param {number} port
 * @param {() => boolean} isOver
 */
async function keepAsking(port, isOver) {
  for (let at = 0; !isOver(); at++) {
    const [response] = await once(http.get({ port, host: '127.0.0.1', path: at % 5 === 0 ? '/bad' : '/', agent: false }), 'response');
    response.resume();
    await once(response, 'end');
  }
}

module.exports = { keepAsking, startCluster };
