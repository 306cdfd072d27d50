'use strict';

// The listeners of a primary, event by event, with an acceptor that only notes what it is told.

const { Listeners } = require('../../lib/primary/listeners');
const { Ties } = require('../../lib/primary/ties');

const RR = 2;
const NONE = 1;
const EMFILE = -24;
const EINVAL = -22;

afterEach(() => jest.useRealTimers());

/** @param {{ acceptorFails?: number, addFails?: number, recovering?: boolean }} [luck] */
function setUp(luck = {}) {
  const told = [];
  const left = { ...luck };
  let lastNumber = 0;
  let lastId = 0;
  const fail = (what) => {
    if (!left[what]) return;
    left[what]--;
    throw new Error('Too many open files (os error 24)');
  };
  class Acceptor {
    constructor(...callbacks) {
      fail('acceptorFails');
      told.push(['new', ...callbacks]);
      return new Proxy(this, {
        get: (target, name) => target[name] ?? ((...args) => void told.push([name, ...args])),
      });
    }
    addWorker() {
      fail('addFails');
      return lastNumber++;
    }
    removeWorker(number) {
      told.push(['removeWorker', number]);
      return 0;
    }
    listen() {
      return ++lastId;
    }
    address(id) {
      return { address: '127.0.0.1', family: 'IPv4', port: 1000 + id };
    }
    isFinishing() {
      return false;
    }
  }
  const native = {
    Acceptor,
    bindShared: () => 100 + ++lastId,
    closeFd: (fd) => void told.push(['closeFd', fd]),
    isConnection: (fd) => fd === 7,
    socketKind: (fd) => (fd > 100 ? 'udp' : 'tcp'),
    socketName: (fd) => (fd === 50 ? { address: '127.0.0.1', port: 1001 } : { address: '0.0.0.0', port: 5 }),
  };
  const host = { onWarning: jest.fn(), onGivenUp: jest.fn(), anotherComes: () => luck.recovering === true };
  const listeners = new Listeners(host, () => native);
  const worker = (options = {}) => {
    const board = { active: 0, total: 0 };
    const ties = new Ties({ close: () => told.push(['close']), readBoard: () => board }, () => listeners.acceptor, options);
    ties.counts = board;
    ties.channel = {
      sendControl: (message, fd) => told.push(['tell', message.act, fd]),
      passOn: (message, fd) => !ties.isFull && told.push(['tell', message.act, fd]) > 0 && (ties.got = (ties.got ?? 0) + 1) > 0,
    };
    return ties;
  };
  const asks = (one, question = {}, policy = RR) => listeners.join(one, { address: '127.0.0.1', port: 0, addressType: 4, index: 0, flags: 0, ...question }, policy);
  /** What the acceptor has been told since the last time. */
  const since = () => told.splice(0).filter(([what]) => what !== 'new');
  return { host, listeners, worker, asks, told, since };
}

test('members come when they are ready, and go with a notice or with their end', () => {
  const { listeners, worker, asks, since } = setUp();
  const [one, two] = [worker(), worker()];
  const { entry } = asks(one);
  expect(asks(two).entry).toBe(entry);
  expect(since()).toEqual([]);
  for (const member of [one, two]) listeners.onAccepting(member, entry.key);
  expect(since()).toEqual([['addMember', 1, 0], ['addMember', 1, 1]]);
  listeners.leave(one, entry.key);
  listeners.leave(one, entry.key);
  expect(since()).toEqual([['removeMember', 1, 0]]);
  two.leaveAcceptor();
  listeners.leaveAll(two, false);
  expect(since()).toEqual([['removeWorker', 1], ['closeListener', 1]]);
  expect([one.joined, two.joined]).toEqual([0, 0]);
});

