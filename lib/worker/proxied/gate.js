'use strict';

// Behind a proxy that speaks the PROXY protocol: what it says first is read before the server has the connection. Whoever is slow to say
// it waits here, with nothing taken from it: then it can still go to another worker.

const { load } = require('../../native.js');
const { afterListening, rawOf } = require('../../node/net.js');
const { defineHeader, keep, saidOf } = require('./said.js');

/** How long (ms) a header may take, from when we have the connection. */
const PATIENCE = 5000;
/** So many wait at most, and an eighth of the descriptors that there are: of more, the one that has waited longest ends. */
const MOST = 1024;
/** The longest header. */
const LONGEST = 4096;

/** What the native part says of a header: that none is to be read, that more has to come, that none will. */
const NOTHING = 0;
const MORE = -1;
const GONE = -2;

/** @typedef {{ server: any, listening: any, client: any, handOver: () => void, until: number, slow: boolean }} Waiting `slow`: a part has come. */

class Gate {
  /** By descriptor; those that came first are first. @type {Map<number, Waiting>} */
  #waiting = new Map();
  #room = Buffer.alloc(LONGEST);
  #most = Math.max(1, Math.min(MOST, load().descriptorShare()));
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  #servers;
  #native;

  /**
   * @param {Pick<import('../servers/servers.js').Servers, 'begin' | 'giveBack' | 'isFull'>} servers
   * @param {string[]} trusted
   */
  constructor(servers, trusted) {
    this.#servers = servers;
    this.#native = new (load().ProxyGate)(trusted, (fd) => this.#onMore(fd));
  }

  /** From now on it is before each server of this process, whoever accepts its connections. */
  install() {
    defineHeader();
    afterListening((server) => this.#stand(server));
  }

  /** How many wait. */
  get size() {
    return this.#waiting.size;
  }

  /**
   * A connection that another worker had: what there was to be read has been.
   *
   * @param {any} client
   * @param {Buffer | string | undefined} said
   */
  moved(client, said) {
    keep(client, said?.toString('latin1') ?? '');
  }

  /**
   * What is to go with a connection that moves.
   *
   * @param {any} client
   * @returns {Buffer | undefined}
   */
  saidOf(client) {
    const said = saidOf(client);
    return said ? Buffer.from(said, 'latin1') : undefined;
  }

  /** @param {any} server It has just begun to listen. */
  #stand(server) {
    const listening = rawOf(server);
    const { onconnection } = listening ?? {};
    if (!onconnection) return;
    listening.onconnection = (/** @type {number} */ status, /** @type {any} */ client) => {
      const handOver = () => Reflect.apply(onconnection, listening, [status, client]);
      if (status || !client || saidOf(client) !== undefined) handOver();
      else this.#admit({ server, listening, client, handOver });
    };
  }

  /** @param {Omit<Waiting, 'until' | 'slow'>} one */
  #admit(one) {
    const { client } = one;
    const length = this.#native.admit(client.fd, this.#room);
    if (length === MORE) this.#wait(one);
    else if (length < 0) client.close();
    else this.#pass(one, length);
  }

  /** @param {Omit<Waiting, 'until' | 'slow'>} one @param {number} length Of its header. */
  #pass({ client, handOver }, length) {
    if (length !== NOTHING) keep(client, this.#room.toString('latin1', 0, length));
    handOver();
  }

  /** @param {Omit<Waiting, 'until' | 'slow'>} one */
  #wait(one) {
    const { client } = one;
    if (!this.#native.watch(client.fd)) {
      client.close();
      return;
    }
    this.#waiting.set(client.fd, { ...one, until: performance.now() + PATIENCE, slow: false });
    if (this.#waiting.size > this.#most) this.#endFirst();
    if (!this.#timer) this.#timer = setTimeout(() => this.#onTime(), PATIENCE).unref();
  }

  /** @param {number} fd More has come from it, or its end. */
  #onMore(fd) {
    const one = this.#waiting.get(fd);
    if (!one) return;
    const { server, listening, client } = one;
    const isOpen = rawOf(server) === listening;
    if (isOpen && this.#servers.isFull(server)) {
      this.#forget(fd);
      this.#servers.giveBack(server, client, true);
      return;
    }
    const length = isOpen ? this.#native.lookAgain(fd, this.#room) : GONE;
    if (length === MORE && (one.slow ||= this.#native.watchOn(fd))) return;
    if (one.slow) this.#forget(fd);
    else this.#waiting.delete(fd);
    if (length < 0) client.close();
    else this.#servers.begin(server, () => this.#pass(one, length));
  }

  #onTime() {
    this.#timer = undefined;
    const now = performance.now();
    for (const { until } of this.#waiting.values()) {
      if (until > now) {
        this.#timer = setTimeout(() => this.#onTime(), Math.ceil(until - now)).unref();
        return;
      }
      this.#endFirst();
    }
  }

  #endFirst() {
    const [[fd, { client }]] = this.#waiting;
    this.#forget(fd);
    client.close();
  }

  /** @param {number} fd */
  #forget(fd) {
    this.#waiting.delete(fd);
    this.#native.forget(fd);
  }

  /**
   * Those that wait go to other workers.
   *
   * @param {any} [server] Of this server alone.
   */
  giveBack(server) {
    for (const [fd, one] of this.#waiting) {
      if (server && one.server !== server) continue;
      this.#forget(fd);
      this.#servers.giveBack(one.server, one.client, false);
    }
  }
}

module.exports = { Gate };
