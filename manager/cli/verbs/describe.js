'use strict';

const { logFile } = require('../pm2_shape.js');
const { print, printJson } = require('../say.js');
const { age, size, table } = require('../table.js');
const { forEach, needTargets } = require('../targets.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Shows all that is known of an app, but for its environment.',
  usage: '<name | id | namespace> [--json]',
  flags: [['--json', 'a list, as JSON']],
  async run(manager, words, options) {
    needTargets('describe', words);
    const apps = await forEach(manager, words, options, (target) => manager.describe(target));
    const list = await manager.list();
    const described = apps.map((app) => {
      const { processes = [], workers = [], keeper = null, watching = null } = list.find(({ name, namespace }) => name === app.name && namespace === app.namespace) ?? {};
      return { ...app, keeper, watching, processes, workers };
    });
    if (options.json) printJson(described);
    else for (const app of described) print(table(['what', 'value'], rows(app, manager.home)));
  },
};

/**
 * What somebody looks for first: how it is and where its lines are. Then what was said of it.
 *
 * @param {any} app
 * @param {string} home
 */
function rows({ processes, workers, name, namespace, mode, script, cwd, args, ...rest }, home) {
  const app = { name, namespace, mode, script, args, cwd };
  const first = processes.length === 0 ? [] : [['status', states(processes)]];
  const logs = logRows({ ...app, ...rest }, home);
  return [
    ...Object.entries(app),
    ...first,
    ...processes.map((/** @type {any} */ one) => [`process ${one.instance}`, inWords(one)]),
    ...workers.map((/** @type {any} */ one) => [`worker ${one.seat}`, inWords(one)]),
    ...logs,
    ...Object.entries(rest),
  ].filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0)).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]);
}

/** @param {{ state: string }[]} processes */
const states = (processes) => [...new Set(processes.map(({ state }) => state))].join(', ');

/** @param {any} one A process, or a worker of a cluster. */
function inWords({ state, id, pid, restarts, startedAt, memory, cpu, exitCode, signal, lastError }) {
  const ended = signal ? `ended by ${signal}` : exitCode === null || exitCode === undefined ? undefined : `ended with ${exitCode}`;
  return [
    state,
    ...(id === undefined || id === null ? [] : [`id ${id}`]),
    ...(pid ? [`pid ${pid}`, `up ${age(startedAt)}`, `${Math.round(cpu)}%`, size(memory)] : []),
    `restarts ${restarts}`,
    ...(ended ? [ended] : []),
    ...(lastError ? [lastError] : []),
  ].join(', ');
}

/**
 * @param {any} app
 * @param {string} home
 */
function logRows(app, home) {
  const instances = app.mergeLogs ? [0] : [...Array(app.instances).keys()];
  return [['out', 'out log'], ['error', 'error log']].map(([stream, key]) => [key, [...new Set(instances.map((one) => logFile(app, one, /** @type {any} */ (stream), home)))].join(' ')]);
}
