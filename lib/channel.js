'use strict';

// The message channel as JavaScript sees it: `send`, `disconnect`, `connected`, `channel` and the events `message`
// and `disconnect` on a process object, which is a worker's child process in the primary and `process` in a worker.

const EventEmitter = require('node:events');

const contexts = require('./contexts.js');
const { problemOf } = require('./control.js');
const { load } = require('./native.js');
const { LONG_TEXT, Pace, areTooMuch, lengthOf, putTogether, takeApart } = require('./packing.js');

/** Kinds of frames (src/channel/frame.rs) and events (src/js/channel.rs). */
const FRAME = Object.freeze({
  json: 1,
  advanced: 2,
  control: 3,
  handleJson: 4,
  handleAdvanced: 5,
  text: 7,
  jsonWithTexts: 8,
  jsonAlone: 9,
});
const EVENT = Object.freeze({
  jsonArray: 16,
  advancedRun: 17,
  progress: 32,
  end: 33,
  malformed: 34,
  writeFailed: 35,
  pause: 36,
  delivered: 37,
});

/** What the kernel says of a handle that has no socket yet (EBADF). */
const NO_DESCRIPTOR = -9;

/**
 * The life of a channel, in order.
 *
 * - `open`: messages come and go.
 * - `closing`: `disconnect` was called, and what was sent before is being written. Messages still come.
 * - `ending`: nothing is read or written any more. What had been read is still delivered.
 * - `closed`: the descriptor is closed, and `disconnect` is emitted.
 */
const LIFE = Object.freeze({ open: 0, closing: 1, ending: 2, closed: 3 });

/** `send` says "please stop" when more bytes than this wait to be written. */
const HIGH_WATER_MARK = 128 * 1024;
/** How long (ms) a process that ends waits for a peer that does not read. */
const LAST_WRITE_TIME = 1000;
const RETRY_TIME = 100;
/** JSON from so many characters on is a frame of its own: joined with others it might be longer than a string can be. */
const ALONE = 1 << 20;
/** After a message with long texts so many are looked at for more of them. */
const LOOK_FOR_TEXTS = 16;
/** What control messages that a worker does not read may come to, in the primary: characters, and more for each and for a descriptor. */
const MOST_UNREAD = 4 << 20;
const WEIGHT_OF_ANSWER = 64;
const WEIGHT_OF_DESCRIPTOR = 4096;
/** When so many connections that others have sent wait for a worker to read them, the others have to wait, but not for longer (ms) than this. */
const MANY_PASSED_ON = 256;
const LONGEST_WAIT = 2000;
/** More never wait here; what comes then is for somebody else. */
const MOST_PASSED_ON = 1024;
/** What control messages about sent sockets are about (socket_lists.js). */
const SOCKET_ACTS = new Set(['count-sockets', 'await-sockets', 'socket-answer']);

/** Milliseconds. Not `performance.now`: a worker that uses it for the first time loads ten modules of Node. */
function now() {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}

// As they were before any other code could replace them, as Node's own channel uses them.
const { parse, stringify } = JSON;

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

/**
 * Writes what was sent before, as the process is about to end.
 *
 * @param {number} patience How long (ms) workers wait for a primary that does not read.
 */
function writeAll(patience) {
  const giveUpAt = channels.size > 0 ? now() + patience : 0;
  for (const channel of channels) channel.writeOut(giveUpAt);
}

/**
 * Calls `write` before functions of `process` do what ends it. These cannot be removed or emitted, as listeners of `exit` can
 * be. What a tick has gathered is written then; what the kernel does not take at a natural end the native part looks after.
 *
 * @param {any} process
 */
function writeBeforeEnd({ _fatalException: onException, reallyExit, _kill: kill, abort }) {
  /** @type {[string, Function, (...args: any[]) => any][]} */
  const ways = [
    ['reallyExit', reallyExit, (...args) => (writeAll(LAST_WRITE_TIME), Reflect.apply(reallyExit, process, args))],
    ['abort', abort, (...args) => (writeAll(0), Reflect.apply(abort, process, args))],
    // Perhaps itself.
    ['_kill', kill, (...args) => (writeAll(0), Reflect.apply(kill, process, args))],
    [
      '_fatalException',
      onException,
      (...args) => {
        const survives = Reflect.apply(onException, process, args);
        if (!survives) writeAll(LAST_WRITE_TIME);
        return survives;
      },
    ],
  ];
  for (const [name, way, instead] of ways) {
    if (typeof way !== 'function') continue;
    Object.defineProperty(instead, 'name', { value: way.name, configurable: true });
    /** @type {any} */ (process)[name] = instead;
  }
}

