'use strict';

// The servers of a worker, event by event, with a connection queue that only notes what it is told.

const net = require('node:net');
const { load } = require('../../lib/native.js');
const { Servers } = require('../../lib/worker/servers/servers.js');

const OPENED = 0;
const ENDED = 1;

/** @type {any[]} */
let raws;
beforeEach(() => {
  raws = [];
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
  for (const raw of raws) raw.close();
});

/** @param {{ giveBack?: boolean, available?: boolean, resume?: boolean }} [luck] Whether the queue can do so. */
function setUp(luck = {}) {
  const told = [];
  const can = { giveBack: true, available: true, resume: true, ...luck };
  const note = (what) => (...args) => {
    told.push([what, ...args]);
    return can[what] ?? true;
  };
  /** @type {(fd: number, listener: number, left?: number) => void} */
  let onConnection;
  const counts = new Float64Array(2);
  const queue = { counts, accepted: () => 100 };
  for (const name of ['giveBack', 'available', 'resume', 'passOn', 'setRef', 'close']) queue[name] = note(name);
  const servers = new Servers(
    (callback) => {
      onConnection = callback;
      return queue;
    },
    (key) => told.push(['closed', key]),
    ({ act, ...rest }, fd) => told.push([act, ...Object.values(rest), fd]) > 0,
  );
  /** A server that listens, as `net` would have it: it counts what it is handed. */
  const listen = (listener, { refuses = false, onHandle = () => {} } = {}) => {
    const server = Object.assign(net.createServer(), { _connections: 0 });
    const place = servers.nextPlace('here');
    let handle;
    servers.accept(server, { key: `key ${listener}`, listener, sockname: { port: 1 }, backlog: 1 }, -1, place, (_errno, made) => {
      handle = made;
      handle.onconnection = (_status, raw) => {
        raws.push(raw);
        if (!refuses) server._connections++;
      };
      onHandle(handle);
    });
    const end = () => {
      server._connections--;
      server._emitCloseIfDrained();
    };
    return { server, handle, place, end };
  };
  const come = (listener, left = 0) => {
    const fd = load().newSocket('tcp');
    onConnection(fd, listener, left);
    return fd;
  };
  const fail = (why) => onConnection(why, 1, 0);
  const news = () => told.splice(0);
  /** What has been given back or not used is closed by nobody here. */
  const closeFd = (fd) => load().closeFd(fd);
  return { servers, listen, come, fail, news, counts, can, closeFd };
}

test('a server is told of when it has its handle, and no sooner', () => {
  const { listen, news } = setUp();
  listen(1, { onHandle: () => expect(news()).toEqual([['setRef', true]]) });
  expect(news()).toEqual([['accepting', 'key 1', -1]]);
});

test('one that is closed at once is not', () => {
  const { listen, news } = setUp();
  listen(1, { onHandle: (handle) => handle.close() });
  expect(news()).toEqual([['setRef', true], ['setRef', false], ['closed', 'key 1']]);
});

test('a connection goes to its server, and its end is counted once', () => {
  const { listen, come, counts, news } = setUp();
  const [one, other] = [listen(1), listen(2)];
  news();
  come(2);
  expect([one.server._connections, other.server._connections]).toEqual([0, 1]);
  other.end();
  expect([counts[OPENED], counts[ENDED]]).toEqual([0, 1]);
  expect(news()).toEqual([]);
});

test('one that its server refuses is over', () => {
  const { listen, come, counts } = setUp();
  listen(1, { refuses: true });
  come(1);
  expect(counts[ENDED]).toBe(1);
});

test.each([
  ['nobody listens', ({ listen }) => listen(2)],
  ['the server has closed', ({ listen }) => listen(1).handle.close()],
  ['nothing is taken any more', ({ listen, servers }) => (listen(1), servers.stopTaking())],
])('a connection goes back, with the time that it may stay idle, when %s', (_when, prepare) => {
  const scene = setUp();
  prepare(scene);
  scene.news();
  const fd = scene.come(1, 7);
  expect(scene.news()).toEqual([['giveBack', fd, 1, false, 7]]);
  scene.closeFd(fd);
});

