'use strict';

// What `supervise` and the command line may be asked for: checked, completed, copied and frozen once.

const { invalidArgument, ours, received } = require('../errors.js');
const { availableCores } = require('./cores.js');
const { RULE, noSender, senders } = require('./trusted.js');
const { RULE: SEAT_RULE, hasPortsFor, parseSeatListen } = require('./seat_listen.js');

const READY = /** @type {const} */ (['listening', 'message', 'online']);
const UNITS = Object.freeze({ '': 1, B: 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 });

/**
 * @typedef {object} Restart
 * @property {number} delay ms before the first restart.
 * @property {number} factor By which the delay grows with each crash.
 * @property {number} max ms, the longest delay.
 * @property {number} resetAfter ms of uptime after which the delay starts anew.
 * @property {number} limit So many crashes within `window` are a crash loop.
 * @property {number} window ms.
 */

/**
 * @typedef {object} Options
 * @property {number} workers
 * @property {'listening' | 'message' | 'online'} ready
 * @property {number} readyTimeout ms
 * @property {number} settleTime ms
 * @property {number} drainTimeout ms
 * @property {Readonly<Restart>} restart
 * @property {number} hangTimeout ms, 0 for never.
 * @property {'SIGKILL' | 'SIGABRT'} hangSignal
 * @property {number} maxMemory Bytes, 0 for no limit.
 * @property {'exit' | 'drain'} crash
 * @property {boolean} move Whether idle connections may go on in another worker.
 * @property {boolean} countRequests Whether workers count the requests of their HTTP servers.
 * @property {boolean} appMetrics Whether what workers count with prom-client is gathered.
 * @property {number} reloadParallel
 * @property {number | undefined} keepAliveTimeout ms
 * @property {readonly string[] | undefined} proxyProtocol Who is believed.
 * @property {number} stopDelay ms
 * @property {number} minReady Workers.
 * @property {Readonly<import('./health.js').Place> | undefined} health
 * @property {Readonly<import('./seat_listen.js').SeatListen> | undefined} seatListen
 * @property {boolean} signals
 * @property {NodeJS.ProcessEnv | undefined} env
 * @property {number | undefined} policy
 * @property {Readonly<Record<string, unknown>>} settings For `setupPrimary`.
 */

const DEFAULTS = Object.freeze({
  workers: 'max',
  ready: 'listening',
  readyTimeout: 10_000,
  settleTime: 1500,
  drainTimeout: 10_000,
  restart: Object.freeze({ delay: 100, factor: 1.5, max: 15_000, resetAfter: 30_000, limit: 10, window: 60_000 }),
  hangTimeout: 30_000,
  hangSignal: 'SIGKILL',
  maxMemory: 0,
  crash: 'exit',
  move: true,
  countRequests: false,
  appMetrics: false,
  reloadParallel: 1,
  stopDelay: 0,
  minReady: 1,
  signals: false,
});

/** Settings of `setupPrimary` that are passed through. */
const SETTINGS = Object.freeze([
  'args', 'cwd', 'exec', 'execArgv', 'gid', 'inspectPort', 'serialization', 'silent', 'stdio', 'uid', 'windowsHide',
]);

const POLICY_NAMES = Object.freeze({ none: 1, rr: 2, least: 3, sticky: 4, reuseport: 5 });

/**
 * @param {string} name
 * @param {string} rule
 * @param {unknown} value
 */
function badOption(name, rule, value) {
  return ours('ERR_RCLUSTER_BAD_OPTION', `The "${name}" option must be ${rule}. ${received(value)}`);
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {{ least: number, integer?: boolean, unit: string }} rule
 * @returns {number}
 */
function number(name, value, { least, integer = true, unit }) {
  const fits = typeof value === 'number' && Number.isFinite(value) && value >= least && (!integer || Number.isInteger(value));
  if (!fits) throw badOption(name, `${integer ? 'a whole number' : 'a number'} of ${unit}, ${least} or more`, value);
  return value;
}

/** @param {string} name @param {unknown} value @param {number} [least] */
const milliseconds = (name, value, least = 0) => {
  // A longer timer would fire at once.
  if (typeof value === 'number' && value > 2 ** 31 - 1) throw badOption(name, 'less than 2 ** 31 milliseconds', value);
  return number(name, value, { least, unit: 'milliseconds' });
};

/**
 * @template {string} T
 * @param {string} name
 * @param {unknown} value
 * @param {readonly T[]} allowed
 * @returns {T}
 */
function oneOf(name, value, allowed) {
  const found = allowed.find((one) => one === value);
  if (found === undefined) throw badOption(name, `one of ${allowed.map((one) => `'${one}'`).join(', ')}`, value);
  return found;
}

/**
 * A count of workers: a whole number, or `max` for one per available core.
 *
 * @param {unknown} value
 */
function workers(value) {
  if (value === 'max') return availableCores();
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 1024) {
    throw badOption('workers', "a whole number from 1 to 1024, or 'max'", value);
  }
  return value;
}

/**
 * Bytes, as a number or as a string such as `300M`.
 *
 * @param {unknown} value
 */
function bytes(value) {
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)([BKMG]?)B?$/i.exec(value) : null;
  const size = match ? Number(match[1]) * UNITS[/** @type {keyof UNITS} */ (match[2].toUpperCase())] : value;
  if (typeof size !== 'number' || !Number.isFinite(size) || size < 0) {
    throw badOption('maxMemory', "a number of bytes, or a string such as '300M'", value);
  }
  return Math.round(size);
}

/** @param {unknown} value */
function policy(value) {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && Object.hasOwn(POLICY_NAMES, value)) {
    return POLICY_NAMES[/** @type {keyof POLICY_NAMES} */ (value)];
  }
  if (Object.values(POLICY_NAMES).some((known) => known === value)) return /** @type {number} */ (value);
  throw badOption('policy', `one of ${Object.keys(POLICY_NAMES).map((name) => `'${name}'`).join(', ')}`, value);
}

