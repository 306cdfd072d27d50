'use strict';

// An upgrade, at the old primary: starts the new one, gives it what there is, and steps back when that one has shown that it can.

const { ours } = require('../../errors.js');
const { load } = require('../../native.js');
const { launch, pair } = require('./launch.js');
const { OLD, next } = require('./life.js');
const { Line, closeAll } = require('./line.js');

/** How long (ms) the new primary may take until it says anything; loading Node and the program is part of it. */
const START_TIME = 30_000;
/** How long (ms) the new primary may take to show, at the end of its probation, that it still does something. */
const PROOF_TIME = 5000;
/** How long (ms) after the end of the line the end of the process may be told, with its reason. */
const EXIT_TIME = 500;
/** So many descriptors go with one packet. */
const MOST_FDS = 16;

/**
 * What an upgrade needs of its supervisor.
 *
 * @typedef {object} Host
 * @property {import('../../primary/port.js').Port} port
 * @property {Readonly<import('../options.js').Options>} options
 * @property {() => number} patience ms that the new workers may take to get ready.
 * @property {() => number | undefined} count How many workers there are, if that is not what was said at the start.
 * @property {() => { place: Readonly<import('../health.js').Place> | undefined, fd: number | undefined }} health Where probes are answered.
 * @property {import('./origin.js').Origin} origin
 * @property {() => NodeJS.ProcessEnv} env
 * @property {((pid: number, fd: number) => boolean) | undefined} tellKeeper Tells the keeper which process is to follow this one, and gives it its end of that
 *   one's message channel. Returns whether it could be told.
 * @property {Line | undefined} launcher Who starts it for us, if not we.
 */

class OldSide {
  /** @type {import('./life.js').OldState} */
  state = 'starting';
  /** How long (ms) each state took. @type {Record<string, number>} */
  steps = {};
  /** @type {import('./launch.js').Launched | undefined} */
  launched;
  /** @type {number | undefined} */
  pid;
  /** What the new one says of itself. @type {{ version?: string, node?: string }} */
  heir = {};
  /** @type {Line | undefined} */
  line;
  #host;
  #since = performance.now();
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  /** Why there is no new primary. @type {Error | undefined} */
  #error;
  /** What it is given. @type {import('../../primary/handover.js').Handed[]} */
  #handed = [];
  /** Packets of it that are still to go. @type {{ message: import('./line.js').Message, fds: number[] }[]} */
  #packets = [];
  /** The ends of the bridge. @type {[number, number] | undefined} */
  #bridge;
  /** What the new one is told when the service is to stop. @type {import('./line.js').Message} */
  #stop = { act: 'stop' };
  #resolve = () => {};
  /** @type {(error: Error) => void} */
  #reject = () => {};

  /** @param {Host} host */
  constructor(host) {
    this.#host = host;
    /** Resolves when the new one is the primary; rejects when it is not, and all is as it was before. @type {Promise<void>} */
    this.left = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.left.catch(() => {});
  }

  begin() {
    this.#allow(START_TIME, `has said nothing for ${START_TIME} ms`);
    try {
      this.#handed = this.#host.port.toHandOver();
      this.#start();
    } catch (error) {
      this.#fail(`could not be started: ${/** @type {Error} */ (error).message}`);
    }
  }

