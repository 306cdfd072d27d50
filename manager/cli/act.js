'use strict';

// Verbs that do one thing to whatever they are given and show what has become of it.

const { CONFIG_FLAGS } = require('./flags.js');
const { fail, notice, print, printJson } = require('./say.js');
const { processes } = require('./table.js');
const { TARGETS, forEach, needTargets } = require('./targets.js');

/** What becomes of what was not ready in time. */
const LATE = Object.freeze({
  cluster: "is waited for: workers that are slow need a longer listen_timeout, those that do not listen ready: 'online'",
  program: 'is started again and again, as it ends before: rcluster logs may say why',
});

/**
 * What a verb prints at its end: the processes that it was about.
 *
 * @param {import('../client').AppStatus[]} apps
 * @param {{ json?: boolean }} options
 */
function show(apps, { json }) {
  if (json) printJson(apps);
  else print(processes(apps));
  for (const { name, mode, watching, processes: all } of apps) {
    // It runs all the same.
    if (watching?.problem) notice(`${name}: ${watching.problem}`);
    for (const { state, instance, lastError } of all) {
      if (state === 'errored') fail(`${name} (${instance}): ${lastError}`);
      // It may still come to it.
      else if (state === 'launching' && lastError) fail(`${name} (${instance}): ${lastError}, and ${LATE[mode]}`);
    }
  }
}

/**
 * @param {string} operation
 * @param {string} summary
 * @param {import('./words.js').Flag[]} [flags] Besides those that all have.
 * @returns {import('./main.js').Verb}
 */
function simple(operation, summary, flags = []) {
  return {
    summary,
    usage: TARGETS,
    flags: [...CONFIG_FLAGS, ['--json', 'the result as JSON'], ...flags],
    async run(manager, words, options) {
      needTargets(operation, words);
      show(await forEach(manager, words, options, (target) => manager.act(target, operation)), options);
    },
  };
}

module.exports = { show, simple };
