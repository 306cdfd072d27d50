'use strict';

// What a process sends: gathered, written when it is due, and what becomes of it is told to who wants to know.

const { isExiting } = require('../node/process.js');
const { settle, tellOrWait } = require('./callbacks.js');
const { FRAME } = require('./kinds.js');
const { LONG_TEXT, takeApart } = require('./long_texts.js');
const { Pace } = require('./pace.js');
const { Unread } = require('./unread.js');

/** What the kernel says of a handle that has no socket yet (EBADF). */
const NO_DESCRIPTOR = -9;
/** `send` says "please stop" when more bytes than this wait to be written. */
const HIGH_WATER_MARK = 128 * 1024;
/** JSON from so many characters on is a frame of its own: joined with others it might be longer than a string can be. */
const ALONE = 1 << 20;
/** So many messages are looked at for long texts at first, and after each that had some: the JSON of a long one takes several times its memory. */
const LOOK_FOR_TEXTS = 16;

// As it was before any other code could replace it, as Node's own channel uses it.
const { stringify } = JSON;

// Loaded when they are first needed: each worker would pay for them when it starts.
const errors = () => require('../errors.js');
/** @type {typeof import('./serialization.js') | undefined} */
let serialization;
const v8Format = () => (serialization ??= require('./serialization.js'));
/** @type {typeof import('./plain.js') | undefined} */
let plain;
const plainModule = () => (plain ??= require('./plain.js'));

/** Before the first message is sent: by then descriptors may have run out, and nothing can be loaded any more. */
function loadForAdvanced() {
  v8Format();
  plainModule();
}

/**
 * @typedef {import('./callbacks.js').SendCallback} SendCallback
 * @typedef {import('./callbacks.js').Waiting} Waiting
 * @typedef {{ swallowErrors?: boolean, keepOpen?: boolean }} SendOptions
 *
 * @typedef {object} Ways What the sender asks its channel for.
 * @property {(error: Error, callback?: SendCallback) => void} fail Tells the user, in a tick of its own.
 * @property {(what: string) => void} giveUp
 * @property {(what: string, tryAgain: () => unknown) => void} later
 * @property {() => import('../handles/handles.js').Handles} handles
 */

class Sender {
  /** @type {import('../native-types').Channel} */
  #native;
  #advanced;
  #reference;
  #ways;
  /** Nothing is written any more. */
  #ended = false;

  /** JSON texts of this tick, joined by commas. */
  #gathered = '';
  #pace = new Pace();
  /** Whether the end of this tick will call us. */
  #inTick = false;
  /** Whether messages are being delivered, in one call of the event loop. */
  #delivering = false;

  /** Bytes that wait to be written, as the last write said. */
  #queued = 0;
  /** Whether a write is under way that the event loop goes on with. */
  #writing = false;
  /** In the order of their messages. @type {Waiting[]} */
  #callbacks = [];
  /** Of messages that are gathered. @type {Waiting[]} */
  #gatheredCallbacks = [];
  /** So many of the next messages are looked at for long texts. */
  #lookForTexts = LOOK_FOR_TEXTS;

  unread = new Unread();

  /**
   * @param {import('../native-types').Channel} native
   * @param {boolean} advanced Whether messages are in V8's format instead of JSON.
   * @param {import('./reference.js').Control} reference
   * @param {Ways} ways
   */
  constructor(native, advanced, reference, ways) {
    this.#native = native;
    this.#advanced = advanced;
    this.#reference = reference;
    this.#ways = ways;
    this.endTick = this.endTick.bind(this);
    if (advanced) loadForAdvanced();
  }

  /** Bytes that wait to be written. */
  get queued() {
    return this.#queued;
  }

  get isWriting() {
    return this.#writing;
  }

  /**
   * @param {any} message
   * @param {any} [handle]
   * @param {SendOptions} [options]
   * @param {SendCallback} [callback]
   * @returns {boolean} Whether the sender may go on, rather than wait for what is queued to be written.
   */
  send(message, handle, options, callback) {
    if (message === undefined) throw errors().missingMessage();
    const type = typeof message;
    if (type !== 'string' && type !== 'object' && type !== 'number' && type !== 'boolean') {
      throw errors().invalidArgument('message', 'one of type string, object, number, or boolean', message);
    }
    if (handle) return this.#sendHandle(message, handle, options ?? {}, callback);
    if (this.#advanced && !plainModule().isPlain(message)) this.#gatherAdvanced(message, type === 'object');
    else if (this.#lookForTexts === 0 || type !== 'object' || !this.#gatherLongTexts(message)) {
      this.#gatherText(stringify(message), type === 'object');
    }
    return this.#afterGathering(options, callback);
  }

  /**
   * Queues a message that has long texts.
   *
   * @param {any} message
   * @returns {boolean} Whether it was one.
   */
  #gatherLongTexts(message) {
    const parts = takeApart(message, stringify, this.#advanced);
    if (!parts) {
      this.#lookForTexts--;
      return false;
    }
    this.#lookForTexts = LOOK_FOR_TEXTS;
    this.#pushGathered();
    for (const text of parts.texts) this.#pushCounted(FRAME.text, text);
    this.#pushCounted(FRAME.jsonWithTexts, parts.json);
    return true;
  }

  /**
   * @param {number} kind
   * @param {string} text
   */
  #pushCounted(kind, text) {
    this.#native.pushText(kind, text, text.length, -1);
    this.#queued += text.length;
  }