test('what comes when the worker has ended touches nobody', () => {
  const { listeners, worker, asks, since } = setUp();
  const [dead, alive] = [worker(), worker()];
  const { entry } = asks(dead);
  asks(alive);
  dead.leaveAcceptor();
  listeners.leaveAll(dead, true);
  since();
  listeners.onAccepting(dead, entry.key);
  listeners.disown(dead, entry.key);
  listeners.release(dead);
  listeners.leave(dead, entry.key);
  listeners.leaveAll(dead, true);
  dead.nudge();
  dead.leaveAcceptor();
  expect(since()).toEqual([]);
  // -3: there is no such process.
  expect(asks(dead)).toEqual({ errno: -3 });
  expect(dead.joined).toBe(0);
});

test('the worker said that it closed, and died: its listener does not wait for another', () => {
  jest.useFakeTimers();
  const { listeners, worker, asks, since } = setUp();
  const only = worker();
  const { entry } = asks(only);
  only.leaveAcceptor();
  listeners.leaveAll(only, true);
  since();
  listeners.leave(only, entry.key);
  expect(since()).toEqual([['closeListener', 1]]);
  listeners.leave(only, entry.key);
  jest.runAllTimers();
  expect(since()).toEqual([]);
  expect(jest.getTimerCount()).toBe(0);
});

test('the listener of one that died waits, for its replacement or until nobody comes', () => {
  jest.useFakeTimers();
  const luck = { recovering: true };
  const { listeners, worker, asks, since } = setUp(luck);
  const dead = worker();
  const { entry } = asks(dead);
  listeners.leaveAll(dead, true);
  since();
  jest.advanceTimersByTime(20_000);
  expect(since()).toEqual([]);
  const next = worker();
  expect(asks(next).entry).toBe(entry);
  expect(jest.getTimerCount()).toBe(0);
  listeners.leaveAll(next, true);
  luck.recovering = false;
  jest.advanceTimersByTime(5000);
  expect(since().at(-1)).toEqual(['closeListener', 1]);
  expect(jest.getTimerCount()).toBe(0);
});

test('without descriptors the asker hears of it, and the next has another try', () => {
  const { worker, asks } = setUp({ acceptorFails: 1, addFails: 1 });
  const one = worker();
  expect(asks(one)).toEqual({ errno: EMFILE });
  expect(asks(one)).toEqual({ errno: EMFILE });
  expect(asks(one)).toMatchObject({ errno: 0 });
  expect(one.joined).toBe(1);
});

test('the acceptor is told whom to tell', () => {
  const { host, worker, asks, told } = setUp();
  asks(worker());
  expect(told).toEqual([['new', host.onWarning, host.onGivenUp]]);
});

test('what a server says of itself is kept once, and has bounds', () => {
  const { worker, asks } = setUp();
  const [one, two] = [worker(), worker()];
  expect(asks(one, { data: 'x'.repeat(20_000) })).toEqual({ errno: EINVAL });
  expect(asks(one, { data: { deep: ['x'.repeat(20_000)] } })).toEqual({ errno: EINVAL });
  const { entry } = asks(one, { data: 'keys' });
  asks(two, { data: 'others' });
  expect(entry.data).toBe('keys');
});

test('each address counts once for a worker, whatever its name', () => {
  const { listeners, worker, asks } = setUp();
  const one = worker();
  const keys = ['__proto__', 'constructor', 'a', 'a'].map((address) => asks(one, { address }).entry.key);
  expect(one.joined).toBe(3);
  for (const key of keys) listeners.leave(one, key);
  expect(one.joined).toBe(0);
});

test('listeners that end with all their workers count for nobody any more', async () => {
  const { listeners, worker, asks, since } = setUp();
  const one = worker();
  asks(one);
  await listeners.finish([one]);
  expect(since()).toEqual([['finishListener', 1]]);
  expect(one.joined).toBe(0);
  listeners.leaveAll(one, true);
  expect(since()).toEqual([]);
});

