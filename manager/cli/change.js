'use strict';

const { readApp } = require('./keys.js');
const { usage } = require('./words.js');

/**
 * Apps that are known, with what options say of them besides.
 *
 * @param {import('../client.js').Manager} manager
 * @param {string} target
 * @param {any} keys
 * @param {string[] | undefined} args
 * @param {Record<string, string> | undefined} env
 */
async function appWith(manager, target, { node_args: nodeArgs, user, ...keys }, args, env) {
  if (keys.name !== undefined || keys.namespace !== undefined) throw usage('an app keeps its name: delete it, and start it under the other one');
  /** @type {any[]} */
  const apps = await manager.request('GET', `/v1/apps/${encodeURIComponent(target)}/env`);
  return apps.map((app) => {
    const given = { script: app.script, cwd: app.cwd, ...(nodeArgs !== undefined && { interpreter_args: nodeArgs }), ...(user !== undefined && { uid: user }), ...keys, ...(args && { args }) };
    const read = readApp(given, { folder: app.cwd, notices: new Set() });
    // What was not said stays as it is.
    for (const member of ['name', 'environments', 'filterEnv', 'envFile', ...(keys.exec_mode === undefined ? ['mode'] : [])]) delete read[member];
    return { ...app, ...read, env: { ...app.env, ...env } };
  });
}

module.exports = { appWith };
