'use strict';

const costs = require('./costs.js');
const { Heap } = require('./heap.js');

/**
 * One machine: a worker on each processor, and accepting threads (SCHED_BATCH) that go to a processor without work, or else wait until
 * there is one, but no longer than a slice.
 *
 * @typedef {object} Machine
 * @property {number} processors
 * @property {number} acceptors 0: each worker accepts for itself, and the kernel chooses by chance
 * @property {number} work µs that the program itself needs for a connection, on average
 *
 * @typedef {{ rate: number } | { clients: number }} Load so many arrive per second whatever happens, or so many come back when they were served
 *
 * @typedef {object} Outcome
 * @property {number} perSecond connections that were served
 * @property {number} acceptorCost µs of an accepting thread per connection
 * @property {number} p50 µs from a connection's arrival to the beginning of its service
 * @property {number} p99
 */

/** Numbers by chance, the same in each run (mulberry32). @param {number} seed */
function chance(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** A queue that forgets what has been taken. @template T */
class Line {
  /** @type {T[]} */
  #items = [];
  #from = 0;

  get length() {
    return this.#items.length - this.#from;
  }

  /** @param {T} item */
  push(item) {
    this.#items.push(item);
  }

  /** @returns {T | undefined} */
  shift() {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#from++];
    if (this.#from > 1024 && this.#from * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#from);
      this.#from = 0;
    }
    return item;
  }
}

class Simulation {
  /** @param {Machine} machine @param {Load} load @param {number} seconds */
  constructor(machine, load, seconds) {
    this.machine = machine;
    this.load = load;
    this.end = seconds * 1e6;
    /** What arrived before this is not counted: the queues fill. */
    this.warm = this.end / 4;
    this.random = chance(7);
    /** @type {Heap<{ time: number, happen: () => void }>} */
    this.events = new Heap();
    this.now = 0;
    /** In the kernel, by when they came. @type {Line<number>} */
    this.backlog = new Line();
    this.processors = Array.from({ length: machine.processors }, () => ({
      busy: false,
      /** What waits for the worker, by when it came. @type {Line<number>} */
      queue: new Line(),
      /** µs that the kernel needs here before anything else. */
      kernel: 0,
    }));
    /** Whether each has a turn, or waits for one. */
    this.accepting = Array.from({ length: machine.acceptors }, () => false);
    /** Which worker is next. They share that: if each had workers of its own, one would fill its own while the others' have nothing to do. */
    this.turn = 0;
    /** Those that wait for a processor, and since when. @type {{ index: number, since: number, warm: boolean }[]} */
    this.runnable = [];
    this.served = 0;
    this.accepted = 0;
    this.acceptorTime = 0;
    /** @type {number[]} */
    this.waits = [];
  }

  /** @param {number} mean */
  exponential(mean) {
    return -Math.log(1 - this.random()) * mean;
  }

  /** @param {number} after @param {() => void} happen */
  in(after, happen) {
    this.events.push({ time: this.now + after, happen });
  }

  /** @returns {Outcome} */
  run() {
    if ('rate' in this.load) this.arriveAtRate(this.load.rate);
    else for (let client = 0; client < this.load.clients; client++) this.comeBack();
    while (this.events.size > 0) {
      const { time, happen } = this.events.pop();
      if (time > this.end) break;
      this.now = time;
      happen();
    }
    const waits = this.waits.sort((one, other) => one - other);
    const at = (/** @type {number} */ part) => waits[Math.floor(waits.length * part)] ?? 0;
    return {
      perSecond: (this.served / (this.end - this.warm)) * 1e6,
      acceptorCost: this.accepted ? this.acceptorTime / this.accepted : 0,
      p50: at(0.5),
      p99: at(0.99),
    };
  }

  /** @param {number} rate */
  arriveAtRate(rate) {
    this.in(this.exponential(1e6 / rate), () => {
      this.arrive();
      this.arriveAtRate(rate);
    });
  }

  comeBack() {
    this.in(this.exponential(costs.network), () => this.arrive());
  }

  arrive() {
    this.processors[Math.floor(this.random() * this.processors.length)].kernel += costs.kernel;
    if (this.machine.acceptors === 0) {
      const processor = this.processors[Math.floor(this.random() * this.processors.length)];
      // A backlog has an end, so that what is too much does not wait for ever.
      if (processor.queue.length < 511) processor.queue.push(this.now);
      this.next(processor);
      return;
    }
    if (this.backlog.length < 4096) this.backlog.push(this.now);
    this.wake();
  }

  /** An accepting thread that sleeps begins a turn, if any can take something. */
  wake() {
    const index = this.accepting.indexOf(false);
    if (index < 0 || !this.mayAccept()) return;
    this.accepting[index] = true;
    this.runnable.push({ index, since: this.now, warm: false });
    const free = this.processors.find(({ busy }) => !busy);
    if (free) this.next(free);
  }

  mayAccept() {
    return this.backlog.length > 0 && this.processors.some(({ queue }) => queue.length < costs.depth);
  }

  /** What a processor does next. @param {Simulation['processors'][0]} processor */
  next(processor) {
    if (processor.busy) return;
    const [first] = this.runnable;
    if (first && (processor.queue.length === 0 || this.now - first.since >= costs.slice)) {
      this.runnable.shift();
      this.accept(first, processor);
      return;
    }
    const came = processor.queue.shift();
    if (came === undefined) return;
    const mine = this.machine.acceptors === 0 ? costs.serverThatAccepts : costs.server;
    this.occupy(processor, mine + this.exponential(this.machine.work), () => {
      if ('clients' in this.load) this.comeBack();
      if (this.now >= this.warm) this.served++;
    });
    if (came >= this.warm) this.waits.push(this.now - came);
    // There is room for one more.
    this.wake();
  }

  /** @param {Simulation['processors'][0]} processor @param {number} time @param {() => void} done */
  occupy(processor, time, done) {
    processor.busy = true;
    const all = time + processor.kernel;
    processor.kernel = 0;
    this.in(all, () => {
      processor.busy = false;
      done();
      this.next(processor);
    });
  }

  /**
   * A turn of an accepting thread. What came during the last one costs no new wake-up.
   *
   * @param {{ index: number, warm: boolean }} thread
   * @param {Simulation['processors'][0]} processor
   */
  accept({ index, warm }, processor) {
    /** @type {Map<number, number[]>} */
    const packets = new Map();
    let taken = 0;
    for (const share = Math.ceil(this.backlog.length / this.machine.acceptors); taken < share; taken++) {
      const number = this.choose(packets);
      const came = number === undefined ? undefined : this.backlog.shift();
      if (number === undefined || came === undefined) break;
      packets.set(number, [...(packets.get(number) ?? []), came]);
    }
    const contention = this.machine.acceptors > 1 ? costs.contention : 0;
    const time = (warm ? 0 : costs.turnAfterSleep) + taken * (costs.connection + contention) + packets.size * costs.packet;
    this.acceptorTime += time;
    this.accepted += taken;
    this.occupy(processor, time, () => {
      for (const [number, connections] of packets) {
        for (const came of connections) this.processors[number].queue.push(came);
        if (this.processors[number] !== processor) this.next(this.processors[number]);
      }
      if (this.mayAccept()) this.runnable.push({ index, since: this.now, warm: true });
      else this.accepting[index] = false;
    });
  }

  /** Whose turn it is among those that have room. @param {Map<number, number[]>} packets */
  choose(packets) {
    for (let tried = 0; tried < this.processors.length; tried++) {
      const number = this.turn;
      this.turn = (this.turn + 1) % this.processors.length;
      const planned = packets.get(number)?.length ?? 0;
      if (planned < costs.batch && this.processors[number].queue.length + planned < costs.depth) return number;
    }
    return undefined;
  }
}

/**
 * @param {Machine} machine
 * @param {Load} load
 * @param {number} seconds how long, in the machine's own time
 */
function simulate(machine, load, seconds) {
  return new Simulation(machine, load, seconds).run();
}

module.exports = { simulate };
