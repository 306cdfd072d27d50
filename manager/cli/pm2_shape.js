'use strict';

// What PM2's `jlist` prints, so that scripts and exporters that read it go on working: one object for each process, of a cluster one for
// each worker.

const fs = require('node:fs');
const path = require('node:path');

const MODES = Object.freeze({ program: 'fork_mode', cluster: 'cluster_mode' });
/** The states of a cluster's worker, in PM2's words. @type {Record<string, string>} */
const WORKER_STATES = Object.freeze({ starting: 'launching', running: 'launching', ready: 'online', retiring: 'stopping', failed: 'errored', exited: 'stopped', restarting: 'waiting restart' });

/** What runs a script, by its extension: as the keeper has it. @type {Record<string, string>} */
const INTERPRETERS = Object.freeze({
  '.js': 'node', '.cjs': 'node', '.mjs': 'node', '.ts': 'node', '.mts': 'node', '.py': 'python3', '.sh': 'bash', '.rb': 'ruby', '.pl': 'perl', '.php': 'php', '.lua': 'lua',
});

/** @param {import('../client.js').Manager} manager */
async function asPm2(manager) {
  const [apps, described] = await Promise.all([manager.list(), manager.describe('all')]);
  const about = new Map(described.map((app) => [`${app.namespace}:${app.name}`, app]));
  return apps.flatMap((app) => {
    const whole = /** @type {import('../client').App} */ (about.get(`${app.namespace}:${app.name}`));
    return rows(app).map((one) => shape(app, whole, one, manager.home));
  });
}

/**
 * The processes of an app that do its work. A cluster whose primary does not run has none: then each place of a worker is as its primary is.
 *
 * @param {import('../client').AppStatus} app
 */
function rows({ mode, ids, processes, workers }) {
  if (mode === 'program') return processes.map((one) => ({ ...one, id: one.id ?? ids[one.instance] }));
  const [primary] = processes;
  return ids.map((id, seat) => {
    const worker = workers.find((one) => one.seat === seat);
    if (!worker) return { ...primary, pid: null, id, instance: seat, memory: 0, cpu: 0 };
    return { ...primary, ...worker, id, instance: seat, state: WORKER_STATES[worker.state] ?? worker.state, restarts: worker.restarts + primary.restarts };
  });
}

/**
 * @param {import('../client').AppStatus} app
 * @param {import('../client').App} about
 * @param {any} one
 * @param {string} home
 */
function shape({ name, namespace, mode, script, cwd, instances }, about, one, home) {
  const file = path.resolve(cwd, script);
  const interpreter = about.interpreter ?? (mode === 'cluster' ? 'node' : (INTERPRETERS[path.extname(script)] ?? 'none'));
  return {
    pid: one.pid ?? 0,
    name,
    pm2_env: {
      name,
      namespace,
      pm_id: one.id,
      status: one.state,
      restart_time: one.restarts,
      unstable_restarts: one.unstableRestarts ?? 0,
      pm_uptime: one.startedAt ?? 0,
      created_at: one.startedAt ?? 0,
      instances,
      exec_mode: MODES[mode],
      exec_interpreter: interpreter,
      pm_exec_path: file,
      pm_cwd: cwd,
      args: about.args,
      node_args: about.interpreterArgs,
      pm_out_log_path: logFile(about, one.instance, 'out', home),
      pm_err_log_path: logFile(about, one.instance, 'error', home),
      merge_logs: about.mergeLogs,
      autostart: about.autostart,
      autorestart: about.autorestart,
      max_restarts: about.maxRestarts,
      kill_timeout: about.killTimeout,
      listen_timeout: about.listenTimeout,
      ...said(about),
      treekill: about.treekill,
      watch: about.watch.length > 0,
      instance_var: about.instanceVar,
      [about.instanceVar]: one.instance,
      username: about.uid ?? username(),
      version: version(file),
      node_version: interpreter === 'node' ? process.versions.node : undefined,
      exit_code: one.exitCode ?? undefined,
      env: {},
      axm_monitor: {},
      axm_actions: [],
      axm_options: {},
    },
    pm_id: one.id,
    monit: { memory: one.memory, cpu: one.cpu },
  };
}

/**
 * What PM2 has there only where somebody has said it.
 *
 * @param {import('../client').App} about
 */
function said({ maxMemory, cronRestart, restartDelay, expBackoff, minUptime, stopExitCodes, waitReady }) {
  return {
    ...(maxMemory > 0 && { max_memory_restart: maxMemory }),
    ...(cronRestart !== null && { cron_restart: cronRestart }),
    ...(restartDelay > 0 && { restart_delay: restartDelay }),
    ...(expBackoff > 0 && { exp_backoff_restart_delay: expBackoff }),
    ...(minUptime !== null && { min_uptime: minUptime }),
    ...(stopExitCodes.length > 0 && { stop_exit_codes: stopExitCodes }),
    ...(waitReady && { wait_ready: true }),
  };
}

/**
 * Where the lines of an instance go.
 *
 * @param {import('../client').App} app
 * @param {number} instance
 * @param {'out' | 'error'} stream
 * @param {string} home
 */
function logFile({ name, cwd, instances, mergeLogs, outFile, errorFile }, instance, stream, home) {
  const given = stream === 'out' ? outFile : errorFile;
  if (given === 'NULL' || given === '/dev/null') return '/dev/null';
  const { dir, name: stem, ext } = path.parse(given === null ? path.join(home, 'logs', `${name.replace(/\//g, '-')}-${stream}.log`) : path.resolve(cwd, given));
  return path.join(dir, `${stem}${instances === 1 || mergeLogs ? '' : `-${instance}`}${ext}`);
}

/** @type {string | undefined} */
let own;
/** Of whoever asks: looked up once, however many processes there are. @returns {string} */
const username = () => (own ??= require('node:os').userInfo().username);

/** Of folders that were looked at: apps share them. @type {Map<string, string>} */
const versions = new Map();

/**
 * The version that the nearest package.json says.
 *
 * @param {string} file
 * @returns {string}
 */
function version(file) {
  const folder = path.dirname(file);
  const known = versions.get(folder);
  if (known !== undefined) return known;
  const found = versionIn(folder) ?? (folder === path.dirname(folder) ? 'N/A' : version(folder));
  versions.set(folder, found);
  return found;
}

/** @param {string} folder */
function versionIn(folder) {
  try {
    return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')).version ?? 'N/A';
  } catch {
    return undefined;
  }
}

module.exports = { asPm2, logFile };
