'use strict';

const { LINES, measure } = require('../manager/logs.js');
const { buildManager } = require('../../scripts/build-manager.js');

const FILE = 'program > file';

/** @type {import('../lib/experiment.js').Experiment} */
const logs = {
  name: 'manager-logs',
  about: `A program writes ${LINES.toLocaleString('en')} lines as fast as it can, and ends.`,
  reference: FILE,
  takesPart: () => true,
  rivals() {
    if (!process.env.BENCH_PM2) console.log('PM2 is left out: BENCH_PM2 names no folder that it is installed in');
    const pm2 = process.env.BENCH_PM2 ? [{ id: 'PM2', kind: /** @type {const} */ ('pm2') }] : [];
    return [{ id: FILE, kind: 'file' }, { id: 'rcluster', kind: 'manager' }, ...pm2];
  },
  metrics: {
    lines: { title: 'lines per second into the file', unit: '/s', chart: true },
    cpu: { title: 'CPU of the manager per million lines', unit: 's', digits: 2, chart: true },
  },
  targets: [
    { text: 'lines per second', rival: 'rcluster', metric: 'lines', of: 'ratio', againstRival: FILE, atLeast: 0.9 },
    { text: 'CPU per million lines', rival: 'rcluster', metric: 'cpu', of: 'value', atMost: 0.25 },
  ],
  prepare: buildManager,
  measure: (rival) => measure(/** @type {'file' | 'manager' | 'pm2'} */ (rival.kind)),
};

module.exports = [logs];
