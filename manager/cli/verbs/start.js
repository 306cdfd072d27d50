'use strict';

const { appFromArguments, flags } = require('../app.js');
const { show } = require('../act.js');
const { configFile, readConfig } = require('../config.js');
const { usage } = require('../main.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Starts a script, the apps of a configuration file, or apps that were stopped.',
  usage: '<script | config file | name | id | namespace | all> [options] [-- arguments of the script]',
  flags,
  async run(manager, words, options) {
    if (words.length === 0) throw usage('start: what? Give a script, a configuration file, or the name of an app');
    const [first, ...rest] = words;
    const config = configFile(first);
    if (config) {
      const apps = await readConfig(config, { environment: options.env, only: options.only });
      show(await manager.start(apps), options);
      return;
    }
    const known = (await manager.list()).some(({ name, namespace, processes }) =>
      first === 'all' || name === first || namespace === first || processes.some(({ id }) => String(id) === first));
    if (known) {
      const apps = [];
      for (const target of words) apps.push(...(await manager.act(target, 'start')));
      show(apps, options);
      return;
    }
    show(await manager.start([appFromArguments(first, rest, options)]), options);
  },
};
