'use strict';

// What an old and a new primary say to each other during an upgrade: packets over a pair of sockets. They may be of any two versions:
// each packet begins with the same words, and what follows them is JSON. An `act` that one does not know is no reason to stop.

const { constants } = require('node:os');

const { load } = require('../../native.js');

/** These words never change. A protocol of another number is one that the other side does not speak. */
const HEAD = 'rcluster-upgrade ';
const PROTOCOL = 1;

/** How long (ms) until what the other side had no room for is sent again. */
const AGAIN = 5;
/** Too many descriptors of this user are on their way; Node has no name for it. */
const ETOOMANYREFS = 109;
const AGAIN_FOR = new Set([-constants.errno.EAGAIN, -constants.errno.EINTR, -constants.errno.ENOBUFS, -ETOOMANYREFS]);

/** @typedef {{ act: string, [name: string]: any }} Message */
/** @typedef {{ message: Message, fds: number[] } | { end: 'closed' | 'nonsense' }} Heard A line on which nonsense has come is of no more use. */

class Line {
  #line;
  /** What is to be sent, in order. @type {{ message: Message, fds: number[], sent: () => void }[]} */
  #waiting = [];
  #isOpen = true;
  /** @type {(message: Message, fds: number[]) => void} */
  #onMessage = (_message, fds) => closeAll(fds);
  #onEnd = () => {};
  #isListening = false;

  /** @param {number} fd One end of a pair, which is closed. */
  constructor(fd) {
    this.#line = new (load().PacketLine)(fd);
  }

  /**
   * Calls with each packet, until the end of the line. Another call replaces those who are told.
   *
   * @param {(message: Message, fds: number[]) => void} onMessage Owns the descriptors.
   * @param {() => void} onEnd
   */
  listen(onMessage, onEnd) {
    this.#onMessage = onMessage;
    this.#onEnd = onEnd;
    if (this.#isListening) return;
    this.#isListening = true;
    this.#line.listen(() => this.#read());
  }

  #read() {
    while (this.#isOpen) {
      const heard = this.#receive();
      if (!heard) return;
      if ('message' in heard) {
        this.#onMessage(heard.message, heard.fds);
      } else {
        this.close();
        this.#onEnd();
      }
    }
  }

  /**
   * Waits for the next packet in this call. Nothing when none has come within so many ms.
   *
   * @param {number} time
   */
  receiveNow(time) {
    const until = performance.now() + time;
    for (;;) {
      const heard = this.#receive();
      const left = until - performance.now();
      if (heard || left <= 0) return heard;
      this.#line.wait(Math.ceil(left));
    }
  }

  /** @returns {Heard | undefined} */
  #receive() {
    const packet = this.#line.receive();
    if (!packet) return undefined;
    const message = packet.text == null ? undefined : parse(packet.text);
    if (message) return { message, fds: packet.fds };
    closeAll(packet.fds);
    return { end: packet.text == null ? 'closed' : 'nonsense' };
  }

  /**
   * Sends a message, as soon as there is room for it.
   *
   * @param {Message} message
   * @param {number[]} [fds] At most 16; they stay open until `sent` is called.
   * @param {() => void} [sent] Called when it has gone, or never will.
   */
  send(message, fds = [], sent = () => {}) {
    this.#waiting.push({ message, fds, sent });
    if (this.#waiting.length === 1) this.#flush();
  }

  /** How many messages have not gone yet. */
  get unsent() {
    return this.#waiting.length;
  }

  #flush() {
    while (this.#waiting.length > 0) {
      const [{ message, fds, sent }] = this.#waiting;
      const errno = this.#isOpen ? this.#line.send(`${HEAD}${PROTOCOL} ${JSON.stringify(message)}`, fds) : 0;
      if (AGAIN_FOR.has(errno)) {
        setTimeout(() => this.#flush(), AGAIN);
        return;
      }
      this.#waiting.shift();
      sent();
    }
  }

  close() {
    this.#isOpen = false;
    this.#line.close();
  }
}

/** @param {readonly number[]} fds */
function closeAll(fds) {
  for (const fd of fds) load().closeFd(fd);
}

/**
 * @param {string} text
 * @returns {Message | undefined} Nothing when it makes no sense, or is of another protocol.
 */
function parse(text) {
  const head = `${HEAD}${PROTOCOL} `;
  if (!text.startsWith(head)) return undefined;
  try {
    const message = JSON.parse(text.slice(head.length));
    return typeof message?.act === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}

module.exports = { Line, closeAll };
