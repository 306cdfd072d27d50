'use strict';

const http = require('node:http');

http
  .createServer((request, response) => {
    const { pid, argv, env } = process;
    response.end(JSON.stringify({ pid, args: argv.slice(2), index: env.CFORK_WORKER_INDEX, fromPrimary: env.FROM_PRIMARY }));
    if (request.url === '/throw') setImmediate(() => { throw new Error('on purpose'); });
    if (request.url === '/disconnect') process.disconnect();
  })
  .listen(0, '127.0.0.1');
