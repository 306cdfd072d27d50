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
async function appWith(manager, target, { node_args: nodeArgs, user, name: _name, namespace: _namespace, ...keys }, args, env) {
  /** @type {any[]} */
  const apps = await manager.request('GET', `/v1/apps/${encodeURIComponent(target)}/env`);
  return apps.map((app) => {
    const given = { script: app.script, cwd: app.cwd, ...(nodeArgs !== undefined && { interpreter_args: nodeArgs }), ...(user !== undefined && { uid: user }), ...keys, ...(args && { args }) };
    const read = readApp(given, { folder: app.cwd, notices: new Set() });
    // What was not said stays as it is.
    for (const member of ['name', 'environments', 'filterEnv', 'envFile', ...(keys.exec_mode === undefined ? ['mode'] : []), ...(isDressed(app, keys) ? ['logFormat'] : [])]) delete read[member];
    return { ...app, ...read, env: { ...app.env, ...env } };
  });
}

/**
 * Whether its lines have times already, and nobody says how they look but for those.
 *
 * @param {any} app
 * @param {any} keys
 */
const isDressed = ({ logFormat }, { log_type: type, time }) => logFormat !== 'raw' && type === undefined && time === undefined;

/**
 * Gives an app another name, or another namespace: its numbers stay. It is listed under both until nothing of the one before is left, so that it
 * is not forgotten whatever happens meanwhile.
 *
 * @param {import('../client.js').Manager} manager
 * @param {any[]} apps What is known under the old name, as it is to be.
 * @param {{ name?: string, namespace?: string }} to
 */
async function rename(manager, apps, to) {
  if (apps.length !== 1) throw usage(`--name and --namespace are for one app. Received ${apps.length}`);
  const [app] = apps;
  const next = { ...app, ...to };
  if ((await manager.list()).some(({ name, namespace }) => name === next.name && namespace === next.namespace)) throw new Error(`there is an app "${next.name}" already`);
  await manager.start([{ ...next, autostart: false }], { updateEnv: true });
  await manager.delete(`${app.namespace}:${app.name}`);
  await manager.start([next], { known: 'restart', updateEnv: true });
  return manager.resume(`${next.namespace}:${next.name}`);
}

module.exports = { appWith, rename };
