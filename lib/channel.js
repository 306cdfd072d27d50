'use strict';

// The message channel as JavaScript sees it: `send`, `disconnect`, `connected`, `channel` and the events `message`
// and `disconnect` on a process object, which is a worker's child process in the primary and `process` in a worker.

const EventEmitter = require('node:events');

const { problemOf } = require('./control.js');
const { load } = require('./native.js');
const { Pace, areTooMuch, putTogether, takeApart } = require('./packing.js');

/** Kinds of frames (src/channel/frame.rs) and events (src/js/channel.rs). */
const FRAME = Object.freeze({ json: 1, advanced: 2, control: 3, handleJson: 4, handleAdvanced: 5, text: 7, jsonWithTexts: 8 });
const EVENT = Object.freeze({
  jsonArray: 16,
  advancedRun: 17,
  progress: 32,
  end: 33,
  malformed: 34,
  writeFailed: 35,
  outOfDescriptors: 36,
});

/** What the kernel says of a handle that has no socket yet (EBADF). */
const NO_DESCRIPTOR = -9;
/** `send` says "please stop" when more bytes than this wait to be written. */
const HIGH_WATER_MARK = 128 * 1024;
/** How long (ms) a process that ends waits for a peer that does not read. */
const LAST_WRITE_TIME = 1000;
const RETRY_TIME = 100;
/** What control messages about sent sockets are about (socket_lists.js). */
const SOCKET_ACTS = new Set(['count-sockets', 'await-sockets', 'socket-answer']);

