'use strict';

// What runs in the pods: replies after up to 30 ms; each twentieth takes a second.

const http = require('node:http');

let count = 0;
const server = http.createServer((request, response) => {
  const time = ++count % 20 === 0 ? 1000 : Math.random() * 30;
  setTimeout(() => response.end(`${process.pid}`), time);
});
server.listen(Number(process.env.PORT), '127.0.0.1');
