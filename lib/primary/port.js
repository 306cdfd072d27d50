'use strict';

// What a supervisor needs of the primary, and all that it may know of it.

const path = require('node:path');
const { POLICIES } = require('./policies.js');

/** How often (ms) we look whether the last connections of a seat have been taken. */
const LOOK = 10;

/**
 * @typedef {import('./listeners.js').ListenedOn} ListenedOn
 * @typedef {import('./seat_listeners.js').SeatPlace} SeatPlace
 * @typedef {import('./guarded.js').Store} Store
 * @typedef {import('./start.js').ShowBoard} ShowBoard
 */

/**
 * What the primary asks a supervisor.
 *
 * @typedef {object} SupervisionHooks
 * @property {(worker: any) => boolean} one `worker.disconnect()` was called. Returns whether that is taken care of.
 * @property {() => Promise<void>} all `cluster.disconnect()` was called.
 * @property {() => boolean} isRecovering Whether workers are missing, and will be started.
 */

/**
 * @typedef {object} SeatOptions
 * @property {number} [of] The port of the server that addresses of seats are for; the first server of a worker by default.
 * @property {(second: import('./seat_listeners.js').Second) => void} onSecond A worker has more servers than the first.
 */

/**
 * What a supervisor needs of the primary.
 *
 * @typedef {object} Port
 * @property {(settings: object, policy: number | undefined) => void} setup
 * @property {() => string} script The file that workers run.
 * @property {(env: NodeJS.ProcessEnv | undefined, extra: import('./workers.js').Extra) => any} fork
 * @property {(worker: any, listener: (message: any) => void) => void} onControl
 * @property {(worker: any, message: object) => void} tell
 * @property {(worker: any) => void} release Into the rotation.
 * @property {(worker: any, crashed: boolean, heir: any) => void} leave Out of the rotation. After a crash another one will
 *   come: its listeners stay open for a while even if nobody else has them. What it gives back goes to the heir, if there is one.
 * @property {(worker: any) => ListenedOn[]} listenedOn
 * @property {(worker: any) => import('../native-types').BoardReading} board
 * @property {(worker: any) => import('../stats.js').Stats} stats The same and more, in the shape in which programs get it.
 * @property {(worker: any) => number} lost Connections that were open in it when it ended.
 * @property {(worker: any) => void} nudge Makes an idle event loop turn.
 * @property {() => number[]} pids Of all workers that have not ended.
 * @property {import('./listeners.js').Listeners['useSockets']} useSockets
 * @property {import('./listeners.js').Listeners['expectHeaders']} expectHeaders
 * @property {() => void} closeUnclaimed Closes what a primary before us had and nobody has asked for.
 * @property {() => void} leaveSockets What is closed from now on stays with the manager, for the primary after us.
 * @property {import('./handover.js').Handover['toHandOver']} toHandOver All that workers listen on, for another primary.
 * @property {import('./handover.js').Handover['handOver']} handOver Another primary accepts from all of it from now on.
 * @property {() => void} handBack It has died, and we do again.
 * @property {() => number} crossing How many connections are still to go to it.
 * @property {import('./handover.js').Handover['remember']} remember What the primary before us has said of its listeners.
 * @property {() => void} own That one has left, and all is ours.
 * @property {() => string[]} missed Which of those no worker of ours listens on.
 * @property {import('./handover.js').Handover['addSource']} addSource
 * @property {import('./handover.js').Handover['adopt']} adopt
 * @property {(options: SeatOptions) => void} setUpSeats Before any is opened.
 * @property {(seat: number, place: Readonly<SeatPlace>) => number} openSeat An address for the worker of one seat alone. Returns 0 or a
 *   negative errno.
 * @property {(seats: number[], patience: number) => Promise<void>} closeSeats Resolves when workers have taken what has come, or after so many ms.
 * @property {() => boolean} accepts Whether connections are accepted here, and not by the workers themselves (`SCHED_NONE`).
 * @property {(workers: any[]) => Promise<void>} finish All at once out of the rotation, once they have what has come by now.
 * @property {(hooks: SupervisionHooks | undefined) => void} setHooks Who is asked from now on.
 */

/**
 * @param {any} cluster
 * @param {import('./workers.js').Workers} workers
 * @returns {Port}
 */
function makePort(cluster, workers) {
  const { listeners } = workers;
  const tiesOf = workers.tiesOf.bind(workers);
  return {
    setup(workerSettings, wantedPolicy) {
      if (wantedPolicy !== undefined) cluster.schedulingPolicy = wantedPolicy;
      cluster.setupPrimary(workerSettings);
    },
    script: () => path.resolve(cluster.settings.cwd ?? '', cluster.settings.exec),
    fork: (env, extra) => workers.fork(env, extra),
    onControl: (worker, listener) => void (tiesOf(worker).onControl = listener),
    tell(worker, message) {
      const known = tiesOf(worker);
      if (/** @type {any} */ (message).act === 'drain') known.mayMove = true;
      known.tell(message);
    },
    release: (worker) => workers.happen(worker, 'release'),
    leave(worker, crashed, heir) {
      // Before it leaves, and before what it gives back comes.
      if (heir) listeners.succeed(tiesOf(worker), tiesOf(heir));
      tiesOf(worker).crashed = crashed;
      workers.happen(worker, 'retire', { crashed });
    },
    listenedOn: (worker) => listeners.listenedOn(tiesOf(worker)),
    board: (worker) => tiesOf(worker).board,
    stats: (worker) => tiesOf(worker).stats,
    lost: (worker) => tiesOf(worker).lost,
    nudge: (worker) => tiesOf(worker).nudge(),
    pids: () => [...workers.pids],
    useSockets: (sockets, store) => listeners.useSockets(sockets, store),
    expectHeaders: (senders) => listeners.expectHeaders(senders),
    closeUnclaimed: () => listeners.closeUnclaimed(),
    leaveSockets: () => listeners.leaveSockets(),
    toHandOver: () => listeners.handover.toHandOver(),
    handOver: (out, back, onMoved) => listeners.handover.handOver(out, back, onMoved),
    handBack: () => listeners.handover.handBack(),
    crossing: () => listeners.handover.crossing,
    remember: (handed) => listeners.handover.remember(handed),
    own: () => listeners.handover.own(),
    missed: () => listeners.handover.missed,
    addSource: (fd) => listeners.handover.addSource(fd),
    adopt: (key, fd, left) => listeners.handover.adopt(key, fd, left),
    setUpSeats: (options) => void Object.assign(listeners.seats, options),
    openSeat: (seat, place) => listeners.seats.open(seat, place),
    async closeSeats(seats, patience) {
      const until = performance.now() + patience;
      const had = seats.flatMap((seat) => listeners.seats.close(seat));
      const isTaken = () => had.every(({ number, board }) => number === undefined || board.queued === 0);
      const { setTimeout: sleep } = require('node:timers/promises');
      await Promise.race([listeners.handedOver(), sleep(patience, undefined, { ref: false })]);
      while (!isTaken() && performance.now() < until) await sleep(LOOK);
    },
    accepts: () => workers.policy !== POLICIES.SCHED_NONE,
    finish(all) {
      for (const worker of all) workers.happen(worker, 'finish');
      return listeners.finish(all.map(tiesOf));
    },
    setHooks: (hooks) => void (workers.supervision = hooks),
  };
}

module.exports = { makePort };
