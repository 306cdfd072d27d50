'use strict';

// Servers whose socket other workers have, too, event by event: with real sockets, and a worker that only notes what it is told.

const { load } = require('../../lib/native.js');
const { NO_HANDLE, SharedServers } = require('../../lib/worker/servers/shared.js');

/** @type {any[]} */
let handles;
beforeEach(() => {
  handles = [];
});
afterEach(() => {
  for (const handle of handles) handle.close();
});

function setUp() {
  const told = [];
  const note = (what) => (...args) => void told.push([what, ...args.filter((one) => typeof one !== 'function')]);
  /** @type {(() => void)[]} */
  const waiting = [];
  const later = (what) => (...args) => {
    note(what)(...args);
    waiting.push(args.at(-1));
  };
  const shared = new SharedServers({
    onClose: note('closed'),
    onShared: note('shared'),
    onConnection: later('came'),
    adopt: later('adopts'),
    tell: ({ act, key, left }, fd) => told.push([act, key, left, fd]) > 0,
  });
  const place = { fail: note('place failed'), leave: note('place left') };
  /** As `net` does it: it gives the handle what hands a connection to the server. */
  const open = (server, key, { kind = 'tcp', fd = load().newSocket(kind) } = {}) => {
    let handle;
    shared.open(server, key, fd, place, (errno, made) => {
      told.push(['answered', errno < 0 ? 'error' : errno]);
      handle = made;
      if (made === NO_HANDLE) return;
      handles.push(made);
      if (kind !== 'udp') made.onconnection = (_status, raw) => void (raw && handles.push(raw), told.push(['handed', server]));
    });
    return handle;
  };
  const goOn = () => {
    for (const handOver of waiting.splice(0)) handOver();
  };
  return { shared, open, goOn, news: () => told.splice(0) };
}

test('a server has its socket before its connections are told of, and gets each when the worker hands it over', () => {
  const { shared, open, goOn, news } = setUp();
  const handle = open('one', 'key');
  expect(news()).toEqual([['shared', 'one'], ['answered', 0]]);
  expect([shared.all(), shared.has('one'), shared.has('other')]).toEqual([['one'], true, false]);
  handle.onconnection(0, undefined);
  expect(news()).toEqual([['came', 'one']]);
  goOn();
  expect(news()).toEqual([['handed', 'one']]);
});

test('that there is no descriptor for it is told as an error, and its place is free', () => {
  const { shared, open, news } = setUp();
  expect(open('one', 'key', { fd: -24 }) === NO_HANDLE).toBe(true);
  expect(news()).toEqual([['place failed'], ['closed', 'key'], ['answered', 'error']]);
  expect(shared.all()).toEqual([]);
});

test('its end is told once', () => {
  const { shared, open, news } = setUp();
  const handle = open('one', 'key');
  news();
  handle.close();
  handle.close();
  expect(news()).toEqual([['closed', 'key'], ['place left']]);
  expect(shared.has('one')).toBe(false);
});

test('when nothing new is to come it has not closed, and its end is told when it has', () => {
  const { shared, open, news } = setUp();
  const [tcp] = [open('one', 'key'), open('two', 'udp', { kind: 'udp' })];
  news();
  shared.stopAll();
  expect(news()).toEqual([]);
  expect(shared.all()).toEqual(['one', 'two']);
  tcp.close();
  expect(news()).toEqual([['closed', 'key'], ['place left']]);
});

test('a connection goes to other workers by the name of its server, if it is one of these', () => {
  const { shared, open, news } = setUp();
  open('one', 'first');
  open('two', 'second');
  news();
  expect(shared.passOn('two', 5, 7)).toBe(true);
  expect(news()).toEqual([['move', 'second', 7, 5]]);
  // What a proxy has said of it is bounded.
  expect(shared.passOn('two', 5, 7, 'x'.repeat(512))).toBe(true);
  expect(shared.passOn('two', 5, 7, 'x'.repeat(513))).toBe(false);
  expect(news()).toHaveLength(1);
  expect(shared.passOn('three', 5, 7)).toBe(false);
  expect(news()).toEqual([]);
});

test('one that another worker had goes to the server of that name, with its time, or is closed', () => {
  const { shared, open, goOn, news } = setUp();
  open('one', 'first');
  open('two', 'second');
  news();
  const marked = [];
  shared.adopt('second', load().newSocket('tcp'), 7, (client) => marked.push(client));
  expect(news()).toEqual([['adopts', 'two', 7]]);
  goOn();
  // Known to have been read from before the server has it, and counted as any other.
  expect(marked).toEqual([expect.objectContaining({ fd: expect.any(Number) })]);
  expect(news()).toEqual([['came', 'two']]);
  const fd = load().newSocket('tcp');
  shared.adopt('third', fd, 7, () => {});
  expect(news()).toEqual([]);
  expect(load().socketKind(fd)).toBeNull();
});