describe('at maxConnections', () => {
  function full(luck) {
    const scene = setUp(luck);
    const one = scene.listen(1);
    one.server.maxConnections = 1;
    scene.come(1);
    scene.news();
    const fd = scene.come(1);
    expect(scene.news()).toEqual([['giveBack', fd, 1, true, 0]]);
    scene.closeFd(fd);
    return { ...scene, ...one };
  }

  test('connections go back, and the end of one is told as room', () => {
    const { end, news, come } = full();
    end();
    expect(news()).toEqual([['available', 1]]);
    come(1);
    expect(news()).toEqual([]);
  });

  test('a limit that is raised is found out, and looked for no longer', () => {
    const { server, news } = full();
    jest.advanceTimersByTime(1000);
    expect(news()).toEqual([]);
    server.maxConnections = 2;
    jest.advanceTimersByTime(1000);
    expect(news()).toEqual([['available', 1]]);
    expect(jest.getTimerCount()).toBe(0);
  });

  test('where room could not be told, that is tried again', () => {
    const { end, news } = full({ available: false });
    end();
    expect(news()).toEqual([['available', 1]]);
    jest.advanceTimersByTime(1000);
    expect(news()).toEqual([['resume']]);
  });

  test('a server that drops them itself gets them', () => {
    const { listen, come, news } = setUp();
    Object.assign(listen(1).server, { maxConnections: 0, dropMaxConnection: true });
    news();
    come(1);
    expect(news()).toEqual([]);
  });
});

test('what could not be given back is tried again until it can', () => {
  const { come, news, can, closeFd } = setUp({ giveBack: false, resume: false });
  const fd = come(1);
  news();
  jest.advanceTimersByTime(250);
  expect(news()).toEqual([['resume'], ['resume']]);
  can.resume = true;
  jest.advanceTimersByTime(1000);
  expect(news()).toEqual([['resume']]);
  closeFd(fd);
});

test('a queue that fails for another reason than descriptors is tried again without a warning', () => {
  const { fail, news } = setUp();
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  fail(-2);
  expect(warn).not.toHaveBeenCalled();
  fail(-1);
  expect(warn).toHaveBeenCalledTimes(1);
  warn.mockRestore();
  jest.advanceTimersByTime(1000);
  expect(news()).toEqual([['resume']]);
});

test('the process lives as long as a server wants it to', () => {
  const { listen, news } = setUp();
  const one = listen(1).handle;
  const other = listen(2).handle;
  const refs = () => news().filter(([what]) => what === 'setRef').map(([, wanted]) => wanted);
  expect(refs()).toEqual([true, true]);
  one.unref();
  one.unref();
  expect([refs(), one.hasRef(), other.hasRef()]).toEqual([[true], false, true]);
  other.close();
  expect(refs()).toEqual([false]);
  one.close();
  one.ref();
  expect(refs()).toEqual([]);
});

test('a closed handle says no more where it was', () => {
  const { listen } = setUp();
  const { handle } = listen(1);
  const [before, after] = [{}, {}];
  handle.getsockname(before);
  handle.close();
  handle.getsockname(after);
  expect([before, after]).toEqual([{ port: 1 }, {}]);
});

test('a connection that leaves goes by the queue of its own listener', () => {
  const { servers, listen, news } = setUp();
  listen(1);
  const { server } = listen(2);
  news();
  expect([servers.canPassOn(server), servers.canPassOn(net.createServer())]).toEqual([true, false]);
  expect(servers.passOn(server, { fd: 5 }, 9)).toBe(true);
  expect(news()).toEqual([['passOn', 5, 2, 9, undefined]]);
  // With what a proxy has said of it.
  servers.proxied = { saidOf: ({ said }) => said };
  expect(servers.passOn(server, { fd: 6, said: Buffer.from('PROXY') }, 0)).toBe(true);
  expect(news()).toEqual([['passOn', 6, 2, 0, Buffer.from('PROXY')]]);
});

test('places on an address are taken in order, and from the beginning when all are free again', () => {
  const { servers } = setUp();
  const [first, second, other] = ['a', 'a', 'b'].map((address) => servers.nextPlace(address));
  expect([first, second, other].map(({ index }) => index)).toEqual([0, 1, 0]);
  first.leave();
  expect(servers.nextPlace('a').index).toBe(2);
  other.leave();
  expect(other.isKnown()).toBe(false);
  const failed = servers.nextPlace('b');
  failed.fail();
  // One that tries again tells of itself once for each try.
  expect([failed.isKnown(), servers.nextPlace('b').index]).toEqual([true, 0]);
});
