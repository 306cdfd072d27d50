'use strict';

// Verbs that do one thing to whatever they are given and show what has become of it.

const { usage } = require('./main.js');
const { processes } = require('./table.js');

/**
 * What a verb prints at its end: the processes that it was about.
 *
 * @param {import('../client').AppStatus[]} apps
 * @param {{ json?: boolean }} options
 */
function show(apps, { json }) {
  process.stdout.write(json ? `${JSON.stringify(apps)}\n` : `${processes(apps)}\n`);
  const failed = apps.flatMap(({ name, processes: all }) => all.filter(({ state }) => state === 'errored').map((one) => ({ name, ...one })));
  for (const { name, instance, lastError } of failed) process.stderr.write(`rcluster: ${name} (${instance}): ${lastError}\n`);
  if (failed.length > 0) process.exitCode = 1;
}

/**
 * @param {string} operation
 * @param {string} summary
 * @returns {import('./main.js').Verb}
 */
function simple(operation, summary) {
  return {
    summary,
    usage: '<name | id | namespace | all> ...',
    flags: (command) => void command.option('--json', 'the result as JSON'),
    async run(manager, targets, options) {
      if (targets.length === 0) throw usage(`${operation}: of which app? Give a name, a number, a namespace, or all`);
      const apps = [];
      for (const target of targets) apps.push(...(await manager.act(target, operation)));
      show(apps, options);
    },
  };
}

module.exports = { show, simple };
