'use strict';

const { print } = require('../say.js');
const { usage } = require('../words.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Shows what happens to apps and processes from now on, a line each, until Control-C.',
  usage: '[name | id | namespace | /pattern/ | all] [--json]',
  flags: [['-f, --follow', 'as it is done anyway'], ['--json', 'as the API tells it: an object in each line']],
  takesTime: true,
  async run(manager, words, { json }) {
    if (words.length > 1) throw usage(`events: of one app, or of all. Received ${words.length} words`);
    const [target = 'all'] = words;
    /** What is meant now, and by its name also when it has gone. @type {Set<string> | undefined} */
    const meant = target === 'all' ? undefined : new Set((await manager.describe(target)).map((/** @type {any} */ { name, namespace }) => keyOf(namespace, name)));
    for await (const event of manager.events()) {
      const { app, namespace } = /** @type {any} */ (event);
      if (meant && app !== undefined && !meant.has(keyOf(namespace, app))) continue;
      if (json) print(JSON.stringify(event));
      else {
        const text = inWords(event);
        if (text !== undefined) print(`${new Date(event.at).toISOString()} ${text}`);
      }
    }
  },
};

/** @param {string} namespace @param {string} name */
const keyOf = (namespace, name) => (namespace === 'default' ? name : `${namespace}:${name}`);

/**
 * What people read. Who listens is not told that it does.
 *
 * @param {any} event
 * @returns {string | undefined}
 */
function inWords({ event, app, namespace, instance, state, pid, lastError, change, workers, kind, message, count }) {
  const name = app === undefined ? '' : keyOf(namespace, app);
  switch (event) {
    case 'app': return `${name} ${change}`;
    case 'process': return `${name} ${instance}: ${state}${pid ? ` (${pid})` : ''}${lastError ? `, ${lastError}` : ''}`;
    case 'workers': return `${name} workers: ${workers.map((/** @type {any} */ one) => `${one.seat} ${one.state}${one.pid ? ` (${one.pid})` : ''}`).join(', ') || 'none'}`;
    case 'incident': return `${name}${typeof instance === 'number' ? ` ${instance}` : ''} ${kind}: ${message}`;
    case 'message': return `${name} ${instance} says ${JSON.stringify(message)}`;
    case 'lost': return `${count} lines were missed, as they were not read in time`;
    default: return undefined;
  }
}
