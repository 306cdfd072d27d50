'use strict';

const { manner, notice, output, print, printJson } = require('../say.js');
const { usage } = require('../words.js');

/**
 * What a column says of an app; of several processes what they have together, or what the first has.
 *
 * @type {Record<string, (app: import('../../client').AppStatus) => string | number>}
 */
const FIELDS = {
  id: ({ ids }) => ids[0],
  name: ({ name }) => name,
  namespace: ({ namespace }) => namespace,
  mode: ({ mode }) => mode,
  pid: ({ processes: [one] }) => one?.pid ?? 0,
  uptime: ({ processes: [one] }) => -(one?.startedAt ?? Infinity),
  restarts: ({ processes }) => processes.reduce((sum, { restarts }) => sum + restarts, 0),
  status: ({ processes: [one] }) => one?.state ?? '',
  cpu: ({ processes }) => processes.reduce((sum, { cpu }) => sum + cpu, 0),
  memory: ({ processes }) => processes.reduce((sum, { memory }) => sum + memory, 0),
};

/**
 * As PM2 writes it: a field, and `:asc` or `:desc`.
 *
 * @param {string} text
 * @returns {(a: import('../../client').AppStatus, b: import('../../client').AppStatus) => number}
 */
function order(text) {
  const [, field, way] = /^(\w+)(?::(asc|desc))?$/.exec(text) ?? [];
  if (!Object.hasOwn(FIELDS, field ?? '')) throw usage(`--sort must be one of ${Object.keys(FIELDS).join(', ')}, with :desc for the other way round. Received '${text}'`);
  const [valueOf, sign] = [FIELDS[field], way === 'desc' ? -1 : 1];
  return (a, b) => {
    const [one, other] = [valueOf(a), valueOf(b)];
    return sign * (one < other ? -1 : Number(one > other));
  };
}

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Lists all apps and what their processes are doing.',
  usage: '[--sort <field[:desc]>] [--json]',
  flags: [['--json', 'as JSON'], ['--sort <field>', 'by id (the default), name, namespace, mode, pid, uptime, restarts, status, cpu or memory; name:desc for the other way round']],
  async run(manager, words, { json, sort }) {
    const compare = sort === undefined ? undefined : order(sort);
    const asked = manager.list();
    // It has been sent by then: what shows the answer is made ready while the daemon looks at all processes.
    setImmediate(() => void [output(), require('../table.js')]);
    const apps = await asked;
    if (compare) apps.sort(compare);
    if (json) printJson(apps);
    else for (const { name, watching } of apps) if (watching?.problem) notice(`${name}: ${watching.problem}`);
    if (json) return;
    if (!manner.mini) print(require('../table.js').processes(apps));
    else for (const { name, processes: all } of apps) for (const { id, state } of all) print(`${id} ${name} ${state}`);
  },
};