writeBeforeEnd(process);

/**
 * Calls functions in the async context of now: the native part's calls have it by themselves where stores hang on async
 * resources, but not where they are in frames (Node 24 and later).
 *
 * @returns {((call: (...args: any[]) => void, ...args: any[]) => void) | undefined} Nothing when that is not needed.
 */
function contextOfNow() {
  const { AsyncLocalStorage } = require('node:async_hooks');
  return 'kResourceStore' in new AsyncLocalStorage() ? undefined : AsyncLocalStorage.snapshot();
}

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

/**
 * A message whose sender wants to know when it has been written.
 *
 * @typedef {object} Waiting
 * @property {SendCallback} callback
 * @property {number} mark It is written when so many bytes are.
 * @property {Error | null | undefined} outcome Not known yet: `undefined`.
 * @property {import('node:async_hooks').AsyncResource | undefined} context That of `send`, when its tick was over before.
 */

class MessageChannel {
  /** @type {NativeChannel} */
  #native;
  /** @type {{ receive: import('./native-types').OnEvent | undefined }} */
  #end = { receive: undefined };
  #context = new contexts.Context();
  /** The process object that the channel belongs to. */
  #target;
  #advanced;
  #onControl;
  #isHeard;
  #onMalformed;
  #hears;
  /** @type {number} */
  #life = LIFE.open;

  /** JSON texts of this tick, joined by commas. */
  #gathered = '';
  #pace = new Pace();
  /** Whether the end of this tick will call us. */
  #inTick = false;
  /** Whether messages are being delivered, in one call of the event loop. */
  #delivering = false;
  /** What threw in a listener has left so many runs of messages to be delivered in the next ticks. */
  #interrupted = 0;
  /** Characters or bytes of what is being delivered, and its messages. */
  #arrived = { size: 0, messages: 1 };

  /** Bytes that wait to be written, as the last write said. */
  #queued = 0;
  /** Whether a write is under way that the event loop goes on with. */
  #writing = false;
  /** In the order of their messages. @type {Waiting[]} */
  #callbacks = [];
  /** Of messages that are gathered. @type {Waiting[]} */
  #gatheredCallbacks = [];
  /** What our own control messages come to that wait with others to be written. */
  #unreadControl = 0;
  /** How many connections of others wait with them. */
  #passedOn = 0;
  /** To be called when they are written, or never will be. @type {(() => void)[]} */
  #waitingForUs = [];
  /** Whether the other side may have sent away its end of this channel: then that its process has ended is not told by the socket. */
  #isAbroad = false;
  #processEnded = false;
  /** Long texts that came ahead of their message. @type {string[]} */
  #texts = [];
  /** So many of the next messages are looked at for long texts. */
  #lookForTexts = 0;
  /** What nobody listens for yet. @type {import('./mailbox.js').Mailbox | undefined} */
  #mailbox;
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
   * @param {() => boolean} [options.hears] Whether messages can be delivered now. Those that cannot are kept. As in Node, by
   *   default, when the target has a listener.
   * @param {(isInternal: boolean) => boolean} [options.isHeard] Whether somebody listens for messages. If not, nothing is
   *   made of a handle.
   * @param {(error: Error) => void} options.onMalformed The other side wrote what makes no sense; the channel ends.
   */
  constructor(target, open, { advanced, inWorker, onControl, hears, isHeard, onMalformed }) {
    this.#native = open(receiver(this.#end));
    // A worker's begins before any other code does: there is no context yet.
    const inContext = inWorker ? undefined : contextOfNow();
    const onCallback = this.#onCallback.bind(this);
    this.#end.receive = (kind, payload, fd) => {
      if (contexts.entered) this.#context.run(onCallback, kind, payload, fd);
      else if (inContext) inContext(onCallback, kind, payload, fd);
      else onCallback(kind, payload, fd);
    };
    this.#target = target;
    this.#advanced = advanced;
    if (advanced) loadForAdvanced();
    this.#onControl = onControl;
    this.#onMalformed = onMalformed;
    this.#isHeard = isHeard;
    this.#hears = hears ?? (() => target.listenerCount('message') > 0);
    this.inWorker = inWorker;
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
    const parts = takeApart(message, stringify);
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
      throw errors().coded(TypeError, 'ERR_RCLUSTER_UNSERIALIZABLE', 'The "message" argument has no JSON form');
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