test('by the number of a descriptor nobody gets what we have opened', () => {
  const { worker, asks } = setUp();
  const one = worker();
  asks(one);
  const shared = asks(one, { addressType: 'udp4', port: 9 }, NONE).entry;
  expect(asks(one, { fd: 50 })).toEqual({ errno: EINVAL });
  expect(asks(one, { fd: shared.id, addressType: 'udp4' })).toEqual({ errno: EINVAL });
  expect(asks(one, { fd: 3, addressType: 'udp4' })).toEqual({ errno: EINVAL });
  expect(asks(one, { fd: 3 })).toMatchObject({ errno: 0 });
});

test('a connection that moves goes to others, released ones first, and nowhere without them', () => {
  const { listeners, worker, asks, since } = setUp();
  const [from, held, free] = [worker(), worker({ held: true }), worker()];
  const { entry } = asks(from, {}, NONE);
  listeners.move(from, entry.key, 7);
  listeners.move(from, 'no such', 7);
  asks(held, {}, NONE);
  listeners.move(from, entry.key, 8);
  expect(since()).toEqual([]);
  asks(free, {}, NONE);
  listeners.move(from, entry.key, 7);
  expect(since()).toEqual([['tell', 'adopt', 7]]);
});

test('what moves goes to the heir up to its part, and else to who has the fewest, those on their way counted', async () => {
  const { listeners, worker, asks } = setUp();
  const [from, heir, one, two] = [worker(), worker(), worker(), worker()];
  const { entry } = asks(from, {}, NONE);
  for (const other of [heir, one, two]) asks(other, {}, NONE);
  listeners.succeed(from, heir);
  const has = (worker, count) => Object.assign(worker.counts, { active: count, total: count + 1000 });
  has(heir, 0);
  has(one, 6);
  has(two, 1);
  const move = (count) => Array.from({ length: count }, () => listeners.move(from, entry.key, 7));
  move(8);
  expect([heir, one, two].map(({ got }) => got)).toEqual([5, undefined, 3]);
  // In another turn, when some have arrived and others have not.
  await new Promise(setImmediate);
  has(heir, 1);
  has(two, 3);
  move(3);
  expect([heir, one, two].map(({ got }) => got)).toEqual([6, undefined, 5]);
  // What has arrived long since is not counted twice, nor is what has ended counted at all.
  await new Promise(setImmediate);
  has(heir, 6);
  has(two, 6);
  heir.counts.active = 0;
  move(6);
  expect([heir, one, two].map(({ got }) => got)).toEqual([12, undefined, 5]);
});

test('a connection that moves passes over those that do not read, be they the heir', () => {
  const { listeners, worker, asks, since } = setUp();
  const [from, heir, other] = [worker(), worker(), worker()];
  const { entry } = asks(from, {}, NONE);
  asks(heir, {}, NONE);
  asks(other, {}, NONE);
  listeners.succeed(from, heir);
  heir.isFull = true;
  for (let i = 0; i < 3; i++) listeners.move(from, entry.key, 7);
  expect(since()).toEqual(Array(3).fill(['tell', 'adopt', 7]));
  other.isFull = true;
  listeners.move(from, entry.key, 7);
  expect(since()).toEqual([]);
});

test('the address of a seat stays open without a worker: also after another primary has given back what it had', () => {
  jest.useFakeTimers();
  const { listeners, worker, asks, since } = setUp();
  expect(listeners.seats.open(0, { host: '127.0.0.1', port: 3001 })).toBe(0);
  listeners.handover.handOver(20, 21, () => {});
  listeners.handover.handBack();
  since();
  jest.advanceTimersByTime(60_000);
  listeners.closeAwaiting();
  const one = worker({ seat: 0 });
  const { entry } = asks(one);
  const own = listeners.seats.join(one, entry);
  expect(own.id).toBe(1);
  listeners.leaveAll(one, true);
  jest.advanceTimersByTime(60_000);
  expect(since().filter(([what, id]) => what === 'closeListener' && id === own.id)).toEqual([]);
});
