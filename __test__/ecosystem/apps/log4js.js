'use strict';

// log4js in a cluster: only the primary opens the file, and the workers' loggers send it their lines.

const cluster = require('node:cluster');
const log4js = require('log4js');

log4js.configure({
  appenders: {
    file: { type: 'file', filename: process.env.LOG_FILE, layout: { type: 'pattern', pattern: '%p %c %m' } },
  },
  categories: { default: { appenders: ['file'], level: 'info' } },
});
const LINES = 500;

if (cluster.isPrimary) {
  const logger = log4js.getLogger('primary');
  logger.info('starts');
  cluster.fork();
  cluster.fork();
  let left = 2;
  cluster.on('exit', (worker, code) => {
    logger.info('worker %d ended with %d', worker.id, code);
    if (--left === 0) log4js.shutdown(() => console.log('done'));
  });
} else {
  const logger = log4js.getLogger(`worker${cluster.worker.id}`);
  logger.debug('is not shown');
  for (let i = 0; i < LINES; i++) logger.info('line %d', i);
  logger.error(new RangeError('too far'));
  log4js.shutdown(() => cluster.worker.disconnect());
}