  /** @param {Buffer} bytes */
  #gatherBytes(bytes) {
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
    const mayGoOn = isDue ? this.#flush(options) : this.#queued < HIGH_WATER_MARK;
    // In a tick of its own, in the context of its sender. What was gathered is written by then.
    if (waiting) process.nextTick(tellOrWait, waiting);
    return mayGoOn;
  }

  #beginTick() {
    this.#inTick = true;
    // While messages are being delivered, the end of that is the end of the tick.
    if (!this.#delivering) process.nextTick(this.endTick);
    // A process that is ending has no more ticks: each message leaves at once.
    this.#pace.beginTick(/** @type {any} */ (process)._exiting === true);
  }

  /** The tick is over: writes what it has gathered. */
  endTick() {
    this.#inTick = false;
    this.#pace.endTick();
    const pending = this.#gathered !== '' || this.#queued > 0 || this.#gatheredCallbacks.length > 0;
    if (pending && this.#life < LIFE.ending) this.#flush();
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
      for (const waiting of this.#gatheredCallbacks) {
        waiting.mark = mark;
        this.#callbacks.push(waiting);
      }
      this.#gatheredCallbacks = [];
    }
  }

  /**
   * @param {number} queued Bytes still to be written.
   * @param {boolean} wasWriting
   */
  #written(queued, wasWriting) {
    this.#queued = queued;
    this.#writing = queued > 0;
    if (this.#writing && !wasWriting) this.control.refCounted();
    else if (!this.#writing && wasWriting) this.control.unrefCounted();
    if (!this.#writing) this.#allIsRead();
    // The kernel has no memory for it, say: nothing tells when it has.
    else if (this.#native.stalled) this.#later('write', () => this.#flush({ swallowErrors: true }));
    if (this.#callbacks.length === 0) return;
    const written = this.#native.pushed - queued;
    let done = 0;
    while (done < this.#callbacks.length && this.#callbacks[done].mark <= written) done++;
    settle(this.#callbacks.splice(0, done), null);
  }

  /** The kernel has everything. */
  #allIsRead() {
    this.#unreadControl = 0;
    this.#passedOn = 0;
    if (this.#waitingForUs.length > 0) for (const goOn of this.#waitingForUs.splice(0)) goOn();
  }

  /** What is to be tried again after a while. @type {Set<string>} */
  #toTryAgain = new Set();

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
   * @param {number} errno
   * @param {SendOptions} [options]
   * @returns {boolean} What `send` returns then: nothing waits any more.
   */
  #writeFailed(errno, options) {
    const error = errors().system(errno, 'write');
    const failed = this.#callbacks.splice(0);
    this.#queued = 0;
    if (this.#writing) {
      this.#writing = false;
      this.control.unrefCounted();
    }
    if (failed.length > 0) settle(failed, error);
    else if (!options?.swallowErrors && this.#life < LIFE.ending) this.#fail(error);
    // When the other side has gone, that is seen by reading. Anything else has cut a frame in two.
    if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') this.giveUp(`it could not be written to (${error.code})`);
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
   * A message between the two sides of rcluster; it keeps its place among the user's messages.
   *
   * @param {object} message
   * @param {number} [fd] Sent along; the caller still owns it.
   * @returns {boolean} Whether it could be sent.
   */
  sendControl(message, fd = -1) {
    const length = this.#writeControl(message, fd);
    if (length < 0) return false;
    if (!this.#writing) return true;
    this.#unreadControl += length + WEIGHT_OF_ANSWER + (fd < 0 ? 0 : WEIGHT_OF_DESCRIPTOR);
    // What a program sends is its own affair. What we answer must not grow with what a worker asks.
    if (!this.inWorker && this.#unreadControl > MOST_UNREAD) this.giveUp('it does not read the answers to what it asks');
    return true;
  }

  /**
   * @param {object} message
   * @param {number} fd
   * @returns {number} Its characters; -1 when it could not be sent.
   */
  #writeControl(message, fd) {
    if (this.#life !== LIFE.open || !this.connected) return -1;
    this.#pushGathered();
    const text = stringify(message);
    if (this.#native.pushText(FRAME.control, text, text.length, fd) < 0) return -1;
    this.#flush({ swallowErrors: true });
    return text.length;
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
    if (this.#passedOn >= MOST_PASSED_ON || this.#writeControl(message, fd) < 0) return false;
    if (this.#writing && ++this.#passedOn >= MANY_PASSED_ON && from) from.#waitFor(this);
    return true;
  }

  /**
   * Reads nothing until another channel has written what waits there.
   *
   * @param {MessageChannel} other
   */
  #waitFor(other) {
    if (this.#life >= LIFE.ending) return;
    this.#native.pause();
    const goOn = () => {
      clearTimeout(timer);
      if (this.#life < LIFE.ending) this.#native.resume();
    };
    const timer = setTimeout(goOn, LONGEST_WAIT);
    other.#waitingForUs.push(goOn);
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
   * @param {number} giveUpAt When, by `now()`. Only a worker waits.
   */
  writeOut(giveUpAt) {
    if (this.#life >= LIFE.ending) return;
    this.#pushGathered();
    this.#native.flushBlocking(this.inWorker ? Math.max(0, Math.ceil(giveUpAt - now())) : 0);
  }

  /** Ends the channel when everything that was sent before is written. */
  disconnect() {
    if (!this.connected) {
      this.#target.emit('error', errors().disconnected());
      return;
    }
    this.#target.connected = false;
    this.#life = Math.max(this.#life, LIFE.closing);
    this.#flush({ swallowErrors: true });
    if (this.#queued === 0) this.#finish();
  }

  /** Closes it where nobody has heard of it yet: there never was another side. */
  abandon() {
    this.#life = LIFE.closed;
    channels.delete(this);
    Object.assign(this.#target, { connected: false, channel: null });
    if (typeof this.#target._closesNeeded === 'number') this.#target._closesNeeded--;
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
    this.#texts = [];
    this.#native.close();
  }

  #finish() {
    if (this.#life >= LIFE.ending) return;
    this.#life = LIFE.ending;
    channels.delete(this);
    this.#allIsRead();
    this.#target.connected = false;
    this.#target.channel = null;
    const unsent = [...this.#callbacks.splice(0), ...this.#gatheredCallbacks.splice(0)];
    if (unsent.length > 0) settle(unsent, errors().channelClosed());
    // What has been read is delivered first: `delivered` tells when.
    if (!this.#native.endReading()) process.nextTick(() => this.#close());
  }

  #close() {
    if (this.#interrupted > 0) {
      process.nextTick(() => this.#close());
      return;
    }
    this.#life = LIFE.closed;
    // A user may keep the process object for long.
    this.#texts = [];
    this.#native.close();
    this.#end.receive = undefined;
    // Each by itself: any of them may throw.
    process.nextTick(() => this.#countClose());
    try {
      this.#socketLists?.close();
    } finally {
      this.#target.emit('disconnect');
    }
  }

  #countClose() {
    const target = this.#target;
    if (typeof target._closesNeeded === 'number' && ++target._closesGot === target._closesNeeded) {
      target.emit('close', target.exitCode, target.signalCode);
    }
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
      messages = parse(text);
    } catch (error) {
      this.giveUp(/** @type {Error} */ (error).message);
      return;
    }
    this.#emitAll(messages, text.length);
  }

  /**
   * @param {number} kind
   * @param {any} payload
   * @param {number} fd
   */
  #onEvent(kind, payload, fd) {
    switch (kind) {
      case EVENT.advancedRun:
        return this.#understand(
          () => v8Format().deserializeRun(payload),
          (messages) => this.#emitAll(messages, payload.length),
        );
      case FRAME.advanced:
        return this.#understand(
          () => v8Format().deserialize(payload, 1),
          (messages) => this.#emitAll(messages, payload.length),
        );
      case FRAME.control:
        return this.#understand(() => parse(payload), (message) => this.#gotControl(message, fd), fd);
      case FRAME.handleJson:
        return this.#understand(() => partsOf(parse(payload)), (parts) => this.#gotHandle(parts, fd), fd);
      case FRAME.handleAdvanced:
        return this.#understand(() => v8Format().deserialize(payload, 2), (parts) => this.#gotHandle(parts, fd), fd);
      case FRAME.text:
        return this.#gotText(payload);
      case FRAME.jsonWithTexts: {
        const texts = this.#texts.splice(0);
        return this.#understand(
          () => [putTogether(parse(payload), texts)],
          (messages) => this.#emitAll(messages, payload.length + lengthOf(texts)),
        );
      }
      case FRAME.jsonAlone:
        return this.#understand(() => [parse(payload)], (messages) => this.#emitAll(messages, payload.length));
      case EVENT.progress:
        this.#written(this.#native.queued, this.#writing);
        if (this.#life === LIFE.closing && this.#queued === 0) this.#finish();
        return undefined;
      case EVENT.writeFailed:
        // Nobody is calling `send` now: the callbacks tell, and the end of the channel.
        this.#writeFailed(payload, { swallowErrors: true });
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
        discard(fd);
        return this.giveUp('a frame has no business here');
    }
  }

  /** @param {string} text Of a message that is still to come. */
  #gotText(text) {
    this.#texts.push(text);
    if (areTooMuch(this.#texts)) this.giveUp('more text came than a message has');
  }

  /**
   * What the other side writes may be anything: what cannot be understood ends the channel, and harms nobody else.
   *
   * @template T
   * @param {() => T} read
   * @param {(parsed: T) => void} use
   * @param {number} [fd] The descriptor that came along, closed when nobody can use it.
   */
  #understand(read, use, fd = -1) {
    let parsed;
    try {
      parsed = read();
    } catch (error) {
      discard(fd);
      this.giveUp(/** @type {Error} */ (error).message);
      return;
    }
    use(parsed);
  }

  /**
   * @param {any[]} messages
   * @param {number} size Characters or bytes of all of them.
   */
  #emitAll(messages, size) {
    this.#arrived = { size, messages: messages.length };
    this.#emitFrom(messages, 0);
  }

  /**
   * @param {any[]} messages
   * @param {number} index
   */
  #emitFrom(messages, index) {
    try {
      while (index < messages.length) {
        if (contexts.entered) this.#context.run(() => this.#emit(messages[index++], undefined));
        else this.#emit(messages[index++], undefined);
      }
    } finally {
      // A listener has thrown: if the process goes on, the rest follows.
      if (index < messages.length) {
        this.#interrupted++;
        process.nextTick(() => {
          this.#interrupted--;
          this.#emitFrom(messages, index);
        });
      }
    }
  }

  /**
   * @param {any} message
   * @param {any} handle
   */
  #emit(message, handle) {
    if (isInternal(message)) this.#target.emit('internalMessage', message, handle);
    else if (this.#mailbox === undefined && this.#hears()) this.#target.emit('message', message, handle);
    else this.#keep(message, handle);
  }

  /**
   * @param {any} message
   * @param {any} handle
   */
  #keep(message, handle) {
    if (this.#mailbox === undefined) {
      const { Mailbox } = require('./mailbox.js');
      this.#mailbox = new Mailbox(this.#target, () => this.deliverKept());
    }
    this.#mailbox.put(message, handle, this.#arrived.size / this.#arrived.messages);
    // A program that has removed everything from `process` is not seen when it begins to listen.
    this.deliverKept();
  }

  /** Somebody may listen now: delivers what was kept. */
  deliverKept() {
    if (this.#mailbox === undefined || !this.#hears()) return;
    try {
      this.#mailbox.deliver();
    } finally {
      if (this.#mailbox.isEmpty) this.#mailbox = this.#mailbox.close();
      // A listener has thrown.
      else process.nextTick(() => this.deliverKept());
    }
  }

  /**
   * @param {any} message
   * @param {number} fd
   */
  #gotControl(message, fd) {
    const problem = problemOf(message, this.inWorker ? 'primary' : 'worker', fd >= 0);
    // As in Node, the two sides have nothing more to tell each other then.
    const isLate = this.#life >= LIFE.ending;
    if (problem === undefined && !isLate && !SOCKET_ACTS.has(message.act)) {
      this.#onControl(message, fd);
      return;
    }
    discard(fd);
    // What comes from a worker breaks a rule also when it asks more than may be asked at a time.
    const broken = problem ?? (isLate || this.socketLists.onControl(message) ? undefined : 'more questions wait than may be asked');
    // A worker that got nonsense from its primary has nobody else to serve for.
    if (broken !== undefined && !this.inWorker) this.giveUp(broken);
  }

  /**
   * @param {any[]} parts
   * @param {number} fd
   */
  #gotHandle([about, message], fd) {
    if (this.#isHeard?.(isInternal(message)) === false) {
      handles().discardForeign(fd);
      return;
    }
    this.#understand(() => handles().receive(this, about, fd), (receive) => receive((handle) => this.#emit(message, handle)));
  }
}

/**
 * The tick of a `send` is over: tells its sender what has become of it, or keeps the context in which that is to be told.
 *
 * @param {Waiting} waiting
 */
function tellOrWait(waiting) {
  if (waiting.outcome !== undefined) waiting.callback(waiting.outcome);
  else waiting.context = new (require('node:async_hooks').AsyncResource)('RCLUSTERWRITE');
}

/**
 * @param {Waiting[]} done
 * @param {Error | null} outcome
 */
function settle(done, outcome) {
  for (const waiting of done) {
    waiting.outcome = outcome;
    // Otherwise its tick is still to come, and tells.
    if (waiting.context) process.nextTick(() => waiting.context?.runInAsyncScope(waiting.callback, undefined, outcome));
  }
}

/**
 * @param {any} pair
 * @returns {any[]} What came with a handle: what the handle is, and the message.
 */
function partsOf([about, { msg }]) {
  return [about, msg];
}

/** @param {number} fd A descriptor that nobody wants, or -1. */
function discard(fd) {
  if (fd >= 0) load().closeForeign(fd);
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