/** Milliseconds. Not `performance.now`: a worker that uses it for the first time loads ten modules of Node. */
function now() {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

// Loaded when they are first needed: each worker would pay for them when it starts.
const handles = () => require('./handles.js');
const errors = () => require('./errors.js');
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

/** The channels of this process that are open, to be written out when it ends. @type {Set<MessageChannel>} */
const channels = new Set();
/** When the process that is ending gives up on peers that do not read. @type {number | undefined} */
let giveUpAt;

process.on('exit', () => {
  giveUpAt = now() + LAST_WRITE_TIME;
  for (const channel of channels) channel.flushAtExit();
});

/**
 * @typedef {import('./native-types').Channel} NativeChannel
 * @typedef {(error: Error | null) => void} SendCallback
 * @typedef {{ swallowErrors?: boolean, keepOpen?: boolean }} SendOptions
 */

/**
 * What the native part calls, and holds until the garbage collector takes it. So it must not lead to a channel that is
 * closed, which leads back to it.
 *
 * @param {{ receive: import('./native-types').OnEvent | undefined }} end
 * @returns {import('./native-types').OnEvent}
 */
function receiver(end) {
  return (kind, payload, fd) => end.receive?.(kind, payload, fd);
}

/**
 * `process.channel` and `worker.process.channel`: counts what needs the channel open, until the user decides. In this file
 * because a worker starts sooner, and half a megabyte smaller, with one module less.
 */
class Control extends EventEmitter {
  /** @type {import('./native-types').Channel | null} */
  #native;
  #users = 0;
  #decidedByUser = false;
  #referenced;
  #countsUsers;

  /**
   * @param {import('./native-types').Channel} native
   * @param {boolean} countsUsers Whether an open channel without users lets the process end (as in a worker).
   */
  constructor(native, countsUsers) {
    super();
    this.#native = native;
    this.#countsUsers = countsUsers;
    this.#referenced = !countsUsers;
    native.setRef(this.#referenced);
  }

  /** One more listener, or one more write that is under way. */
  refCounted() {
    if (++this.#users === 1 && this.#countsUsers && !this.#decidedByUser) this.#set(true);
  }

  /** One fewer. */
  unrefCounted() {
    if (--this.#users === 0 && this.#countsUsers && !this.#decidedByUser) {
      this.#set(false);
      this.emit('unref');
    }
  }

  ref() {
    this.#decidedByUser = true;
    this.#set(true);
  }

  unref() {
    this.#decidedByUser = true;
    this.#set(false);
  }

  hasRef() {
    return this.#referenced;
  }

  get fd() {
    return this.#native ? this.#native.fd : undefined;
  }

  /** @param {boolean} referenced */
  #set(referenced) {
    this.#referenced = referenced;
    this.#native?.setRef(referenced);
  }
}

class MessageChannel {
  /** @type {NativeChannel} */
  #native;
  /** @type {{ receive: import('./native-types').OnEvent | undefined }} */
  #end = { receive: undefined };
  /** The process object that the channel belongs to. */
  #target;
  #advanced;
  #onControl;
  #isHeard;
  #onClosed;
  #onMalformed;

  /** JSON texts of this tick, joined by commas. */
  #gathered = '';
  #pace = new Pace();
  /** Whether the end of this tick will call us. */
  #inTick = false;
  /** Whether messages are being delivered, in one call of the event loop. */
  #delivering = false;

  /** Bytes that wait to be written, as the last write said. */
  #queued = 0;
  /** @type {{ callback: SendCallback, mark: number }[]} In the order of their messages. */
  #callbacks = [];
  /** Callbacks of messages that are gathered. @type {SendCallback[]} */
  #gatheredCallbacks = [];
  /** Long texts that came ahead of their message. @type {string[]} */
  #texts = [];
  #disconnecting = false;
  #closed = false;
  /** @type {import('./socket_lists.js').SocketLists | undefined} */
  #socketLists;
  /** @type {Control} */
  control;

  /**
   * @param {any} target
   * @param {(onEvent: import('./native-types').OnEvent) => NativeChannel} open
   * @param {object} options
   * @param {boolean} options.advanced Whether messages are in V8's format instead of JSON.
   * @param {boolean} options.inWorker
   * @param {(message: any, fd: number) => void} options.onControl Gets messages between the two sides of rcluster.
   * @param {(message: any, handle: any) => boolean} options.deliver Emits a message; `false` keeps it for later.
   * @param {(isInternal: boolean) => boolean} [options.isHeard] Whether somebody listens for messages. If not, nothing is
   *   made of a handle.
   * @param {() => void} options.onClosed
   * @param {(error: Error) => void} options.onMalformed The other side wrote what makes no sense; the channel ends.
   */
  constructor(target, open, { advanced, inWorker, onControl, deliver, isHeard, onClosed, onMalformed }) {
    this.#native = open(receiver(this.#end));
    this.#end.receive = (kind, payload, fd) => this.#onCallback(kind, payload, fd);
    this.#target = target;
    this.#advanced = advanced;
    if (advanced) loadForAdvanced();
    this.#onControl = onControl;
    this.#onClosed = onClosed;
    this.#onMalformed = onMalformed;
    this.#isHeard = isHeard;
    this.inWorker = inWorker;
    this.deliver = deliver;
    this.control = new Control(this.#native, inWorker);
    this.endTick = this.endTick.bind(this);
    target.connected = true;
    target.channel = this.control;
    target.send = this.#makeSend();
    target.disconnect = () => this.disconnect();
    // A child process is closed when its streams and its channel are.
    if (typeof target._closesNeeded === 'number') target._closesNeeded++;
    channels.add(this);
    this.#native.resume();
  }

  /** Sockets that were sent and got, and the servers that they belong to. @returns {import('./socket_lists.js').SocketLists} */
  get socketLists() {
    return (this.#socketLists ??= new (require('./socket_lists.js').SocketLists)(this));
  }

  get connected() {
    return this.#target.connected;
  }

  get target() {
    return this.#target;
  }

  #makeSend() {
    const channel = this;
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
      if (this.connected) return channel.send(message, handle, /** @type {SendOptions} */ (options), callback);
      channel.#fail(errors().channelClosed(), callback);
      return false;
    };
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
    if (this.#advanced && !plainModule().isPlain(message)) this.#gatherBytes(v8Format().serialize(message));
    else if (type !== 'object' || !this.#gatherLongTexts(message)) this.#gatherText(JSON.stringify(message));
    if (typeof callback === 'function') this.#gatheredCallbacks.push(callback);
    return this.#afterGathering(options);
  }

  /**
   * Queues a message that has long texts.
   *
   * @param {any} message
   * @returns {boolean} Whether it was one.
   */
  #gatherLongTexts(message) {
    const parts = takeApart(message);
    if (!parts) return false;
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

  /** @param {string | undefined} text */
  #gatherText(text) {
    if (text === undefined) {
      throw errors().coded(TypeError, 'ERR_RCLUSTER_UNSERIALIZABLE', 'The "message" argument has no JSON form');
    }
    this.#gathered = this.#gathered === '' ? text : `${this.#gathered},${text}`;
  }

  /** @param {Buffer} bytes */
  #gatherBytes(bytes) {
    this.#pushGathered();
    this.#native.pushBytes(FRAME.advanced, bytes, -1);
    this.#queued += bytes.length;
  }

  /** @param {SendOptions} [options] */
  #afterGathering(options) {
    if (giveUpAt !== undefined) return this.flushAtExit();
    if (!this.#inTick) this.#beginTick();
    if (this.#pace.isDue(Math.max(this.#gathered.length, this.#queued))) return this.#flush(options);
    return this.#queued < HIGH_WATER_MARK;
  }

  #beginTick() {
    this.#inTick = true;
    // While messages are being delivered, the end of that is the end of the tick.
    if (!this.#delivering) process.nextTick(this.endTick);
    this.#pace.beginTick();
  }

  /** The tick is over: writes what it has gathered. */
  endTick() {
    this.#inTick = false;
    this.#pace.endTick();
    const pending = this.#gathered !== '' || this.#queued > 0 || this.#gatheredCallbacks.length > 0;
    if (pending && !this.#closed) this.#flush();
  }

  /**
   * Writes what is gathered and queued, as far as the kernel takes it.
   *
   * @param {SendOptions} [options]
   * @returns {boolean}
   */
  #flush(options) {
    const wasQueued = this.#writing;
    const queued = this.#writeGathered();
    // What fails had been accepted before, when others were waiting already: only callbacks can tell.
    if (queued < 0) return this.#writeFailed(queued, wasQueued ? { swallowErrors: true } : options);
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
      for (const callback of this.#gatheredCallbacks) this.#callbacks.push({ callback, mark });
      this.#gatheredCallbacks = [];
    }
  }

  /** Whether a write is under way that the event loop goes on with. */
  #writing = false;

  /**
   * @param {number} queued Bytes still to be written.
   * @param {boolean} wasWriting
   */
  #written(queued, wasWriting) {
    this.#queued = queued;
    this.#writing = queued > 0;
    if (this.#writing && !wasWriting) this.control.refCounted();
    else if (!this.#writing && wasWriting) this.control.unrefCounted();
    if (this.#callbacks.length === 0) return;
    const written = this.#native.pushed - queued;
    let done = 0;
    while (done < this.#callbacks.length && this.#callbacks[done].mark <= written) done++;
    for (const { callback } of this.#callbacks.splice(0, done)) process.nextTick(callback, null);
  }

  /**
   * @param {number} errno
   * @param {SendOptions} [options]
   * @returns {boolean} What `send` returns then: nothing waits any more.
   */
  #writeFailed(errno, options) {
    const failed = this.#callbacks.splice(0);
    const error = errors().system(errno, 'write');
    this.#queued = 0;
    if (this.#writing) {
      this.#writing = false;
      this.control.unrefCounted();
    }
    if (failed.length > 0) for (const { callback } of failed) process.nextTick(callback, error);
    else if (!options?.swallowErrors && !this.#closed) this.#fail(error);
    return true;
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
   * @param {any} message
   * @param {any} handle
   * @param {SendOptions} options
   * @param {SendCallback} [callback]
   */
  #sendHandle(message, handle, options, callback) {
    const { about, fd, release } = handles().prepare(this, handle, options);
    // A socket that was sent before has no descriptor any more: the message goes alone.
    if (fd === undefined) return this.send(message, undefined, options, callback);
    let errno;
    try {
      errno = fd < 0 ? NO_DESCRIPTOR : this.#pushWithFd(about, message, fd);
    } finally {
      release();
    }
    if (errno < 0) {
      if (!options.swallowErrors) this.#fail(errors().system(errno, 'write'), callback);
      return this.#queued < HIGH_WATER_MARK;
    }
    if (typeof callback === 'function') this.#gatheredCallbacks.push(callback);
    this.#queued++; // At least: what is gathered has to be flushed.
    return this.#afterGathering(options);
  }

  /**
   * @param {object} about
   * @param {any} message
   * @param {number} fd
   */
  #pushWithFd(about, message, fd) {
    this.#pushGathered();
    if (this.#advanced) return this.#native.pushBytes(FRAME.handleAdvanced, v8Format().serialize(about, message), fd);
    const text = JSON.stringify([about, message]);
    return this.#native.pushText(FRAME.handleJson, text, text.length, fd);
  }

  /**
   * A message between the two sides of rcluster; it keeps its place among the user's messages.
   *
   * @param {object} message
   * @param {number} [fd] Sent along; the caller still owns it.
   * @returns {boolean} Whether it could be sent.
   */
  sendControl(message, fd = -1) {
    if (this.#closed || !this.connected) return false;
    this.#pushGathered();
    const text = JSON.stringify(message);
    if (this.#native.pushText(FRAME.control, text, text.length, fd) < 0) return false;
    this.#flush({ swallowErrors: true });
    return true;
  }

  /**
   * The process ends: what was sent has to leave now. Only a worker waits for that.
   *
   * @returns {boolean} As `send`.
   */
  flushAtExit() {
    if (this.#closed) return true;
    this.#pushGathered();
    const patience = this.inWorker ? Math.max(0, Math.ceil((giveUpAt ?? 0) - now())) : 0;
    return this.#native.flushBlocking(patience) < HIGH_WATER_MARK;
  }

  /** Ends the channel when everything that was sent before is written. */
  disconnect() {
    if (!this.connected) {
      this.#target.emit('error', errors().disconnected());
      return;
    }
    this.#target.connected = false;
    this.#disconnecting = true;
    this.#flush({ swallowErrors: true });
    if (this.#queued === 0) this.#finish();
  }

  /** Closes it where nobody has heard of it yet: there never was another side. */
  abandon() {
    this.#closed = true;
    channels.delete(this);
    Object.assign(this.#target, { connected: false, channel: null });
    if (typeof this.#target._closesNeeded === 'number') this.#target._closesNeeded--;
    this.#native.close();
    this.#end.receive = undefined;
  }

  #finish() {
    if (this.#closed) return;
    this.#closed = true;
    channels.delete(this);
    this.#target.connected = false;
    this.#target.channel = null;
    const target = this.#target;
    const unsent = [...this.#callbacks.splice(0).map(({ callback }) => callback), ...this.#gatheredCallbacks.splice(0)];
    for (const callback of unsent) process.nextTick(callback, errors().channelClosed());
    process.nextTick(() => {
      this.#native.close();
      this.#end.receive = undefined;
      this.#socketLists?.close();
      this.#onClosed();
      target.emit('disconnect');
      if (typeof target._closesNeeded === 'number' && ++target._closesGot === target._closesNeeded) {
        target.emit('close', target.exitCode, target.signalCode);
      }
    });
  }

  /**
   * @param {number} kind
   * @param {any} payload
   * @param {number} fd
   */
  #onCallback(kind, payload, fd) {
    this.#delivering = true;
    try {
      if (kind === EVENT.jsonArray) this.#gotJson(payload);
      else this.#onEvent(kind, payload, fd);
    } finally {
      this.#delivering = false;
      if (this.#inTick) this.endTick();
    }
  }

  /** @param {string} text An array of messages. */
  #gotJson(text) {
    let messages;
    try {
      messages = JSON.parse(text);
    } catch (error) {
      this.#malformed(/** @type {Error} */ (error).message);
      return;
    }
    this.#emitAll(messages);
  }

  /**
   * @param {number} kind
   * @param {any} payload
   * @param {number} fd
   */
  #onEvent(kind, payload, fd) {
    switch (kind) {
      case EVENT.advancedRun:
        return this.#understand(() => v8Format().deserializeRun(payload), this.#emitAll);
      case FRAME.advanced:
        return this.#understand(() => v8Format().deserialize(payload, 1), this.#emitAll);
      case FRAME.control:
        return this.#understand(() => JSON.parse(payload), (message) => this.#gotControl(message, fd), fd);
      case FRAME.handleJson:
        return this.#understand(() => JSON.parse(payload), (parts) => this.#gotHandle(parts, fd), fd);
      case FRAME.handleAdvanced:
        return this.#understand(() => v8Format().deserialize(payload, 2), (parts) => this.#gotHandle(parts, fd), fd);
      case FRAME.text:
        return this.#gotText(payload);
      case FRAME.jsonWithTexts:
        return this.#understand(() => [putTogether(payload, this.#texts.splice(0))], this.#emitAll);
      case EVENT.progress:
        this.#written(payload, this.#writing);
        if (this.#disconnecting && payload === 0) this.#finish();
        return undefined;
      case EVENT.writeFailed:
        // Nobody is calling `send` now: the callbacks tell, and the end of the channel.
        this.#writeFailed(payload, { swallowErrors: true });
        if (this.#disconnecting) this.#finish();
        return undefined;
      case EVENT.malformed:
        return this.#malformed(payload);
      case EVENT.outOfDescriptors:
        setTimeout(() => this.#closed || this.#native.resume(), RETRY_TIME).unref();
        return undefined;
      case EVENT.end:
        return this.#finish();
      default:
        discard(fd);
        return this.#malformed('a frame has no business here');
    }
  }

  /** @param {string} text Of a message that is still to come. */
  #gotText(text) {
    this.#texts.push(text);
    if (areTooMuch(this.#texts)) this.#malformed('more text came than a message has');
  }

  /**
   * What the other side writes may be anything: what cannot be understood ends the channel, and harms nobody else.
   *
   * @template T
   * @param {() => T} parse
   * @param {(parsed: T) => void} use
   * @param {number} [fd] The descriptor that came along, closed when nobody can use it.
   */
  #understand(parse, use, fd = -1) {
    let parsed;
    try {
      parsed = parse();
    } catch (error) {
      discard(fd);
      this.#malformed(/** @type {Error} */ (error).message);
      return;
    }
    use.call(this, parsed);
  }

  /**
   * The other side broke a rule: the channel ends with an error.
   *
   * @param {string} what
   */
  giveUp(what) {
    this.#malformed(what);
  }

  /** @param {string} what */
  #malformed(what) {
    if (this.#closed) return;
    this.#finish();
    process.nextTick(() => this.#onMalformed(errors().malformed(what)));
  }

  /** @param {any[]} messages */
  #emitAll(messages) {
    let index = 0;
    try {
      while (index < messages.length && !this.#closed) this.#emit(messages[index++], undefined);
    } finally {
      // A listener has thrown: if the process goes on, the rest follows.
      if (index < messages.length) process.nextTick(() => this.#emitAll(messages.slice(index)));
    }
  }

  /**
   * @param {any} message
   * @param {any} handle
   */
  #emit(message, handle) {
    if (isInternal(message)) this.#target.emit('internalMessage', message, handle);
    else this.deliver(message, handle);
  }

  /**
   * @param {any} message
   * @param {number} fd
   */
  #gotControl(message, fd) {
    const problem = problemOf(message, this.inWorker ? 'primary' : 'worker', fd >= 0);
    if (problem === undefined && !SOCKET_ACTS.has(message.act)) {
      this.#onControl(message, fd);
      return;
    }
    discard(fd);
    // What comes from a worker breaks a rule also when it asks more than may be asked at a time.
    const broken = problem ?? (this.socketLists.onControl(message) ? undefined : 'more questions wait than may be asked');
    // A worker that got nonsense from its primary has nobody else to serve for.
    if (broken !== undefined && !this.inWorker) this.#malformed(broken);
  }

  /**
   * @param {any} parts
   * @param {number} fd
   */
  #gotHandle(parts, fd) {
    const [about, message] = Array.isArray(parts) ? parts : [];
    if (this.#isHeard?.(isInternal(message)) === false) {
      handles().discardForeign(fd);
      return;
    }
    this.#understand(() => handles().receive(this, about, fd), (receive) => receive((handle) => this.#emit(message, handle)));
  }
}

/** @param {number} fd A descriptor that nobody wants, or -1. */
function discard(fd) {
  if (fd >= 0) load().closeFd(fd);
}

/**
 * Node keeps messages whose `cmd` begins so from the `message` event.
 *
 * @param {any} message
 */
function isInternal(message) {
  return (
    typeof message === 'object' &&
    message !== null &&
    typeof message.cmd === 'string' &&
    message.cmd.length > 5 &&
    message.cmd.startsWith('NODE_')
  );
}

module.exports = { MessageChannel };
