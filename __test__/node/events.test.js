'use strict';

// Private members of Node's `events` are what lib/node/ takes them for, in whichever Node this is.

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const FILE = path.join(__dirname, '..', '..', 'lib', 'node', 'events.js');

test.each([
  ['captureAsToldLater(cluster)', 'caught'],
  ['', 'not caught'],
])('captureAsToldLater: what a program says after the module was loaded holds (%s)', (call, said) => {
  const script = `
    const cluster = require('node:cluster');
    const { captureAsToldLater } = require(${JSON.stringify(FILE)});
    ${call};
    require('node:events').captureRejections = true;
    cluster.on('error', () => console.log('caught'));
    process.on('unhandledRejection', () => console.log('not caught'));
    cluster.on('mine', async () => { throw new Error('one'); });
    cluster.emit('mine');`;
  const { stdout } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } });
  expect(stdout.trim()).toBe(said);
});
