'use strict';

// What is tried, and how much of each thing it may cost. What the worker does is in __test__/fixtures/hostile/src/attacks/.

const { spawnSync } = require('node:child_process');

/** As in lib/policies.js. */
const POLICY = Object.freeze({ none: 1, roundRobin: 2, least: 3, sticky: 4, reuseport: 5 });

/**
 * @typedef {object} Limits
 * @property {number} gap ms in which nobody is answered
 * @property {number} share the least part of the rate before that is left
 * @property {number} delay ms of the longest turn of the primary's event loop
 * @property {number} mib what the primary may have more of while the worker lives
 * @property {number} mibAfter the same once it is dead
 * @property {number} fds descriptors that the primary may have more of while the worker lives
 * @property {number} lost the part of the requests that may fail while it lives: those that it has got itself
 * @property {number} least the least number of requests that the siblings have to answer while it lives
 */

/**
 * - `gap`, `delay`: so long a busy machine with two processors keeps six processes waiting now and then; what stands longer stood for
 *   as long as the attack.
 * - `share`: who floods the primary has a processor of two, and the clients need some of the other.
 * - `mib`: frames of 32 MiB under way, and what V8 has not collected yet; `mibAfter`: what the C library keeps of that.
 * - `fds`: 1,024 connections that one worker has given back, and as many descriptors as frames may announce.
 * - `lost`: a request or two that were under way when it began.
 *
 * @type {Limits}
 */
const LIMITS = Object.freeze({ gap: 1000, share: 0.1, delay: 1000, mib: 400, mibAfter: 150, fds: 1500, lost: 0.02, least: 20 });

/**
 * Who takes part in what the others serve costs those that it gets: with two others each third one, or half while another is busy.
 * Each of them keeps its client for 1.5 s, in which that one does not ask: few requests a second are left of thousands.
 */
const TAKES_PART = { lost: 0.6, share: 0.02 };

/**
 * @typedef {object} Settings
 * @property {number} [policy]
 * @property {boolean} [supervised] whether the worker has a supervisor
 * @property {boolean} [stays] whether its channel outlives it, and with it its place in the list, as in Node
 * @property {Partial<Limits>} [limits]
 * @property {boolean} [drops] whether packets to its own socket are dropped, the first ones of connections too
 * @property {boolean} [noticed] whether the primary has to tell of it: by `error` on the worker, or by a warning
 */

/** By the beginning of an attack's name; of several the longest counts. @type {Record<string, Settings>} */
const SETTINGS = {
  '': {},
  'linger-given-back': { limits: TAKES_PART },
  'linger-move': { limits: TAKES_PART },
  'queue-': { limits: TAKES_PART },
  'queue-flood-of-nonsense': { limits: TAKES_PART, noticed: true },
  // They take nothing, so that all of theirs comes to the others.
  'queue-pass': { limits: { share: 0.02, lost: 0 } },
  'queue-peek': { limits: { share: 0.02, lost: 0 } },
  'queue-sent': { limits: { share: 0.02, lost: 0 } },
  'queue-shutdown': { limits: TAKES_PART, noticed: true },
  'queue-same': { limits: TAKES_PART, noticed: true },
  'descriptors-': {},
  'descriptors-with': { noticed: true },
  'descriptors-in-an': { noticed: true },
  'descriptors-promised': { noticed: true },
  // A text that long is a message like any other: it may be received, and has to be forgotten.
  'frames-of-text': { limits: { mib: 2500 } },
  'frame-of-': { noticed: true },
  'frame-deep': { noticed: true },
  'frame-joined': {},
  // A user's message may be that long; V8 parses one of 100 MB without interruption for seconds, with the built-in as well.
  'frame-alone': { limits: { mib: 1500, delay: 8000, gap: 2500 } },
  'advanced-': { noticed: true },
  // More than any program listens on, and less than it takes to be in want of descriptors.
  'listen-20000': { noticed: true, limits: { fds: 10_500 } },
  'channel-closed': { limits: TAKES_PART },
  'channel-garbage': { noticed: true },
  'channel-kept': { limits: TAKES_PART, stays: true },
  'queue-kept': { limits: TAKES_PART, stays: true },
  'own-kept': { policy: POLICY.reuseport, limits: TAKES_PART, stays: true },
  'supervised-': { supervised: true },
  'channel-shutdown-read': { limits: TAKES_PART },
  'answers-unread': { noticed: true },
  // On a busy machine so few questions are read in its time that their answers may wait.
  'answers-unread-of-listen': {},
  'control-exited': { limits: TAKES_PART },
  // Only servers with a socket of their own take what is moved.
  'control-flood-move': { policy: POLICY.none, limits: TAKES_PART },
  'control-flood-accepting': { limits: TAKES_PART },
  'control-move': { limits: TAKES_PART },
  'handle-own': { limits: TAKES_PART },
  'own-': { policy: POLICY.reuseport, limits: TAKES_PART },
  'own-filter': { policy: POLICY.reuseport, limits: TAKES_PART, drops: true },
  'own-minimum': { policy: POLICY.reuseport, limits: TAKES_PART, drops: true },
  // What it does not accept is accepted for it.
  'own-never': { policy: POLICY.reuseport },
  'own-steers': { policy: POLICY.reuseport },
  'board-': { limits: TAKES_PART },
  'board-least': { policy: POLICY.least, limits: TAKES_PART },
};

/**
 * @param {string} name
 * @returns {{ name: string, policy: number, limits: Limits, noticed: boolean, supervised: boolean, stays: boolean, drops: boolean }}
 */
function describe(name) {
  const prefix = Object.keys(SETTINGS).filter((known) => name.startsWith(known)).sort((a, b) => b.length - a.length)[0];
  const { policy = POLICY.roundRobin, limits, ...settings } = SETTINGS[prefix];
  return { noticed: false, supervised: false, stays: false, drops: false, ...settings, name, policy, limits: { ...LIMITS, ...limits } };
}

/**
 * @param {string} binary the hostile worker, which knows the names
 * @returns all attacks
 */
function list(binary) {
  const { stdout } = spawnSync(binary, { encoding: 'utf8' });
  return stdout.trim().split('\n').map(describe);
}

module.exports = { POLICY, describe, list };
