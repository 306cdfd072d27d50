'use strict';

// What stands behind the proxies: replies after a while, some of them long; `/slow?500` after 500 ms.

const http = require('node:http');

const LONG = Buffer.alloc(300_000, 'x');

const server = http.createServer((request, response) => {
  const time = Number(request.url?.split('?')[1] ?? Math.random() * 30);
  setTimeout(() => response.end(request.url === '/long' ? LONG : `${process.pid}`), time);
});
server.listen(Number(process.env.PORT), '127.0.0.1');
