'use strict';

// The message channel as JavaScript sees it: `send`, `disconnect`, `connected`, `channel` and the events `message`
// and `disconnect` on a process object, which is a worker's child process in the primary and `process` in a worker. This is its
// life; `sender.js` and `receiver.js` are what goes through it.

const contexts = require('../contexts.js');
const { hasClosed, needsToClose } = require('../node/process.js');
const { channels } = require('./at_exit.js');
const { EVENT } = require('./kinds.js');
const { Receiver } = require('./receiver.js');
const { Control } = require('./reference.js');
const { Sender } = require('./sender.js');

/**
 * The life of a channel, in order.
 *
 * - `open`: messages come and go.
 * - `closing`: `disconnect` was called, and what was sent before is being written. Messages still come.
 * - `ending`: nothing is read or written any more. What had been read is still delivered.
 * - `closed`: the descriptor is closed, and `disconnect` is emitted.
 */
const LIFE = Object.freeze({ open: 0, closing: 1, ending: 2, closed: 3 });

const RETRY_TIME = 100;
/** How long (ms) at most a channel is not read because another one is not. */
const LONGEST_WAIT = 2000;

// Loaded when they are first needed: each worker would pay for them when it starts.
const errors = () => require('../errors.js');

/**
 * @typedef {import('../native-types').Channel} NativeChannel
 * @typedef {import('./sender.js').SendCallback} SendCallback
 * @typedef {import('./sender.js').SendOptions} SendOptions
 */

/**
 * What the native part calls, and holds until the garbage collector takes it. So it must not lead to a channel that is
 * closed, which leads back to it.
 *
 * @param {{ receive: import('../native-types').OnEvent | undefined }} end
 * @returns {import('../native-types').OnEvent}
 */
function caller(end) {
  return (kind, payload, fd) => end.receive?.(kind, payload, fd);
}

class MessageChannel {
  /** @type {NativeChannel} */
  #native;
  /** @type {{ receive: import('../native-types').OnEvent | undefined }} */
  #end = { receive: undefined };
  /** The process object that the channel belongs to. */
  #target;
  #inWorker;
  #onMalformed;
  /** @type {number} */
  #life = LIFE.open;
  #sender;
  #receiver;
  /** @type {import('../handles/handles.js').Handles | undefined} */
  #handles;
  /** What is to be tried again after a while. @type {Set<string>} */
  #toTryAgain = new Set();
  /** Whether the other side may have sent away its end of this channel: then that its process has ended is not told by the socket. */
  #isAbroad = false;
  #processEnded = false;
  /** @type {Control} */
  control;

