'use strict';

const os = require('node:os');
const { load } = require('../../lib/native');
const { parse } = require('../../lib/supervisor/options');

/** What is wrong with options. */
function refusal(options) {
  try {
    parse(options);
  } catch (error) {
    return error;
  }
  throw new Error(`accepted: ${JSON.stringify(options)}`);
}

test('without options, the defaults', () => {
  expect(parse()).toEqual({
    workers: os.availableParallelism(),
    ready: 'listening',
    readyTimeout: 10_000,
    settleTime: 1500,
    drainTimeout: 10_000,
    restart: { delay: 100, factor: 1.5, max: 15_000, resetAfter: 30_000, limit: 10, window: 60_000 },
    hangTimeout: 30_000,
    hangSignal: 'SIGKILL',
    maxMemory: 0,
    crash: 'exit',
    countRequests: false,
    appMetrics: false,
    move: true,
    reloadParallel: 1,
    keepAliveTimeout: undefined,
    proxyProtocol: undefined,
    stopDelay: 0,
    minReady: 1,
    health: undefined,
    seatListen: undefined,
    signals: false,
    env: undefined,
    policy: undefined,
    settings: {},
  });
});

test('an option that is undefined has its default', () => {
  expect(parse({ workers: undefined, env: undefined, restart: undefined, exec: undefined })).toEqual(parse());
});

test('some members of "restart" leave the others as they are', () => {
  expect(parse({ restart: { max: 500, limit: undefined } }).restart).toEqual({ ...parse().restart, max: 500 });
});

test.each([
  ['300M', 300 * 2 ** 20],
  ['1.5G', 1.5 * 2 ** 30],
  ['64k', 64 * 1024],
  ['64KB', 64 * 1024],
  ['1000', 1000],
  ['1000B', 1000],
  [12345, 12345],
  [0, 0],
])('maxMemory: %p is %p bytes', (maxMemory, bytes) => {
  expect(parse({ maxMemory }).maxMemory).toBe(bytes);
});

test.each([['none', 1], ['rr', 2], ['least', 3], ['sticky', 4], ['reuseport', 5], [2, 2]])('policy: %p is %p', (policy, number) => {
  expect(parse({ policy }).policy).toBe(number);
});

test.each([
  [9000, { port: 9000 }],
  ['0', { port: 0 }],
  ['127.0.0.1:9000', { host: '127.0.0.1', port: 9000 }],
  ['[::1]:9000', { host: '::1', port: 9000 }],
  ['localhost:9000', { host: 'localhost', port: 9000 }],
  ['./health.sock', { path: './health.sock' }],
])('health: %p is %p', (health, place) => {
  expect(parse({ health }).health).toEqual(place);
});

test.each([
  ['10.0.0.0/8,::1', ['10.0.0.0/8', '::1']],
  ['127.0.0.1, unix', ['127.0.0.1', 'unix']],
  [['::ffff:10.0.0.0/104', '0.0.0.0/0', '2001:DB8::/32'], ['::ffff:10.0.0.0/104', '0.0.0.0/0', '2001:DB8::/32']],
])('proxyProtocol: %p is %p', (proxyProtocol, list) => {
  const parsed = parse({ proxyProtocol }).proxyProtocol;
  expect(parsed).toEqual(list);
  // The native part reads them as well.
  expect(() => new (load().ProxyGate)([...parsed], () => {})).not.toThrow();
});

test.each([
  ['3001+', { port: 3001 }],
  ['127.0.0.1:3001+', { host: '127.0.0.1', port: 3001 }],
  ['localhost:3001+', { host: '127.0.0.1', port: 3001 }],
  ['[::1]:3001+', { host: '::1', port: 3001 }],
  ['3001+:3000', { port: 3001, of: 3000 }],
  ['127.0.0.1:3001+:3000', { host: '127.0.0.1', port: 3001, of: 3000 }],
  ['./app.{seat}.sock', { path: './app.{seat}.sock' }],
  ['/run/app/{seat}:3000', { path: '/run/app/{seat}', of: 3000 }],
  ['65535+', { port: 65535 }],
])('seatListen: %p is %p', (seatListen, listen) => {
  const options = parse({ seatListen, workers: 1 });
  expect(options.seatListen).toEqual(listen);
  expect(Object.isFrozen(options.seatListen)).toBe(true);
});

test('the settings of setupPrimary are passed on', () => {
  const settings = { exec: 'a.js', args: ['-x'], cwd: '/', execArgv: [], silent: true, serialization: 'advanced' };
  expect(parse({ ...settings, workers: 3 })).toMatchObject({ workers: 3, settings });
});

