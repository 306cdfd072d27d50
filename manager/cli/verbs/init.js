'use strict';

const fs = require('node:fs');

const { print } = require('../say.js');

const SAMPLE = `module.exports = {
  apps: [
    {
      name: 'app',
      script: './app.js',
      // A Node server over all cores; leave it out for a program that is to run once.
      instances: 'max',
      env: { NODE_ENV: 'development' },
      // rcluster start --env production
      env_production: { NODE_ENV: 'production' },
      max_memory_restart: '500M',
    },
  ],
};
`;

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Writes a sample configuration file into this folder.',
  usage: '',
  needsDaemon: false,
  run() {
    const file = isModule() ? 'ecosystem.config.cjs' : 'ecosystem.config.js';
    try {
      fs.writeFileSync(file, SAMPLE, { flag: 'wx' });
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') throw new Error(`there is a file "${file}" already`, { cause: error });
      throw error;
    }
    print(`${file} is written: say there what is to run, then rcluster start`);
  },
};

/** Whether files of this folder that end with .js are modules. */
function isModule() {
  try {
    return JSON.parse(fs.readFileSync('package.json', 'utf8')).type === 'module';
  } catch {
    return false;
  }
}
