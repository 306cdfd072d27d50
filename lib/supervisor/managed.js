'use strict';

// A primary that a keeper of the process manager has started: tells it what its workers are doing, and does what it is told, over the
// message channel that the keeper gave it.

const { ours } = require('../errors.js');
const { workerOf } = require('./reasons.js');

/** What changes nothing of the workers. */
const TELL_ONLY = new Set(['app-metrics', 'send', 'signal']);

/** Set by a keeper; no worker sees it. */
const VARIABLE = 'RCLUSTER_KEEPER';

/** After these the keeper is told anew. */
const EVENTS = /** @type {const} */ (['waiting', 'restart', 'reloading', 'reload', 'crash-loop', 'stopping']);
const WORKER_EVENTS = /** @type {const} */ (['fork', 'listening', 'disconnect', 'exit']);

/**
 * Whether a keeper has started this process. Must be asked before workers are started.
 *
 * @param {NodeJS.ProcessEnv} env
 */
function takeKeeper(env) {
  const has = env[VARIABLE] !== undefined && typeof process.send === 'function';
  delete env[VARIABLE];
  return has;
}

/**
 * @param {import('./supervisor.js').Supervisor} supervisor
 * @param {import('node:cluster').Cluster} cluster Whose workers they are.
 */
function serveKeeper(supervisor, cluster) {
  const send = (/** @type {object} */ message) => process.connected && process.send?.(message, () => {});
  let isAboutToTell = false;
  const tell = () => {
    isAboutToTell = false;
    const workers = supervisor.status().workers.map(({ seat, pid, state, uptime, restarts }) => ({
      seat, pid, state, startedAt: pid === undefined ? null : Date.now() - uptime, restarts,
    }));
    send({ rcluster: 'workers', workers });
  };
  const tellSoon = () => {
    if (!isAboutToTell) setImmediate(tell);
    isAboutToTell = true;
  };
  // Whoever waits until all are ready wants to see them so: before that is told.
  supervisor.prependListener('ready', tell);
  for (const event of EVENTS) supervisor.on(event, tellSoon);
  for (const event of WORKER_EVENTS) cluster.on(event, tellSoon);
  reportIncidents(supervisor, send);
  // Before whoever has asked for the upgrade is answered.
  supervisor.on('upgraded', ({ error, newPid }) => error && send({ rcluster: 'given-up', pid: newPid }));
  // The first workers are there already.
  tellSoon();
  /** @type {Record<string, (request: any) => Promise<unknown>>} */
  const deeds = {
    reload: ({ env }) => {
      if (env) replaceEnvironment(env);
      return supervisor.reload();
    },
    upgrade: ({ env, file, words: [argv0, ...args], cwd }) =>
      supervisor.upgradeTo({ origin: { file, argv0, args, cwd }, env: env ?? undefined, hasKeeper: true }),
    scale: ({ count }) => supervisor.scale(count),
    'app-metrics': async () => (await supervisor.appMetrics())?.forKeeper() ?? null,
    // To workers: what they are sent, as under PM2.
    send: async ({ message, seats }) => toWorkers(seats, (worker) => worker.send(message)),
    signal: async ({ signal, seats }) => toWorkers(seats, (worker) => worker.process.kill(signal)),
    // Another primary starts as soon as this one has ended, with its sockets.
    'make-room': () => supervisor.stopForNext(),
  };
  /**
   * @param {number[]} seats
   * @param {(worker: import('node:cluster').Worker) => void} act
   */
  const toWorkers = (seats, act) => {
    const meant = supervisor.status().workers.filter(({ seat }) => seats.includes(seat)).map(({ id }) => cluster.workers?.[id ?? -1]);
    const there = /** @type {import('node:cluster').Worker[]} */ (meant.filter((worker) => worker?.isConnected()));
    if (there.length === 0) throw ours('ERR_RCLUSTER_NOT_READY', 'None of the workers that are meant is there');
    for (const worker of there) act(worker);
  };
  process.on('message', async (/** @type {any} */ request) => {
    if (request === null || typeof request !== 'object' || !Object.hasOwn(deeds, request.rcluster)) return;
    const { seq } = request;
    const answer = await deeds[request.rcluster](request).then((result) => ({ result: result ?? null }), ({ code, message }) => ({ error: { code, message } }));
    // Whoever has asked for a change sees what has become of the workers.
    if (!TELL_ONLY.has(request.rcluster)) tell();
    send({ rcluster: 'answer', seq, ...answer });
  });
  // The keeper's channel alone is no reason to live.
  process.channel?.unref();
}

/**
 * Tells what somebody may have to see to.
 *
 * @param {import('./supervisor.js').Supervisor} supervisor
 * @param {(message: object) => unknown} send
 */
function reportIncidents(supervisor, send) {
  const report = (/** @type {string} */ kind, /** @type {string} */ message, /** @type {number | undefined} */ seat = undefined) => void send({ rcluster: 'incident', kind, message, seat });
  // Who is ended as it hangs has not crashed besides, and hangs once, however often it is told to end.
  const hung = new Set();
  const seatOf = (/** @type {number | undefined} */ pid) => supervisor.status().workers.find((worker) => worker.pid === pid)?.seat;
  supervisor.on('restart', ({ seat, pid, reason }) => {
    if (!hung.delete(pid)) report('crash', `${workerOf(pid)} ${reason}`, seat);
  });
  supervisor.on('hang', ({ pid, time }) => {
    if (hung.has(pid)) return;
    hung.add(pid);
    report('hang', `worker ${pid} did not turn its event loop for ${time} ms, and is ended`, seatOf(pid));
  });
  supervisor.on('memory', ({ pid, bytes }) => report('memory', `worker ${pid} uses ${Math.round(bytes / 2 ** 20)} MiB, and is replaced`, seatOf(pid)));
  supervisor.on('crash-loop', ({ error }) => report('crash-loop', error.message));
  supervisor.on('reload', ({ error }) => {
    if (error) report('reload-failed', error.message);
  });
  supervisor.on('upgraded', ({ error, oldPid, newPid, moved, finished, cut }) => {
    if (error) report('reload-failed', error.message);
    else report('upgraded', `primary ${newPid} has taken the place of ${oldPid}: ${moved} connections moved, ${finished} ended by themselves, ${cut} were cut`);
  });
}

/**
 * Workers that are started from now on have this environment: it is ours that they get.
 *
 * @param {Record<string, string>} env
 */
function replaceEnvironment(env) {
  for (const name of Object.keys(process.env)) if (!Object.hasOwn(env, name)) delete process.env[name];
  Object.assign(process.env, env);
}

module.exports = { serveKeeper, takeKeeper };