  /**
   * @param {any} target
   * @param {(onEvent: import('../native-types').OnEvent) => NativeChannel} open
   * @param {object} options
   * @param {boolean} options.advanced Whether messages are in V8's format instead of JSON.
   * @param {boolean} options.inWorker
   * @param {(message: any, fd: number) => void} options.onControl Gets messages between the two sides of rcluster.
   * @param {() => boolean} [options.hears] As of receiver.js.
   * @param {(isInternal: boolean) => boolean} [options.isHeard] As of receiver.js.
   * @param {(error: Error) => void} options.onMalformed The other side wrote what makes no sense; the channel ends.
   */
  constructor(target, open, { advanced, inWorker, onControl, hears, isHeard, onMalformed }) {
    this.#native = open(caller(this.#end));
    this.#target = target;
    this.#inWorker = inWorker;
    this.#onMalformed = onMalformed;
    this.control = new Control(this.#native, inWorker);
    const giveUp = (/** @type {string} */ what) => this.giveUp(what);
    const handles = () => this.#handlesOfThis();
    this.#receiver = new Receiver(target, { trusted: inWorker, onControl, hears, isHeard, giveUp, handles });
    this.#sender = new Sender(this.#native, advanced, this.control, {
      fail: (error, callback) => this.#fail(error, callback),
      giveUp,
      later: (what, tryAgain) => this.#later(what, tryAgain),
      handles,
    });
    // A worker's begins before any other code does: there is no context yet.
    const inContext = inWorker ? undefined : contexts.contextOfNow();
    const onCallback = this.#onCallback.bind(this);
    this.#end.receive = (kind, payload, fd) => {
      if (contexts.entered) this.#receiver.inContext(onCallback, kind, payload, fd);
      else if (inContext) inContext(onCallback, kind, payload, fd);
      else onCallback(kind, payload, fd);
    };
    target.connected = true;
    target.channel = this.control;
    target.send = this.#makeSend();
    target.disconnect = () => this.disconnect();
    // A child process is closed when its streams and its channel are.
    needsToClose(target, 1);
    channels.add(this);
    this.#native.resume();
  }

  /** Handles that were sent and got. Most channels never carry any. */
  #handlesOfThis() {
    return (this.#handles ??= new (require('../handles/handles.js').Handles)({
      trusted: this.#inWorker,
      sendControl: (message) => this.sendControl(message),
      mayBeAbroad: () => this.mayBeAbroad(),
    }));
  }

  get connected() {
    return this.#target.connected;
  }

  #makeSend() {
    const sender = this.#sender;
    const fail = this.#fail.bind(this);
    /**
     * @this {any}
     * @param {any} message
     * @param {any} [handle]
     * @param {SendOptions | SendCallback} [options]
     * @param {SendCallback} [callback]
     */
    return function send(message, handle, options, callback) {
      if (typeof handle === 'function') {
        callback = handle;
        handle = undefined;
        options = undefined;
      } else if (typeof options === 'function') {
        callback = options;
        options = undefined;
      } else if (options !== undefined && (options === null || typeof options !== 'object' || Array.isArray(options))) {
        throw errors().invalidArgument('options', 'of type object', options);
      }
      if (this.connected) return sender.send(message, handle, /** @type {SendOptions} */ (options), callback);
      fail(errors().channelClosed(), callback);
      return false;
    };
  }

  /**
   * @param {string} what
   * @param {() => unknown} tryAgain
   */
  #later(what, tryAgain) {
    if (this.#toTryAgain.has(what)) return;
    this.#toTryAgain.add(what);
    const timer = setTimeout(() => {
      this.#toTryAgain.delete(what);
      if (this.#life < LIFE.ending) tryAgain();
    }, RETRY_TIME);
    // A descriptor that is not watched keeps no process alive: while the channel is to do so, the timer does.
    if (!this.control.hasRef()) timer.unref();
  }

  /**
   * @param {Error} error
   * @param {SendCallback} [callback]
   */
  #fail(error, callback) {
    if (typeof callback === 'function') process.nextTick(callback, error);
    else process.nextTick(() => this.#target.emit('error', error));
  }

  /**
   * A message between the two sides of rcluster; it keeps its place among the user's messages.
   *
   * @param {object} message
   * @param {number} [fd] Sent along; the caller still owns it.
   * @returns {boolean} Whether it could be sent.
   */
  sendControl(message, fd = -1) {
    const length = this.#writeControl(message, fd);
    if (length < 0) return false;
    if (!this.#sender.isWriting) return true;
    const { unread } = this.#sender;
    unread.addControl(length, fd >= 0);
    // What a program sends is its own affair. What we answer must not grow with what a worker asks.
    if (!this.#inWorker && unread.isTooMuch) this.giveUp('it does not read the answers to what it asks');
    return true;
  }

  /**
   * @param {object} message
   * @param {number} fd
   * @returns {number} Its characters; -1 when it could not be sent.
   */
  #writeControl(message, fd) {
    return this.#life === LIFE.open && this.connected ? this.#sender.sendControl(message, fd) : -1;
  }

  /**
   * The same for a connection that another worker has sent. What comes faster than this one reads waits where it comes from.
   *
   * @param {object} message
   * @param {number} fd
   * @param {MessageChannel | undefined} from
   * @returns {boolean} Whether it could be sent. It cannot when too many wait.
   */
  passOn(message, fd, from) {
    const { unread } = this.#sender;
    if (!unread.hasRoom || this.#writeControl(message, fd) < 0) return false;
    if (this.#sender.isWriting && unread.addPassedOn() && from) from.#waitFor(unread);
    return true;
  }

  /**
   * Reads nothing until another channel has written what waits there.
   *
   * @param {import('./unread.js').Unread} unread
   */
  #waitFor(unread) {
    if (this.#life >= LIFE.ending) return;
    this.#native.pause();
    const goOn = () => {
      clearTimeout(timer);
      if (this.#life < LIFE.ending) this.#native.resume();
    };
    const timer = setTimeout(goOn, LONGEST_WAIT);
    unread.whenClear(goOn);
  }

  /** The process at the other side has ended. What it wrote before is still to be read. */
  processEnded() {
    this.#processEnded = true;
    this.#endIfAbroad();
  }

  /** It sends us, or others, what may hold its end of this channel. */
  mayBeAbroad() {
    this.#isAbroad = true;
    this.#endIfAbroad();
  }

  #endIfAbroad() {
    if (this.#isAbroad && this.#processEnded && this.#life < LIFE.ending) this.#native.shutDown();
  }

  /**
   * The process ends: what was sent has to leave now.
   *
   * @param {number} patience How long (ms) to wait for the other side to read. Only a worker waits.
   */
  writeOut(patience) {
    if (this.#life < LIFE.ending) this.#sender.writeOut(this.#inWorker ? patience : 0);
  }

  /** Somebody may listen now: delivers what was kept. */
  deliverKept() {
    this.#receiver.deliverKept();
  }

  /** Ends the channel when everything that was sent before is written. */
  disconnect() {
    if (!this.connected) {
      this.#target.emit('error', errors().disconnected());
      return;
    }
    this.#target.connected = false;
    this.#life = Math.max(this.#life, LIFE.closing);
    this.#sender.flush({ swallowErrors: true });
    if (this.#sender.queued === 0) this.#finish();
  }

  /** Closes it where nobody has heard of it yet: there never was another side. */
  abandon() {
    this.#life = LIFE.closed;
    channels.delete(this);
    Object.assign(this.#target, { connected: false, channel: null });
    needsToClose(this.#target, -1);
    this.#native.close();
    this.#end.receive = undefined;
  }

  /**
   * Ends the channel at once, as the other side breaks the rules. That is reported with `ERR_RCLUSTER_MALFORMED_MESSAGE`.
   *
   * @param {string} what Completes "The channel was closed: …".
   */
  giveUp(what) {
    if (this.#life >= LIFE.ending) return;
    // Before the end is told, of which a worker dies.
    process.nextTick(() => this.#onMalformed(errors().malformed(what)));
    this.#finish();
    // Nothing of it is worth anything: neither what was read nor what waits to be written.
    this.#receiver.clear();
    this.#native.close();
  }

  #finish() {
    if (this.#life >= LIFE.ending) return;
    this.#life = LIFE.ending;
    channels.delete(this);
    this.#target.connected = false;
    this.#target.channel = null;
    this.#sender.end();
    this.#receiver.end();
    // What has been read is delivered first: `delivered` tells when.
    if (!this.#native.endReading()) process.nextTick(() => this.#close());
  }

  #close() {
    if (this.#receiver.isInterrupted) {
      process.nextTick(() => this.#close());
      return;
    }
    this.#life = LIFE.closed;
    // A user may keep the process object for long.
    this.#receiver.clear();
    this.#native.close();
    this.#end.receive = undefined;
    // Each by itself: any of them may throw.
    process.nextTick(hasClosed, this.#target);
    try {
      this.#handles?.close();
    } finally {
      this.#target.emit('disconnect');
    }
  }

  /**
   * @param {number} kind
   * @param {any} payload
   * @param {number} fd
   */
  #onCallback(kind, payload, fd) {
    this.#sender.beginDelivery();
    try {
      if (kind === EVENT.jsonArray) this.#receiver.gotJson(payload);
      else this.#onEvent(kind, payload, fd);
    } finally {
      this.#sender.endDelivery();
    }
  }

  /**
   * @param {number} kind
   * @param {any} payload
   * @param {number} fd
   */
  #onEvent(kind, payload, fd) {
    switch (kind) {
      case EVENT.progress:
        this.#sender.progress();
        if (this.#life === LIFE.closing && this.#sender.queued === 0) this.#finish();
        return undefined;
      case EVENT.writeFailed:
        // Nobody is calling `send` now: the callbacks tell, and the end of the channel.
        this.#sender.writeFailed(payload, { swallowErrors: true });
        if (this.#life === LIFE.closing) this.#finish();
        return undefined;
      case EVENT.malformed:
        return this.giveUp(payload);
      case EVENT.pause:
        return this.#later('read', () => this.#native.resume());
      case EVENT.end:
        return this.#finish();
      case EVENT.delivered:
        return this.#close();
      default:
        return this.#receiver.got(kind, payload, fd);
    }
  }
}

module.exports = { MessageChannel };
