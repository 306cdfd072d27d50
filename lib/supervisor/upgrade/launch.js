'use strict';

// Starting another primary: beside the one that runs, or for one that we have left the service to.

const { spawn } = require('node:child_process');

const { load } = require('../../native.js');
const { Line } = require('./line.js');

/** Which descriptors the lines of a new primary are: to the one before it, and to whoever started that. */
const VARIABLE = 'RCLUSTER_UPGRADE';
const FIRST_FD = 3;

/** Node's own: which descriptor its message channel is. */
const CHANNEL = 'NODE_CHANNEL_FD';

/** @typedef {{ code: number | null, signal: NodeJS.Signals | null, error?: Error }} End */

/**
 * @typedef {object} Launched
 * @property {number | undefined} pid
 * @property {(how: End) => void} onExit Set by whoever launches.
 * @property {(signal: NodeJS.Signals) => void} kill
 */

/**
 * @param {import('./origin.js').Origin} origin
 * @param {NodeJS.ProcessEnv} env
 * @param {readonly number[]} inherited Descriptors that it has under the same numbers.
 * @param {readonly number[]} lines Ends of lines; they stay open here.
 * @param {number} [channel] The end of its message channel; it stays open here.
 * @returns {Launched}
 */
function launch({ file, argv0, args, cwd }, env, inherited, lines, channel) {
  /** @type {('inherit' | 'ignore' | number)[]} */
  const stdio = ['inherit', 'inherit', 'inherit'];
  for (const fd of inherited) stdio[fd] = fd;
  const places = [];
  const ends = channel === undefined ? lines : [...lines, channel];
  for (let place = FIRST_FD; places.length < ends.length; place++) {
    if (stdio[place] !== undefined) continue;
    stdio[place] = ends[places.length];
    places.push(place);
  }
  for (let place = 0; place < stdio.length; place++) stdio[place] ??= 'ignore';
  const variables = { ...env, [VARIABLE]: places.slice(0, lines.length).join(':'), [CHANNEL]: channel === undefined ? undefined : `${places.at(-1)}` };
  const child = spawn(file, args, { argv0, cwd, env: variables, stdio });
  /** @type {Launched} */
  const launched = { pid: child.pid, onExit: () => {}, kill: (signal) => void child.kill(signal) };
  child.once('error', (error) => child.pid === undefined && launched.onExit({ code: null, signal: null, error }));
  child.once('exit', (code, signal) => launched.onExit({ code, signal }));
  return launched;
}

/**
 * The two ends of a line.
 *
 * @returns {[number, number]}
 */
function pair() {
  const ends = load().packetPair();
  if (!ends) throw new Error('there are no file descriptors left');
  return [ends[0], ends[1]];
}

/**
 * The lines of a process that was started for an upgrade. Nobody else shall think that they are its own.
 *
 * @param {NodeJS.ProcessEnv} env
 * @returns {Line[]} Those to the old primary and, unless that is the same, to its parent.
 */
function takeLines(env) {
  const value = env[VARIABLE];
  delete env[VARIABLE];
  if (!value || !/^\d+(?::\d+)?$/.test(value)) return [];
  return value.split(':').map((fd) => new Line(Number(fd)));
}

module.exports = { launch, pair, takeLines };