  #start() {
    const { env, launcher, origin, tellKeeper } = this.#host;
    const inherited = this.#handed.flatMap(({ inherited: fd }) => fd ?? []);
    if (launcher) {
      launcher.send({ act: 'launch', inherited });
      return;
    }
    const [here, there] = pair();
    const channel = tellKeeper ? load().streamPair() ?? undefined : undefined;
    try {
      if (tellKeeper && !channel) throw new Error('there are no file descriptors left');
      this.launched = launch(origin, env(), inherited, [there], channel?.[1]);
      const { pid } = this.launched;
      if (tellKeeper && channel && pid !== undefined && !tellKeeper(pid, channel[0])) throw new Error('the keeper could not be told');
    } catch (error) {
      load().closeFd(here);
      throw error;
    } finally {
      closeAll([there, ...(channel ?? [])]);
    }
    this.launched.onExit = (how) => this.#onExit(how);
    this.#open(this.launched.pid, here);
  }

  /**
   * Who starts it for us has something to say.
   *
   * @param {import('./line.js').Message} message
   * @param {number[]} fds
   */
  onLauncher({ act, pid, code, signal, error }, fds) {
    if (act === 'launched' && fds.length === 1 && this.state === 'starting' && !this.line) this.#open(pid, fds[0]);
    else closeAll(fds);
    if (act === 'exited') this.#onExit({ code, signal, error: error === undefined ? undefined : new Error(error) });
  }

  /**
   * @param {number | undefined} pid
   * @param {number} end
   */
  #open(pid, end) {
    this.pid = pid;
    this.line = new Line(end);
    this.line.listen(
      (message, fds) => {
        closeAll(fds);
        this.#hear(message);
      },
      () => this.#onLineEnd(),
    );
  }

  #onLineEnd() {
    // In its probation each moment counts; before it, the reason is told in a moment.
    if (this.state === 'probation') this.#fail('has ended');
    else setTimeout(() => this.#fail('has ended, or does not speak our protocol'), EXIT_TIME);
  }

  /** @param {import('./line.js').Message} message */
  #hear(message) {
    switch (message.act) {
      case 'hello':
        this.heir = { version: `${message.version}`, node: `${message.node}` };
        this.#live('hello');
        break;
      case 'got':
        this.#giveNext();
        break;
      case 'ready':
      case 'confirmed':
      case 'proved':
        this.#live(message.act);
        break;
      case 'failed':
        this.#fail(`${message.reason}`);
        break;
      default:
    }
  }

  /** @param {{ code: number | null, signal: string | null, error?: Error }} how */
  #onExit({ code, signal, error }) {
    if (error) this.#fail(`could not be started: ${error.message}`);
    else this.#fail(signal ? `was killed by ${signal}` : `exited with code ${code}`);
  }

  /** @param {string} what */
  #fail(what) {
    const who = this.pid === undefined ? 'the new one' : `the new one, ${this.pid},`;
    this.#error ??= ours('ERR_RCLUSTER_UPGRADE_FAILED', `The upgrade failed, the old primary goes on: ${who} ${what}`);
    this.#live('failed');
  }

  /**
   * The service is to stop: before the new primary has been told to take over there will be none, afterwards that one is told, too.
   * Returns whether it is.
   *
   * @param {boolean} [forNext] Whether the listening sockets stay with the manager.
   */
  stop(forNext = false) {
    this.#stop = { act: 'stop', forNext };
    this.#error ??= ours('ERR_RCLUSTER_STOPPED', 'The upgrade was given up: the supervisor stops');
    this.#live('stop');
    return this.state === 'left';
  }

  /**
   * @param {number} time
   * @param {string} what
   */
  #allow(time, what) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fail(what), time);
  }

  /** @param {import('./life.js').OldEvent} event */
  #live(event) {
    const { state, actions } = next(OLD, this.state, event);
    if (state !== this.state) {
      this.steps[this.state] = Math.round(performance.now() - this.#since);
      this.#since = performance.now();
    }
    this.state = state;
    for (const action of actions) this.#actions[action]();
  }

  /** @type {Record<import('./life.js').OldAction, () => void>} */
  #actions = {
    give: () => {
      const { count, health, options, patience } = this.#host;
      const sockets = this.#handed.flatMap(({ fds, names, key, name, id, data, seat }) =>
        inBatches(fds).map((some, index) => ({
          message: { act: 'listener', key, name, id, data, seat, names: names.slice(index * MOST_FDS).slice(0, MOST_FDS) },
          fds: some,
        })),
      );
      const { place, fd } = health();
      const probed = fd === undefined ? [] : [{ message: { act: 'health', place }, fds: [fd] }];
      this.#packets = [{ message: { act: 'service', count: count(), stickyKey: load().stickyKey() }, fds: [] }, ...probed, ...sockets, { message: { act: 'all' }, fds: [] }];
      const time = patience() + options.settleTime + START_TIME;
      this.#allow(time, `was not ready after ${time} ms`);
      this.#giveNext();
    },
    commit: () => {
      try {
        this.#bridge = pair();
      } catch (error) {
        this.#fail(`could not be given a bridge: ${/** @type {Error} */ (error).message}`);
        return;
      }
      this.line?.send({ act: 'commit' }, [this.#bridge[1]]);
      this.#allow(START_TIME, `did not take over within ${START_TIME} ms`);
    },
    stepBack: () => {
      if (!this.#bridge) return;
      const [out, back] = this.#bridge;
      this.#bridge = undefined;
      this.#host.port.handOver(out, back, (key, fd, left) => {
        this.line?.send({ act: 'move', key, left }, [fd], () => load().closeFd(fd));
      });
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        // One that hangs would accept no more, and start no worker.
        this.line?.send({ act: 'prove' });
        this.#allow(PROOF_TIME, `did not answer for ${PROOF_TIME} ms in its probation`);
      }, this.#host.options.settleTime);
    },
    stepForth: () => this.#host.port.handBack(),
    leave: () => {
      this.#clear();
      this.#resolve();
    },
    end: () => {
      this.#clear();
      if (this.launched) this.launched.kill('SIGKILL');
      else if (this.pid !== undefined) signalTo(this.pid, 'SIGKILL');
      this.line?.close();
    },
    refuse: () => this.#reject(/** @type {Error} */ (this.#error)),
    passOn: () => this.line?.send(this.#stop),
  };

  #giveNext() {
    if (this.state !== 'giving') return;
    const packet = this.#packets.shift();
    if (packet) this.line?.send(packet.message, packet.fds);
    if (this.#packets.length === 0) this.#live('taken');
  }

  #clear() {
    clearTimeout(this.#timer);
    for (const { fds } of this.#handed.splice(0)) closeAll(fds);
    closeAll(this.#bridge ?? []);
    this.#bridge = undefined;
  }
}

/**
 * So many with each packet, and at least one packet.
 *
 * @param {number[]} fds
 */
function inBatches(fds) {
  return Array.from({ length: Math.max(1, Math.ceil(fds.length / MOST_FDS)) }, (_, index) => fds.slice(index * MOST_FDS, (index + 1) * MOST_FDS));
}

/**
 * @param {number} pid
 * @param {NodeJS.Signals} signal
 */
function signalTo(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // It has gone.
  }
}

module.exports = { OldSide };
