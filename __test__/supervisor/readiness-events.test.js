'use strict';

// When a new worker is ready, event by event, without a process.

const EventEmitter = require('node:events');
const life = require('../../lib/supervisor/life');
const { Readiness } = require('../../lib/supervisor/readiness');

const TIME = 1000;

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

/**
 * A worker that starts, and its supervisor: what `happened` to it, in the order of happening.
 *
 * @param {{ ready?: string, patience?: number, mustListen?: boolean, missing?: string[], needed?: string[] }} [service]
 */
function setUp({ ready = 'listening', patience = 0, mustListen = true, missing = [], needed = [] } = {}) {
  const happened = [];
  const occupant = Object.assign(new EventEmitter(), {
    state: 'starting', listened: false, own: [], addresses: [], worker: new EventEmitter(),
  });
  const service = { patience, mustListen, missing, needed };
  const expectation = { missing: () => service.missing, needed: () => service.needed };
  const prospects = { instance: 0, expectation, mustListen: () => service.mustListen, patience: () => service.patience };
  const readiness = new Readiness(occupant, { ready, readyTimeout: TIME }, prospects, (event, verdict) => {
    happened.push(verdict === undefined ? event : [event, verdict]);
    const { state, actions } = life.next(occupant.state, event);
    occupant.state = state;
    if (actions.some((action) => ['begin', 'presume'].includes(action))) occupant.emit('usable');
    if (actions.includes('fail')) occupant.emit('failed');
  });
  const pass = (time) => jest.advanceTimersByTime(time + 10);
  return { happened, occupant, readiness, service, pass, listen: () => occupant.worker.emit('listening') };
}

test.each([
  ['online', 'online', undefined],
  ['message', 'message', 'ready'],
])('%s is all that is waited for, where that is asked for', (ready, event, argument) => {
  const { happened, occupant, pass, listen } = setUp({ ready });
  listen();
  occupant.worker.emit('message', 'something else');
  pass(0);
  expect(happened).toEqual([]);
  occupant.worker.emit(event, argument);
  expect(happened).toEqual(['ready']);
  pass(9 * TIME);
  expect(happened).toEqual(['ready']);
});

test('one that listens is ready after those who listen to the cluster have heard of it', () => {
  const { happened, listen, pass } = setUp();
  listen();
  expect(happened).toEqual([]);
  pass(0);
  expect(happened).toEqual(['ready']);
});

test('one that lacks an address is ready when it has it, or nobody wants it any more', () => {
  const { happened, listen, pass, service } = setUp({ missing: ['a'], needed: ['a'] });
  listen();
  pass(500);
  expect(happened).toEqual([]);
  service.missing = [];
  pass(100);
  expect(happened).toEqual(['ready']);

  const other = setUp({ missing: ['a'] });
  other.listen();
  other.pass(TIME);
  expect(other.happened).toEqual(['ready']);
});

test('a socket of its own counts', () => {
  const { happened, occupant, pass, readiness } = setUp();
  readiness.onListening();
  pass(0);
  expect([happened, occupant.listened]).toEqual([['ready'], true]);
});

test('when its time is over it has failed, and it is said why', () => {
  const late = (service, act = () => {}) => {
    const scene = setUp(service);
    act(scene);
    scene.pass(TIME);
    expect(scene.happened).toHaveLength(1);
    return scene.happened[0];
  };
  expect(late({ ready: 'online' })).toEqual(['overtime', 'was not ready after 1000 ms']);
  expect(late({})).toEqual(['overtime', expect.stringMatching(/^was not ready after 1000 ms: it does not listen, as others do/)]);
  expect(late({ missing: ['a'], needed: ['a', 'b'] }, ({ occupant, listen }) => {
    occupant.addresses = [{ name: 'c' }];
    listen();
  })).toEqual(['overtime', expect.stringMatching(/^was not ready after 1000 ms: it listens on c, and not on a, b as/)]);
});

test('one that need not listen is taken to do its work, and is ready when it does', () => {
  const { happened, listen, pass } = setUp({ mustListen: false });
  pass(TIME);
  expect(happened).toEqual(['presumed']);
  listen();
  pass(0);
  expect(happened).toEqual(['presumed', 'ready']);
});

test('it has as much time as others have taken', () => {
  const { happened, pass } = setUp({ patience: 3 * TIME });
  pass(2.9 * TIME);
  expect(happened).toEqual([]);
  pass(0.1 * TIME);
  expect(happened).toEqual([['overtime', expect.stringMatching(/^was not ready after 3000 ms/)]]);
});

test('nothing is looked at once it leaves', () => {
  const { happened, occupant, listen, pass, service } = setUp({ missing: ['a'] });
  listen();
  pass(200);
  occupant.state = 'retiring';
  occupant.emit('failed');
  occupant.emit('leaving');
  expect(jest.getTimerCount()).toBe(0);
  service.missing = [];
  pass(9 * TIME);
  expect(happened).toEqual([]);
});
