'use strict';

const http = require('node:http');

const { print } = require('../say.js');
const { usage } = require('../words.js');

/** How long (ms) an endpoint may take to answer. */
const PATIENCE = 5000;

/** This machine, of whichever family it is. In a container no file may say what localhost is. */
const HERE = Object.freeze([{ address: '127.0.0.1', family: 4 }, { address: '::1', family: 6 }]);

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Says whether an app takes requests, or what a --health endpoint answers; for probes: exit code 0 if so, 1 if not.',
  usage: '<name | id | :port | host:port | path of a socket>',
  flags: [['--live', 'of an endpoint: whether its primary lives, ready or not']],
  needsDaemon: false,
  async run(manager, [target, ...more], { live }) {
    if (target === undefined || more.length > 0) throw usage('health: give one app, or where its health is answered, such as :9000');
    const place = endpoint(target);
    const { healthy, words } = place ? await ask(place, live ? '/live' : '/ready') : ofApps(await statusOf(manager, target));
    print(words);
    if (!healthy) process.exitCode = 1;
  },
};

/** @param {import('../../client').Manager} manager @param {string} target */
async function statusOf(manager, target) {
  const meant = await manager.describe(target);
  const all = await manager.list();
  return all.filter(({ name, namespace }) => meant.some((app) => app.name === name && app.namespace === namespace));
}

/**
 * @param {string} target
 * @returns {import('node:http').RequestOptions | undefined} Nothing for an app.
 */
function endpoint(target) {
  if (target.includes('/')) return { socketPath: target };
  const match = /^(?:\[([\da-f:.]+)\]|([\w.-]*)):(\d{1,5})$/i.exec(target);
  if (!match) return undefined;
  const [, address, name, port] = match;
  if (address || name) return { host: address || name, port: Number(port) };
  return { host: 'localhost', port: Number(port), lookup: (_, __, found) => found(null, [...HERE]) };
}

/**
 * @param {import('node:http').RequestOptions} place
 * @param {string} path
 * @returns {Promise<{ healthy: boolean, words: string }>}
 */
function ask(place, path) {
  return new Promise((resolve) => {
    const request = http.get({ ...place, path, agent: false, timeout: PATIENCE }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () => resolve({ healthy: response.statusCode === 200, words: `${response.statusCode} ${text.trim()}` }));
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${PATIENCE} ms`)));
    request.on('error', (/** @type {NodeJS.ErrnoException} */ { code, message }) => resolve({ healthy: false, words: `no answer: ${message || code}` }));
  });
}

/** @param {import('../../client').AppStatus[]} apps */
function ofApps(apps) {
  const each = apps.map(({ name, mode, processes, workers }) => {
    const runs = processes.filter(({ state }) => state === 'online').length;
    if (mode !== 'cluster') return { healthy: runs > 0, words: `${name}: ${runs} of ${processes.length} online` };
    const ready = workers.filter(({ state }) => state === 'ready').length;
    return { healthy: runs > 0 && ready > 0, words: `${name}: ${ready} of ${workers.length} workers ready` };
  });
  return { healthy: each.every(({ healthy }) => healthy), words: each.map(({ words }) => words).join('\n') };
}
