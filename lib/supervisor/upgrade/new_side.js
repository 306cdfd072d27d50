'use strict';

// An upgrade, at the new primary: takes what the old one gives it, keeps its workers out of the way until they are ready, and takes over.

const { ours } = require('../../errors.js');
const { load } = require('../../native.js');
const { takeLines } = require('./launch.js');
const { NEW, next } = require('./life.js');
const { closeAll } = require('./line.js');

/** How long (ms) the next packet of the old primary may take. */
const PACKET_TIME = 10_000;
/** How long (ms) the reason of a failure may take to be sent. */
const LAST_WORDS = 1000;

/** @typedef {import('./line.js').Line} Line */
/** @typedef {(message: import('./line.js').Message, fds: number[]) => void} Hear */

class NewSide {
  /** @type {import('./life.js').NewState} */
  state = 'preparing';
  /** Sockets with the names by which they are asked for. @type {{ fd: number, name: string }[]} */
  sockets = [];
  /** How many workers there are, if not as many as the options say. @type {number | undefined} */
  count;
  /** Who starts other primaries for us, as it is our parent for good. @type {Line | undefined} */
  launcher;
  /** Hears what that one says. @type {Hear} */
  onLauncher = (_message, fds) => closeAll(fds);
  /** To the old primary. */
  #line;
  /** To its parent, if that is a third one. */
  #parent;
  /** @type {{ place: unknown, fd: number } | undefined} */
  #health;
  /** Whether the old primary has ended before anything began. */
  #isOrphan = false;
  /** @type {{ key: string, id?: number, data: unknown, name: string, seat?: number }[]} */
  #listeners = [];
  /** Workers that are ready and get no connections yet. @type {any[]} */
  #held = [];
  /** What is to be done as soon as we are the primary. @type {(() => void)[]} */
  #later = [];
  /** Our end of the bridge. @type {number | undefined} */
  #source;
  /** @type {import('../../primary/port.js').Port | undefined} */
  #port;
  /** @type {import('../supervisor.js').Supervisor | undefined} */
  #supervisor;
  /** What is wrong. */
  #reason = '';

  /** @param {Line[]} lines */
  constructor([line, parent]) {
    this.#line = line;
    this.#parent = parent;
  }

  /**
   * This process's part in an upgrade, if it was started for one. When this returns it has all that it is given.
   *
   * @param {NodeJS.ProcessEnv} env
   */
  static begin(env) {
    const lines = takeLines(env);
    if (lines.length === 0) return undefined;
    const side = new NewSide(lines);
    side.#takeAll(env.NOTIFY_SOCKET !== undefined);
    return side;
  }

