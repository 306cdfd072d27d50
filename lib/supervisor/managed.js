'use strict';

// A primary that a keeper of the process manager has started: tells it what its workers are doing, and does what it is told, over the
// message channel that the keeper gave it.

/** Set by a keeper; no worker sees it. */
const VARIABLE = 'RCLUSTER_KEEPER';

/** After these the keeper is told anew. */
const EVENTS = /** @type {const} */ (['ready', 'worker', 'restart', 'reloading', 'reload', 'crash-loop', 'stopping']);

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
 */
function serveKeeper(supervisor) {
  const send = (/** @type {object} */ message) => process.connected && process.send?.(message, () => {});
  const tell = () => {
    const workers = supervisor.status().workers.map(({ seat, pid, state, uptime, restarts }) => ({
      seat, pid, state, startedAt: pid === undefined ? null : Date.now() - uptime, restarts,
    }));
    send({ rcluster: 'workers', workers });
  };
  for (const event of EVENTS) supervisor.on(event, () => setImmediate(tell));
  /** @type {Record<string, (request: any) => Promise<unknown>>} */
  const deeds = {
    reload: () => supervisor.reload(),
    scale: ({ count }) => supervisor.scale(count),
    // Another primary starts as soon as this one has ended, with its sockets.
    'make-room': () => supervisor.stopForNext(),
  };
  process.on('message', async (/** @type {any} */ request) => {
    if (request === null || typeof request !== 'object' || !Object.hasOwn(deeds, request.rcluster)) return;
    const { seq } = request;
    try {
      send({ rcluster: 'answer', seq, result: (await deeds[request.rcluster](request)) ?? null });
    } catch (error) {
      const { code, message } = /** @type {any} */ (error);
      send({ rcluster: 'answer', seq, error: { code, message } });
    }
    tell();
  });
  // The keeper's channel alone is no reason to live.
  process.channel?.unref();
}

module.exports = { serveKeeper, takeKeeper };
