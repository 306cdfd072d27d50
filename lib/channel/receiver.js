'use strict';

// What a process gets: understood, and delivered to who listens, or kept until somebody does.

const contexts = require('../contexts.js');
const { problemOf } = require('../control.js');
const { load } = require('../native.js');
const { EVENT, FRAME } = require('./kinds.js');
const { areTooMuch, lengthOf, putTogether } = require('./long_texts.js');

/**
 * More messages never come at once: 64 KiB are read, and who joins messages joins no more than `LAST_PIECE` (pace.js). Telling millions
 * of them would keep everybody waiting.
 */
const MOST_AT_ONCE = 64 * 1024;
/** What control messages about sent sockets are about (socket_lists.js). */
const SOCKET_ACTS = new Set(['count-sockets', 'await-sockets', 'socket-answer']);

// As it was before any other code could replace it, as Node's own channel uses it.
const { parse } = JSON;

/** @type {typeof import('./serialization.js') | undefined} */
let serialization;
const v8Format = () => (serialization ??= require('./serialization.js'));

/**
 * @typedef {object} Uses What is made of what comes.
 * @property {boolean} trusted Whether the other side is a worker's primary.
 * @property {(message: any, fd: number) => void} onControl Gets messages between the two sides of rcluster.
 * @property {() => boolean} [hears] Whether messages can be delivered now. Those that cannot are kept. As in Node, by
 *   default, when the target has a listener.
 * @property {(isInternal: boolean) => boolean} [isHeard] Whether somebody listens for messages. If not, nothing is
 *   made of a handle.
 * @property {(what: string) => void} giveUp The other side breaks the rules.
 * @property {() => import('../handles/handles.js').Handles} handles
 */

class Receiver {
  /** The process object that the channel belongs to. */
  #target;
  #uses;
  #hears;
  #context = new contexts.Context();
  /** Nothing is answered any more. What had been read is still delivered. */
  #ended = false;
  /** What threw in a listener has left so many runs of messages to be delivered in the next ticks. */
  #interrupted = 0;
  /** Characters or bytes of what is being delivered, and its messages. */
  #arrived = { size: 0, messages: 1 };
  /** Long texts that came ahead of their message. @type {string[]} */
  #texts = [];
  /** What nobody listens for yet. @type {import('./mailbox.js').Mailbox | undefined} */
  #mailbox;

  /**
   * @param {any} target
   * @param {Uses} uses
   */
  constructor(target, uses) {
    this.#target = target;
    this.#uses = uses;
    this.#hears = uses.hears ?? (() => target.listenerCount('message') > 0);
  }

  /** Whether messages that a listener's error has held up are still to be delivered. */
  get isInterrupted() {
    return this.#interrupted > 0;
  }

  /**
   * Calls a function in the context of when the channel was made, once a program has entered another one.
   *
   * @param {(...args: any[]) => void} call
   * @param {any[]} args
   */
  inContext(call, ...args) {
    this.#context.run(call, ...args);
  }

  /** @param {string} text An array of messages. */
  gotJson(text) {
    let messages;
    try {
      messages = parse(text);
    } catch (error) {
      this.#uses.giveUp(/** @type {Error} */ (error).message);
      return;
    }
    if (messages.length > MOST_AT_ONCE) this.#uses.giveUp('more messages came in one frame than are ever joined');
    else this.#emitAll(messages, text.length);
  }

  /**
   * Any other frame, or several of one kind.
   *
   * @param {number} kind
   * @param {any} payload
   * @param {number} fd
   */
  got(kind, payload, fd) {
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
      default:
        discard(fd);
        return this.#uses.giveUp('a frame has no business here');
    }
  }

  /** @param {string} text Of a message that is still to come. */
  #gotText(text) {
    this.#texts.push(text);
    if (areTooMuch(this.#texts)) this.#uses.giveUp('more text came than a message has');
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
      this.#uses.giveUp(/** @type {Error} */ (error).message);
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
    const { trusted, onControl, giveUp, handles } = this.#uses;
    const problem = problemOf(message, trusted ? 'primary' : 'worker', fd >= 0);
    // As in Node, the two sides have nothing more to tell each other then.
    const isLate = this.#ended;
    if (problem === undefined && !isLate && !SOCKET_ACTS.has(message.act)) {
      onControl(message, fd);
      return;
    }
    discard(fd);
    // What comes from a worker breaks a rule also when it asks more than may be asked at a time.
    const broken = problem ?? (isLate || handles().onControl(message) ? undefined : 'more questions wait than may be asked');
    // A worker that got nonsense from its primary has nobody else to serve for.
    if (broken !== undefined && !trusted) giveUp(broken);
  }

  /**
   * @param {any[]} parts
   * @param {number} fd
   */
  #gotHandle([about, message], fd) {
    if (this.#uses.isHeard?.(isInternal(message)) === false) {
      if (fd >= 0) this.#uses.handles().ignore(about, fd);
      return;
    }
    this.#understand(() => this.#uses.handles().receive(about, fd), (receive) => receive((handle) => this.#emit(message, handle)));
  }

  /** What comes after this has nothing more to do with what the two sides tell each other. */
  end() {
    this.#ended = true;
  }

  /** Nothing that has come ahead of its message is of use any more. */
  clear() {
    this.#texts = [];
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

module.exports = { Receiver };
