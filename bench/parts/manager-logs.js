'use strict';

const { FILE, LINES, measure } = require('../manager/logs.js');
const { nameOfPm2, withoutPm2 } = require('../manager/managers.js');
const { buildManager } = require('../../scripts/build-manager.js');

/** @type {import('../lib/experiment.js').Experiment} */
const logs = {
  name: 'manager-logs',
  about: `A program writes ${LINES.toLocaleString('en')} lines as fast as it can, and ends.`,
  reference: FILE,
  takesPart: () => true,
  rivals() {
    const missing = withoutPm2();
    if (missing) console.log(missing);
    const pm2 = missing ? [] : [{ id: nameOfPm2(), kind: /** @type {const} */ ('pm2') }];
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
