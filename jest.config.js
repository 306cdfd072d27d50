'use strict';

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  globalSetup: '<rootDir>/__test__/helpers/global_setup.js',
  globalTeardown: '<rootDir>/__test__/helpers/global_teardown.js',
  testMatch: ['<rootDir>/__test__/**/*.test.js'],
  testPathIgnorePatterns: ['/node_modules/', '/__test__/node-suite/', '/__test__/fixtures/'],
  modulePathIgnorePatterns: ['<rootDir>/.cache/', '<rootDir>/target/'],
  // Each test starts processes of its own: more than two files at a time measure the machine, not rcluster.
  maxWorkers: 2,
  testTimeout: 30_000,
};
