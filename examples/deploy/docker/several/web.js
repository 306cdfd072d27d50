'use strict';

const http = require('node:http');

http.createServer((_, response) => response.end(`from worker ${process.env.NODE_APP_INSTANCE}\n`)).listen(process.env.PORT);