  /**
   * @param {string | undefined} text
   * @param {boolean} isOfObject Which may have long texts; then the next one probably has some as well.
   */
  #gatherText(text, isOfObject) {
    if (text === undefined) {
      throw errors().ours('ERR_RCLUSTER_UNSERIALIZABLE', 'The "message" argument has no JSON form');
    }
    if (text.length >= LONG_TEXT) {
      if (isOfObject) this.#lookForTexts = LOOK_FOR_TEXTS;
      if (text.length >= ALONE) {
        this.#pushGathered();
        this.#pushCounted(FRAME.jsonAlone, text);
        return;
      }
    }
    this.#gathered = this.#gathered === '' ? text : `${this.#gathered},${text}`;
  }

  /**
   * @param {any} message
   * @param {boolean} isObject As of `#gatherText`.
   */
  #gatherAdvanced(message, isObject) {
    if (isObject && this.#lookForTexts > 0 && this.#gatherLongTexts(message)) return;
    const bytes = v8Format().serialize(message);
    if (isObject && bytes.length >= LONG_TEXT) this.#lookForTexts = LOOK_FOR_TEXTS;
    this.#pushGathered();
    this.#native.pushBytes(FRAME.advanced, bytes, -1);
    this.#queued += bytes.length;
  }

  /**
   * A message has been gathered or queued.
   *
   * @param {SendOptions} [options]
   * @param {SendCallback} [callback]
   * @returns {boolean} As `send`.
   */
  #afterGathering(options, callback) {
    /** @type {Waiting | undefined} */
    let waiting;
    if (typeof callback === 'function') {
      waiting = { callback, mark: 0, outcome: undefined, context: undefined };
      this.#gatheredCallbacks.push(waiting);
    }
    if (!this.#inTick) this.#beginTick();
    const isDue = this.#pace.isDue(Math.max(this.#gathered.length, this.#queued));
    const mayGoOn = isDue ? this.flush(options) : this.#queued < HIGH_WATER_MARK;
    // In a tick of its own, in the context of its sender. What was gathered is written by then.
    if (waiting) process.nextTick(tellOrWait, waiting);
    return mayGoOn;
  }

  #beginTick() {
    this.#inTick = true;
    // While messages are being delivered, the end of that is the end of the tick.
    if (!this.#delivering) process.nextTick(this.endTick);
    // A process that is ending has no more ticks: each message leaves at once.
    this.#pace.beginTick(isExiting());
  }

  /** The tick is over: writes what it has gathered. */
  endTick() {
    this.#inTick = false;
    this.#pace.endTick();
    const pending = this.#gathered !== '' || this.#queued > 0 || this.#gatheredCallbacks.length > 0;
    if (pending && !this.#ended) this.flush();
  }

  /** What is sent from now on leaves when {@link endDelivery} is called. */
  beginDelivery() {
    this.#delivering = true;
  }

  endDelivery() {
    this.#delivering = false;
    if (this.#inTick) this.endTick();
  }

  /**
   * Writes what is gathered and queued, as far as the kernel takes it.
   *
   * @param {SendOptions} [options]
   * @returns {boolean}
   */
  flush(options) {
    const wasQueued = this.#writing;
    const queued = this.#writeGathered();
    // What fails had been accepted before, when others were waiting already: only callbacks can tell.
    if (queued < 0) return this.writeFailed(queued, wasQueued ? { swallowErrors: true } : options);
    this.#written(queued, wasQueued);
    return queued < HIGH_WATER_MARK;
  }

  /** @returns {number} Bytes that are still to be written, or a negative errno. */
  #writeGathered() {
    if (this.#gathered === '' || this.#gatheredCallbacks.length > 0) {
      this.#pushGathered();
      return this.#native.flush();
    }
    const text = this.#gathered;
    this.#gathered = '';
    return this.#native.writeText(FRAME.json, text, text.length);
  }

  #pushGathered() {
    if (this.#gathered !== '') {
      const text = this.#gathered;
      this.#gathered = '';
      this.#native.pushText(FRAME.json, text, text.length, -1);
    }
    if (this.#gatheredCallbacks.length > 0) {
      const mark = this.#native.pushed;
      for (const waiting of this.#gatheredCallbacks) {
        waiting.mark = mark;
        this.#callbacks.push(waiting);
      }
      this.#gatheredCallbacks = [];
    }
  }

  /** The event loop has written some of what was queued. */
  progress() {
    this.#written(this.#native.queued, this.#writing);
  }

  /**
   * @param {number} queued Bytes still to be written.
   * @param {boolean} wasWriting
   */
  #written(queued, wasWriting) {
    this.#queued = queued;
    this.#writing = queued > 0;
    if (this.#writing && !wasWriting) this.#reference.refCounted();
    else if (!this.#writing && wasWriting) this.#reference.unrefCounted();
    if (!this.#writing) this.unread.clear();
    // The kernel has no memory for it, say: nothing tells when it has.
    else if (this.#native.stalled) this.#ways.later('write', () => this.flush({ swallowErrors: true }));
    if (this.#callbacks.length === 0) return;
    const written = this.#native.pushed - queued;
    let done = 0;
    while (done < this.#callbacks.length && this.#callbacks[done].mark <= written) done++;
    settle(this.#callbacks.splice(0, done), null);
  }

  /**
   * @param {number} errno
   * @param {SendOptions} [options]
   * @returns {boolean} What `send` returns then: nothing waits any more.
   */
  writeFailed(errno, options) {
    const error = errors().system(errno, 'write');
    const failed = this.#callbacks.splice(0);
    this.#queued = 0;
    if (this.#writing) {
      this.#writing = false;
      this.#reference.unrefCounted();
    }
    if (failed.length > 0) settle(failed, error);
    else if (!options?.swallowErrors && !this.#ended) this.#ways.fail(error);
    // When the other side has gone, that is seen by reading. Anything else has cut a frame in two.
    if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') this.#ways.giveUp(`it could not be written to (${error.code})`);
    return true;
  }

  /**
   * @param {any} message
   * @param {any} handle
   * @param {SendOptions} options
   * @param {SendCallback} [callback]
   */
  #sendHandle(message, handle, options, callback) {
    const { about, fd, release } = this.#ways.handles().prepare(handle, options);
    // A socket that was sent before has no descriptor any more: the message goes alone.
    if (fd === undefined) return this.send(message, undefined, options, callback);
    let errno;
    try {
      errno = fd < 0 ? NO_DESCRIPTOR : this.#pushWithFd(about, message, fd);
    } finally {
      release();
    }
    if (errno < 0) {
      if (!options.swallowErrors) this.#ways.fail(errors().system(errno, 'write'), callback);
      return this.#queued < HIGH_WATER_MARK;
    }
    this.#queued++; // At least: what is gathered has to be flushed.
    return this.#afterGathering(options, callback);
  }

  /**
   * @param {object} about
   * @param {any} message
   * @param {number} fd
   */
  #pushWithFd(about, message, fd) {
    this.#pushGathered();
    if (this.#advanced) return this.#native.pushBytes(FRAME.handleAdvanced, v8Format().serialize(about, message), fd);
    // Named as in Node: `toJSON` is told the name.
    const text = `[${stringify(about)},${stringify({ __proto__: null, msg: message })}]`;
    return this.#native.pushText(FRAME.handleJson, text, text.length, fd);
  }

  /**
   * Sends a message between the two sides of rcluster.
   *
   * @param {object} message
   * @param {number} fd
   * @returns {number} Its characters; -1 when it could not be sent.
   */
  sendControl(message, fd) {
    this.#pushGathered();
    const text = stringify(message);
    if (this.#native.pushText(FRAME.control, text, text.length, fd) < 0) return -1;
    this.flush({ swallowErrors: true });
    return text.length;
  }

  /**
   * The process ends: what was sent has to leave now.
   *
   * @param {number} patience How long (ms) to wait for the other side to read.
   */
  writeOut(patience) {
    this.#pushGathered();
    this.#native.flushBlocking(patience);
  }

  /** Nothing is written any more. Who waits to hear of a message hears that the channel is closed. */
  end() {
    this.#ended = true;
    this.unread.clear();
    const unsent = [...this.#callbacks.splice(0), ...this.#gatheredCallbacks.splice(0)];
    if (unsent.length > 0) settle(unsent, errors().channelClosed());
  }
}

module.exports = { Sender };