test('what comes out is a copy, and frozen', () => {
  const given = { env: { A: '1' }, restart: { delay: 1 } };
  const options = parse(given);
  given.env.A = '2';
  given.restart.delay = 2;
  expect(options).toMatchObject({ env: { A: '1' }, restart: { delay: 1 } });
  for (const part of [options, options.env, options.restart, options.settings]) expect(Object.isFrozen(part)).toBe(true);
});

describe('a bad value: the message has the option, the rule and the value', () => {
  const COUNT = 'a whole number from 1 to 1024, or \'max\'';
  const ms = (least) => `a whole number of milliseconds, ${least} or more`;
  const SENDERS = "a list of 1 to 1,000 trusted senders, addresses or networks such as '10.0.0.0/8' and '::1', or 'unix'";
  const PLACE = "a port, such as 9000 or '127.0.0.1:9000', or the path of a Unix socket, such as './health.sock'";
  const SEATS = require('../../lib/supervisor/seat_listen').RULE;
  const SHORT = 'less than 2 ** 31 milliseconds';
  test.each([
    [{ workers: 0 }, 'workers', COUNT, 'type number (0)'],
    [{ workers: 1025 }, 'workers', COUNT, 'type number (1025)'],
    [{ workers: 1.5 }, 'workers', COUNT, 'type number (1.5)'],
    [{ workers: '2' }, 'workers', COUNT, "type string ('2')"],
    [{ workers: null }, 'workers', COUNT, 'null'],
    [{ ready: 'soon' }, 'ready', "one of 'listening', 'message', 'online'", "type string ('soon')"],
    [{ readyTimeout: 0 }, 'readyTimeout', ms(1), 'type number (0)'],
    [{ readyTimeout: '10s' }, 'readyTimeout', ms(1), "type string ('10s')"],
    [{ readyTimeout: 2 ** 31 }, 'readyTimeout', SHORT, 'type number (2147483648)'],
    [{ settleTime: -1 }, 'settleTime', ms(0), 'type number (-1)'],
    [{ drainTimeout: NaN }, 'drainTimeout', ms(0), 'type number (NaN)'],
    [{ drainTimeout: Infinity }, 'drainTimeout', SHORT, 'type number (Infinity)'],
    [{ drainTimeout: 0.5 }, 'drainTimeout', ms(0), 'type number (0.5)'],
    [{ restart: true }, 'restart', 'an object', 'type boolean (true)'],
    [{ restart: null }, 'restart', 'an object', 'null'],
    [{ restart: { delay: -1 } }, 'restart.delay', ms(0), 'type number (-1)'],
    [{ restart: { factor: 0.5 } }, 'restart.factor', 'a number of times, 1 or more', 'type number (0.5)'],
    [{ restart: { max: '1' } }, 'restart.max', ms(0), "type string ('1')"],
    [{ restart: { resetAfter: {} } }, 'restart.resetAfter', ms(0), 'an instance of Object'],
    [{ restart: { limit: 0 } }, 'restart.limit', 'a whole number of crashes, 1 or more', 'type number (0)'],
    [{ restart: { window: 0 } }, 'restart.window', ms(1), 'type number (0)'],
    [{ hangTimeout: -1 }, 'hangTimeout', ms(0), 'type number (-1)'],
    [{ hangSignal: 'SIGTERM' }, 'hangSignal', "one of 'SIGKILL', 'SIGABRT'", "type string ('SIGTERM')"],
    [{ maxMemory: '300 MB' }, 'maxMemory', "a number of bytes, or a string such as '300M'", "type string ('300 MB')"],
    [{ maxMemory: '' }, 'maxMemory', "a number of bytes, or a string such as '300M'", "type string ('')"],
    [{ maxMemory: -1 }, 'maxMemory', "a number of bytes, or a string such as '300M'", 'type number (-1)'],
    [{ stopDelay: '10s' }, 'stopDelay', ms(0), "type string ('10s')"],
    [{ keepAliveTimeout: -1 }, 'keepAliveTimeout', ms(0), 'type number (-1)'],
    [{ minReady: 0 }, 'minReady', 'a whole number of workers, 1 or more', 'type number (0)'],
    [{ health: 65536 }, 'health', PLACE, 'type number (65536)'],
    [{ health: 'here' }, 'health', PLACE, "type string ('here')"],
    [{ health: '::1:9000' }, 'health', PLACE, "type string ('::1:9000')"],
    [{ health: true }, 'health', PLACE, 'type boolean (true)'],
    [{ health: null }, 'health', PLACE, 'null'],
    [{ proxyProtocol: true }, 'proxyProtocol', SENDERS, 'type boolean (true)'],
    [{ proxyProtocol: null }, 'proxyProtocol', SENDERS, 'null'],
    [{ proxyProtocol: [] }, 'proxyProtocol', SENDERS, 'an instance of Array'],
    [{ proxyProtocol: '' }, 'proxyProtocol', SENDERS, "type string ('')"],
    [{ proxyProtocol: ['::1', '10.0.0.0/33'] }, 'proxyProtocol', SENDERS, "type string ('10.0.0.0/33')"],
    [{ proxyProtocol: '::1, localhost' }, 'proxyProtocol', SENDERS, "type string ('localhost')"],
    [{ proxyProtocol: Array(1001).fill('::1') }, 'proxyProtocol', SENDERS, 'an instance of Array'],
    ...['10.0.0.0/33', '::1/129', '10.0.0/8', 'localhost', '10.0.0.0/8/8', '10.0.0.0/08', '10.0.0.0/', 'fe80::1%lo', '*', 'Unix', '10.0.0.1,'].map(
      (text) => [{ proxyProtocol: text }, 'proxyProtocol', SENDERS, `type string ('${text}')`],
    ),
    [{ seatListen: 3001 }, 'seatListen', SEATS, 'type number (3001)'],
    [{ seatListen: '3001' }, 'seatListen', SEATS, "type string ('3001')"],
    [{ seatListen: '0+' }, 'seatListen', SEATS, "type string ('0+')"],
    [{ seatListen: '65536+' }, 'seatListen', SEATS, "type string ('65536+')"],
    [{ seatListen: '3001+:65536' }, 'seatListen', SEATS, "type string ('3001+:65536')"],
    [{ seatListen: 'example.org:3001+' }, 'seatListen', SEATS, "type string ('example.org:3001+')"],
    [{ seatListen: './app.sock' }, 'seatListen', SEATS, "type string ('./app.sock')"],
    [{ seatListen: '{seat}.sock' }, 'seatListen', SEATS, "type string ('{seat}.sock')"],
    [{ seatListen: null }, 'seatListen', SEATS, 'null'],
    [{ seatListen: '65535+', workers: 2 }, 'seatListen', 'such that 2 workers have ports up to 65535', "type string ('65535+')"],
    [{ crash: 'ignore' }, 'crash', "one of 'exit', 'drain'", "type string ('ignore')"],
    [{ reloadParallel: 0 }, 'reloadParallel', 'a whole number of workers, 1 or more', 'type number (0)'],
    [{ move: 0 }, 'move', 'true or false', 'type number (0)'],
    [{ signals: 'yes' }, 'signals', 'true or false', "type string ('yes')"],
    [{ env: 'A=1' }, 'env', 'an object', "type string ('A=1')"],
    [{ env: null }, 'env', 'an object', 'null'],
    [{ policy: 'random' }, 'policy', "one of 'none', 'rr', 'least', 'sticky', 'reuseport'", "type string ('random')"],
    [{ policy: 6 }, 'policy', "one of 'none', 'rr', 'least', 'sticky', 'reuseport'", 'type number (6)'],
  ])('%j', (options, name, rule, value) => {
    const error = refusal(options);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.code).toBe('ERR_RCLUSTER_BAD_OPTION');
    expect(error.message).toBe(`The "${name}" option must be ${rule}. Received ${value}`);
  });

  test.each([[null, 'null'], ['x', "type string ('x')"], [[], 'an instance of Array'], [3, 'type number (3)']])(
    'options that are %j',
    (options, value) => {
      const error = refusal(options);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.code).toBe('ERR_INVALID_ARG_TYPE');
      expect(error.message).toBe(`The "options" argument must be of type object. Received ${value}`);
    },
  );

  test('an option that does not exist: the message has those that do', () => {
    const error = refusal({ instances: 2 });
    expect(error.code).toBe('ERR_RCLUSTER_BAD_OPTION');
    expect(error.message).toMatch(/^There is no option "instances"\. Known are: workers, ready, .*, cwd, /);
    expect(refusal({ restart: { attempts: 3 } }).message).toBe(
      'There is no option "restart.attempts". Known are: delay, factor, max, resetAfter, limit, window',
    );
  });
});
