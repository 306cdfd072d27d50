'use strict';

// Opening what workers ask for, event by event, with an acceptor and a native part that only note what they are told.

const { constants } = require('node:os');
const { POLICIES: { SCHED_NONE: NONE, SCHED_REUSEPORT: REUSEPORT, SCHED_RR: RR } } = require('../../lib/primary/policies');
const { Opener } = require('../../lib/primary/opener');

const EINVAL = -constants.errno.EINVAL;
const EADDRINUSE = -constants.errno.EADDRINUSE;
const EAFNOSUPPORT = -constants.errno.EAFNOSUPPORT;

/** @param {{ ids?: number[], given?: object, mayClear?: boolean, kind?: string, ours?: number[], speech?: boolean }} [luck] */
function setUp({ ids = [], given, mayClear = false, kind = 'tcp', ours = [], speech = false } = {}) {
  const told = [];
  let last = 0;
  const open = (what) => (...args) => {
    told.push([what, ...args.map((one) => (typeof one === 'object' ? { ...one } : one))]);
    return ids.shift() ?? ++last;
  };
  const note = (what, result) => (...args) => {
    told.push([what, ...args]);
    return result;
  };
  const native = { bindShared: open('bindShared'), duplicateFd: note('duplicateFd', 99), socketKind: () => kind, socketName: () => ({ port: 1 }) };
  const acceptor = { listen: open('listen'), addSocket: note('addSocket', 0), listenerFd: note('listenerFd', 98) };
  const copies = [];
  const guarded = {
    for: () => given,
    clearTheWay: () => mayClear,
    guard: (_question, _distributed, _guards, copy) => copies.push(copy),
    release: (guard) => void told.push(['release', guard.fd]),
  };
  const opener = new Opener(() => native, () => acceptor, guarded, (fd) => ours.includes(fd));
  opener.senders = speech ? ['10.0.0.0/8'] : undefined;
  const asked = (question = {}) => ({ address: '127.0.0.1', port: 80, addressType: 4, fd: null, index: 0, flags: 0, backlog: 7, ...question });
  return { open: (question, accepted = true, policy = RR) => opener.open(asked(question), accepted, policy), told, copies };
}

test('an address is bound by the acceptor, or for all who share it', () => {
  const { open, told, copies } = setUp();
  expect(open()).toEqual({ id: 1, distributed: false, ours: true, guards: [] });
  expect(open({}, false, NONE)).toMatchObject({ id: 2, distributed: false });
  expect(told.map(([what, { address, port, reusePort }]) => [what, address, port, reusePort])).toEqual([
    ['listen', '127.0.0.1', 80, false],
    ['bindShared', '127.0.0.1', 80, false],
  ]);
  told.length = 0;
  expect(copies.map((copy) => copy())).toEqual([98, 99]);
  expect(told).toEqual([['listenerFd', 1], ['duplicateFd', 2]]);
});

test('the kernel distributes over sockets that are bound so, and only there', () => {
  const { open, told } = setUp({ ids: [1, 2] });
  expect(open({}, true, REUSEPORT)).toMatchObject({ id: 1, distributed: true });
  expect(told.at(-1)[1].reusePort).toBe(true);
  expect(open({}, false, REUSEPORT)).toMatchObject({ id: 2, distributed: false });
  expect(told.at(-1)[1].reusePort).toBe(false);
});

test('without an address the next family is tried, unless the port is taken', () => {
  const everywhere = { address: null };
  const without = setUp({ ids: [EAFNOSUPPORT] });
  expect(without.open(everywhere)).toMatchObject({ id: 1 });
  expect(without.told).toHaveLength(2);
  const taken = setUp({ ids: [EADDRINUSE] });
  expect(taken.open(everywhere)).toMatchObject({ id: EADDRINUSE });
  expect(taken.told).toHaveLength(1);
  expect(taken.copies).toEqual([]);
});

test('an address that is taken by what others keep for us is tried once more', () => {
  const cleared = setUp({ ids: [EADDRINUSE], mayClear: true });
  expect(cleared.open()).toMatchObject({ id: 1 });
  expect(cleared.told).toHaveLength(2);
  expect(cleared.copies).toHaveLength(1);
  const other = setUp({ ids: [EAFNOSUPPORT], mayClear: true });
  expect(other.open()).toMatchObject({ id: EAFNOSUPPORT });
  expect(other.told).toHaveLength(1);
});

test('what others keep for us is used, all of it, or closed', () => {
  const given = { fd: 5, guards: [{ fd: 5 }, { fd: 6 }, { fd: 7 }] };
  const used = setUp({ given });
  expect(used.open({}, true, REUSEPORT)).toMatchObject({ id: 1, distributed: true, ours: true, guards: given.guards });
  expect(used.told).toEqual([['listen', { fd: 5, backlog: 7, deferAccept: false }, REUSEPORT], ['addSocket', 1, 6], ['addSocket', 1, 7]]);
  const refused = setUp({ given, ids: [EINVAL] });
  expect(refused.open()).toMatchObject({ id: EINVAL });
  expect(refused.told.slice(1)).toEqual([['release', 5], ['release', 6], ['release', 7]]);
});

test('a descriptor is served from if it is of that kind, and none of ours', () => {
  const { open, told, copies } = setUp({ ours: [8] });
  expect(open({ fd: 9 })).toMatchObject({ id: 1, ours: false });
  expect(told.map(([what, { fd }]) => [what, fd])).toEqual([['listen', 9]]);
  expect(open({ fd: 8 })).toMatchObject({ id: EINVAL });
  expect(open({ fd: 9, addressType: 'udp4' }, false)).toMatchObject({ id: EINVAL });
  expect(setUp({ kind: null }).open({ fd: 9 })).toMatchObject({ id: EINVAL });
  expect(told).toHaveLength(1);
  expect(copies).toEqual([]);
});

test('where clients speak first, silent ones are left to the kernel: on what we have bound, unless it ends with a worker', () => {
  const { open, told } = setUp({ speech: true });
  open();
  open({}, false, NONE);
  open({}, true, REUSEPORT);
  open({ addressType: 'udp4' }, false);
  open({ fd: 9 });
  expect(told.map(([, { deferAccept }]) => deferAccept)).toEqual([true, true, undefined, undefined, undefined]);
  const without = setUp();
  without.open();
  expect(without.told[0][1].deferAccept).toBeUndefined();
});

test('what a primary before us has bound is set as it is to be now; what somebody else has, stays', () => {
  const ours = { fd: 5, guards: [{ fd: 5 }] };
  const theirs = { fd: 5, guards: [] };
  for (const [speech, given, policy, expected] of [
    [true, ours, RR, true], [false, ours, RR, false], [true, ours, REUSEPORT, false], [true, theirs, RR, undefined], [false, theirs, RR, undefined],
  ]) {
    const { open, told } = setUp({ speech, given });
    open({}, true, policy);
    expect(told[0][1].deferAccept).toBe(expected);
  }
});
