'use strict';

// What PM2's `jlist` prints, so that scripts that read it go on working.

const path = require('node:path');

const MODES = Object.freeze({ program: 'fork_mode', cluster: 'cluster_mode' });
/** PM2 knows no other words. */
const STATES = Object.freeze({ 'waiting restart': 'waiting restart' });

/** @param {import('../client.js').Manager} manager */
async function asPm2(manager) {
  const apps = await manager.list();
  const described = new Map((await Promise.all(apps.map(({ name }) => manager.describe(name)))).flat().map((app) => [`${app.namespace}.${app.name}`, app]));
  return apps.flatMap((app) => app.processes.map((one) => shape(app, /** @type {any} */ (described.get(`${app.namespace}.${app.name}`)), one, manager.home)));
}

/**
 * @param {import('../client').AppStatus} app
 * @param {any} about
 * @param {import('../client').ProcessStatus} one
 * @param {string} home
 */
function shape({ name, namespace, mode, script, cwd, instances }, about, one, home) {
  const suffix = instances === 1 || about.mergeLogs ? '' : `-${one.instance}`;
  const log = (/** @type {string} */ stream, /** @type {string | null} */ file) => file ?? path.join(home, 'logs', `${name}-${stream}${suffix}.log`);
  return {
    pid: one.pid ?? 0,
    name,
    pm_id: one.id,
    monit: { memory: one.memory, cpu: 0 },
    pm2_env: {
      name,
      namespace,
      pm_id: one.id,
      status: STATES[/** @type {keyof STATES} */ (one.state)] ?? one.state,
      restart_time: one.restarts,
      unstable_restarts: one.unstableRestarts,
      pm_uptime: one.startedAt ?? 0,
      created_at: one.startedAt ?? 0,
      instances,
      exec_mode: MODES[mode],
      exec_interpreter: about.interpreter ?? 'node',
      pm_exec_path: path.resolve(cwd, script),
      pm_cwd: cwd,
      args: about.args,
      pm_out_log_path: log('out', about.outFile),
      pm_err_log_path: log('error', about.errorFile),
      autorestart: about.autorestart,
      kill_timeout: about.killTimeout,
      exit_code: one.exitCode ?? undefined,
      [about.instanceVar]: one.instance,
    },
  };
}

module.exports = { asPm2 };