  /** @param {boolean} isManaged Whether somebody would start another one. */
  #takeAll(isManaged) {
    this.#line.send({ act: 'hello', version: load().version(), node: process.version });
    for (;;) {
      const heard = this.#line.receiveNow(PACKET_TIME);
      if (!heard) throw refused(`nothing has come from the old primary for ${PACKET_TIME} ms`);
      if ('end' in heard) {
        if (heard.end === 'nonsense') throw refused('the old primary speaks another protocol');
        // One that is started anew gets the sockets that the manager keeps. We would listen elsewhere, and who connects there would wait for ever.
        if (isManaged) throw refused('the old primary has ended before it had given all that it listens on');
        // It has died: what we have is all that there is.
        this.#isOrphan = true;
        return;
      }
      const { message, fds } = heard;
      if (message.act === 'all') return;
      this.#takeOne(message, fds);
      this.#line.send({ act: 'got' });
    }
  }

  /** @type {Hear} */
  #takeOne({ act, count, stickyKey, place, key, id, data, name, names, seat }, fds) {
    if (act === 'service') {
      this.count = count;
      // Clients keep their seats. An older one says nothing of it.
      if (stickyKey !== undefined) load().adoptStickyKey(`${stickyKey}`);
    }
    if (act === 'health' && fds.length === 1 && !this.#health) {
      this.#health = { place, fd: fds[0] };
      return;
    }
    if (act !== 'listener') {
      closeAll(fds);
      return;
    }
    if (key !== undefined && !this.#listeners.some((one) => one.key === key)) this.#listeners.push({ key, id, data, name, seat });
    this.sockets.push(...fds.map((fd, index) => ({ fd, name: `${names?.[index] ?? ''}` })));
  }

  /**
   * The socket on which the old primary answers probes, if we are to answer there.
   *
   * @param {Readonly<import('../health.js').Place>} place
   */
  healthAt(place) {
    return JSON.stringify(this.#health?.place) === JSON.stringify(place) ? this.#health?.fd : undefined;
  }

  /** Whether the old primary may still take the service back. */
  get isDependent() {
    return this.state !== 'main';
  }

  /**
   * What a supervisor sees of the primary: workers that are ready wait until we take over.
   *
   * @param {import('../../primary/port.js').Port} port
   * @returns {import('../../primary/port.js').Port}
   */
  wrap(port) {
    this.#port = port;
    port.remember(this.#listeners);
    return {
      ...port,
      release: (worker) => {
        if (this.state === 'leading' || this.state === 'main') port.release(worker);
        else this.#held.push(worker);
      },
    };
  }

  /**
   * A service manager's store, which does not listen to us before we are the primary.
   *
   * @param {import('../../primary/port.js').Store | undefined} store
   * @returns {import('../../primary/port.js').Store | undefined}
   */
  wrapStore(store) {
    return store && {
      keep: (name, fd, poll) => this.whenMain(() => store.keep(name, fd, poll)),
      remove: (name) => this.whenMain(() => store.remove(name)),
    };
  }

  /** @param {() => void} action Done as soon as nobody else is the primary. */
  whenMain(action) {
    if (this.state === 'main') action();
    else this.#later.push(action);
  }

  /** @param {import('../supervisor.js').Supervisor} supervisor */
  serve(supervisor) {
    this.#supervisor = supervisor;
    const { health } = supervisor.options;
    if (this.#health && (!health || this.healthAt(health) === undefined)) closeAll([this.#health.fd]);
    const broken = (/** @type {string} */ why) => {
      this.#reason ||= why;
      this.#live('broken');
    };
    supervisor.once('ready', () => this.#settle(broken));
    // Where nothing was listened on, nothing will be.
    supervisor.once('waiting', () => this.#listeners.length === 0 && this.#settle(broken));
    supervisor.on('restart', ({ pid, reason, lastWords }) => broken(`has a worker that died: ${pid} ${reason}${lastWords ? `; its last output was:\n${lastWords}` : ''}`));
    supervisor.on('crash-loop', ({ error }) => broken(error.message));
    supervisor.on('health', ({ error }) => error && broken(`says: ${error.message}`));
    supervisor.once('stopping', () => broken('was told to stop'));
    if (this.#isOrphan) this.#live('end');
    else this.#line.listen((message, fds) => this.#hear(message, fds), () => this.#onLineEnd());
  }

  /**
   * All workers are ready, and have to stay so.
   *
   * @param {(why: string) => void} broken
   */
  #settle(broken) {
    const { ready, settleTime } = /** @type {import('../supervisor.js').Supervisor} */ (this.#supervisor).options;
    setTimeout(() => {
      const keys = this.#port?.missed() ?? [];
      const all = this.#listeners.filter(({ key }) => keys.includes(key));
      const seats = all.filter(({ seat }) => seat !== undefined).map(({ seat, name }) => `${seat} (${name})`);
      const missed = all.filter(({ seat }) => seat === undefined).map(({ name }) => name);
      if (seats.length > 0) broken(`has no address for seat ${seats.join(', ')}, as the old one has: the count of workers and seatListen stay as they are in an upgrade`);
      else if (missed.length === 0 || ready !== 'listening') this.#live('ready');
      else broken(`has workers that do not listen on ${missed.join(', ')}, as the old ones do (with ready: 'message', --ready message, they decide)`);
    }, settleTime);
  }

  /** @type {Hear} */
  #hear(message, fds) {
    const [fd] = fds;
    if (message.act === 'stop') {
      closeAll(fds);
      void (message.forNext === true ? this.#supervisor?.stopForNext() : this.#supervisor?.stop());
      return;
    }
    if (message.act === 'commit' && fds.length === 1 && this.state === 'offering') {
      this.#source = fd;
      this.#live('commit');
      return;
    }
    if (message.act === 'move' && fds.length === 1) this.#port?.adopt(`${message.key}`, fd, message.left >>> 0);
    else if (this.launcher === this.#line) return this.onLauncher(message, fds);
    closeAll(fds);
    if (message.act === 'prove') this.#line.send({ act: 'proved' });
    if (message.act !== 'main' || this.state !== 'leading') return;
    if (message.stays === true) this.launcher = this.#line;
    this.#live('main');
  }

  #onLineEnd() {
    if (this.launcher === this.#line) this.launcher = undefined;
    this.#live('end');
  }

  /** @param {import('./life.js').NewEvent} event */
  #live(event) {
    const { state, actions } = next(NEW, this.state, event);
    this.state = state;
    for (const action of actions) this.#actions[action]();
  }

  /** @type {Record<import('./life.js').NewAction, () => void>} */
  #actions = {
    offer: () => this.#line.send({ act: 'ready' }),
    lead: () => {
      for (const worker of this.#held.splice(0)) this.#port?.release(worker);
      if (this.#source !== undefined) this.#port?.addSource(this.#source);
      this.#source = undefined;
    },
    confirm: () => this.#line.send({ act: 'confirmed' }),
    become: () => {
      const parent = this.#parent;
      if (parent) {
        parent.listen((message, fds) => this.onLauncher(message, fds), () => {
          this.launcher = undefined;
        });
        parent.send({ act: 'main' });
        this.launcher = parent;
      }
      this.#port?.own();
      for (const action of this.#later.splice(0)) action();
      this.#supervisor?.emit('took-over');
    },
    giveUp: () => {
      const end = () => process.exit(1);
      this.#line.send({ act: 'failed', reason: this.#reason }, [], end);
      setTimeout(end, LAST_WORDS);
    },
  };
}

/**
 * The old one goes on, as this process ends.
 *
 * @param {string} why
 */
const refused = (why) => ours('ERR_RCLUSTER_UPGRADE_FAILED', `The upgrade failed: ${why}`);

module.exports = { NewSide };
