'use strict';

const { show } = require('../act.js');
const { keysFromOptions } = require('../app.js');
const { configFile } = require('../config_name.js');
const { environment } = require('../env.js');
const { START_FLAGS } = require('../flags.js');
const { appWith, rename } = require('../change.js');
const { appsFrom, bringAbout } = require('../start_apps.js');
const { TARGETS, forEach, needFiles, needTargets } = require('../targets.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Ends apps and starts them again; options change what they are.',
  usage: TARGETS,
  flags: START_FLAGS,
  async run(manager, words, options, rest) {
    needTargets('restart', words);
    const files = words.filter((word) => configFile(word));
    // As PM2: with what the file says now.
    if (files.length > 0) await bringAbout(manager, await appsFrom('restart', files, options), options, 'restart');
    const targets = words.filter((word) => !files.includes(word));
    if (targets.length === 0) return;
    needFiles(options);
    const since = Date.now();
    const keys = keysFromOptions(options);
    const env = options.updateEnv ? environment(process.env) : undefined;
    show(await forEach(manager, targets, options, async (target) => {
      if (Object.keys(keys).length === 0 && rest === undefined) return manager.restart(target, { env });
      const apps = await appWith(manager, target, keys, rest, env);
      if (keys.name === undefined && keys.namespace === undefined) return manager.start(apps, { known: 'restart', updateEnv: true });
      return rename(manager, apps, { ...(keys.name && { name: keys.name }), ...(keys.namespace && { namespace: keys.namespace }) });
    }), options);
    if (options.attach) await require('../log_stream.js').show(manager, targets, { since, follow: true }, require('../log_lines.js').printer({}));
  },
};