/** @param {unknown} value */
function trusted(value) {
  const list = senders(value);
  if (!list) throw badOption('proxyProtocol', RULE, noSender(value));
  return list;
}

/**
 * Where to listen.
 *
 * @param {string} name
 * @param {unknown} value
 * @returns {Readonly<import('./health.js').Place>}
 */
function place(name, value) {
  const text = typeof value === 'number' ? `${value}` : value;
  if (typeof text === 'string' && text.includes('/') && !text.includes('\0')) return Object.freeze({ path: text });
  const match = typeof text === 'string' ? /^(?:(?:\[([\da-f:.]+)\]|([\w.-]+)):)?(\d{1,5})$/i.exec(text) : null;
  const port = Number(match?.[3]);
  if (!match || port > 65535) throw badOption(name, "a port, such as 9000 or '127.0.0.1:9000', or the path of a Unix socket, such as './health.sock'", value);
  const host = match[1] ?? match[2];
  return Object.freeze(host === undefined ? { port } : { host, port });
}

/**
 * @param {unknown} value
 * @param {number} count Of workers.
 */
function seatListen(value, count) {
  if (value === undefined) return undefined;
  const listen = parseSeatListen(value);
  if (!listen) throw badOption('seatListen', SEAT_RULE, value);
  seatsFor(listen, count);
  return listen;
}

/**
 * Refuses a count of workers for which there are not enough ports.
 *
 * @param {Readonly<import('./seat_listen.js').SeatListen> | undefined} listen
 * @param {number} count
 */
function seatsFor(listen, count) {
  if (listen && !hasPortsFor(listen, count)) throw badOption('seatListen', `such that ${count} workers have ports up to 65535`, `${/** @type {any} */ (listen).port}+`);
}

/**
 * @param {unknown} value
 * @returns {Readonly<Restart>}
 */
function restart(value) {
  if (value === null || typeof value !== 'object') throw badOption('restart', 'an object', value);
  refuseUnknown(value, Object.keys(DEFAULTS.restart), 'restart.');
  const all = { ...DEFAULTS.restart, ...stated(value) };
  return Object.freeze({
    delay: milliseconds('restart.delay', all.delay),
    factor: number('restart.factor', all.factor, { least: 1, integer: false, unit: 'times' }),
    max: milliseconds('restart.max', all.max),
    resetAfter: milliseconds('restart.resetAfter', all.resetAfter),
    limit: number('restart.limit', all.limit, { least: 1, unit: 'crashes' }),
    window: milliseconds('restart.window', all.window, 1),
  });
}

/**
 * @param {object} given
 * @param {readonly string[]} known
 * @param {string} [prefix]
 */
function refuseUnknown(given, known, prefix = '') {
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) {
      throw ours('ERR_RCLUSTER_BAD_OPTION', `There is no option "${prefix}${name}". Known are: ${known.join(', ')}`);
    }
  }
}

/**
 * Without members that are undefined.
 *
 * @param {object} given
 */
function stated(given) {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/**
 * @param {unknown} given
 * @returns {Readonly<Options>}
 */
function parse(given = {}) {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) throw invalidArgument('options', 'of type object', given);
  refuseUnknown(given, [...Object.keys(DEFAULTS), 'env', 'health', 'keepAliveTimeout', 'policy', 'proxyProtocol', 'seatListen', ...SETTINGS]);
  const all = /** @type {Record<string, any>} */ ({ ...DEFAULTS, ...stated(given) });
  if (all.env !== undefined && (all.env === null || typeof all.env !== 'object')) throw badOption('env', 'an object', all.env);
  for (const name of ['appMetrics', 'countRequests', 'move', 'signals']) {
    if (typeof all[name] !== 'boolean') throw badOption(name, 'true or false', all[name]);
  }
  const count = workers(all.workers);
  return Object.freeze({
    workers: count,
    ready: oneOf('ready', all.ready, READY),
    readyTimeout: milliseconds('readyTimeout', all.readyTimeout, 1),
    settleTime: milliseconds('settleTime', all.settleTime),
    drainTimeout: milliseconds('drainTimeout', all.drainTimeout),
    restart: restart(all.restart),
    hangTimeout: milliseconds('hangTimeout', all.hangTimeout),
    hangSignal: oneOf('hangSignal', all.hangSignal, /** @type {const} */ (['SIGKILL', 'SIGABRT'])),
    maxMemory: bytes(all.maxMemory),
    crash: oneOf('crash', all.crash, /** @type {const} */ (['exit', 'drain'])),
    move: all.move,
    countRequests: all.countRequests,
    appMetrics: all.appMetrics,
    reloadParallel: number('reloadParallel', all.reloadParallel, { least: 1, unit: 'workers' }),
    keepAliveTimeout: all.keepAliveTimeout === undefined ? undefined : milliseconds('keepAliveTimeout', all.keepAliveTimeout),
    proxyProtocol: all.proxyProtocol === undefined ? undefined : trusted(all.proxyProtocol),
    stopDelay: milliseconds('stopDelay', all.stopDelay),
    minReady: number('minReady', all.minReady, { least: 1, unit: 'workers' }),
    health: all.health === undefined ? undefined : place('health', all.health),
    seatListen: seatListen(all.seatListen, count),
    signals: all.signals,
    env: all.env && Object.freeze({ ...all.env }),
    policy: policy(all.policy),
    settings: Object.freeze(Object.fromEntries(SETTINGS.filter((name) => all[name] !== undefined).map((name) => [name, all[name]]))),
  });
}

module.exports = { POLICY_NAMES, parse, seatsFor, workers };
