'use strict';

const os = require('node:os');

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  setupFilesAfterEnv: ['<rootDir>/__test__/helpers/retry.js'],
  globalSetup: '<rootDir>/__test__/helpers/global_setup.js',
  globalTeardown: '<rootDir>/__test__/helpers/global_teardown.js',
  // The code is CommonJS as Node runs it: nothing has to be translated.
  transform: {},
  reporters: ['default', '<rootDir>/__test__/helpers/reporter.js'],
  testMatch: ['<rootDir>/__test__/**/*.test.js'],
  testPathIgnorePatterns: ['/node_modules/', '/__test__/node-suite/', '/__test__/fixtures/'],
  modulePathIgnorePatterns: ['<rootDir>/.cache/', '<rootDir>/target/'],
  // Most of the time a test waits for processes of its own: with one file per processor more than half of each would idle.
  maxWorkers: Math.max(2, 2 * os.availableParallelism()),
  testSequencer: '<rootDir>/__test__/helpers/sequencer.js',
  // For what nothing else limits: what a test waits for has 15 s, each (helpers/run.js), and some wait for a dozen things in a row.
  testTimeout: 60_000,
};
