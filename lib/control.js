'use strict';

// The messages between the two sides of rcluster: one row each, against which both sides check what they receive.
// docs/wire-format.md shows this table; a test compares them.

/** The longest text (characters) that is no nonsense: no address is so long, whatever a user gives `listen`. */
const LONGEST_TEXT = 1024 * 1024;
/** What is kept of a text that only people read. */
const LONGEST_WORDS = 64 * 1024;
/** What a proxy has said of a connection that moves (src/connection_queue.rs), characters. */
const LONGEST_SAID = 512;
/** Names of listeners, and of servers whose sockets were sent, are made of addresses. */
const LONGEST_KEY = LONGEST_TEXT + 1024;

/**
 * What a member may be. `simple` is what a user's own options become on their way: a text, a number, a boolean or nothing.
 * `words` are cut where they are too long. `data` only passes through: who passes it on looks at its size.
 *
 * @type {Record<string, (value: unknown) => boolean>}
 */
const TYPES = {
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
  key: (value) => typeof value === 'string' && value.length <= LONGEST_KEY,
  said: (value) => typeof value === 'string' && value.length <= LONGEST_SAID,
  words: (value) => typeof value === 'string',
  simple: (value) => (typeof value === 'string' ? value.length <= LONGEST_TEXT : typeof value !== 'object' || value === null),
  address: (value) => value === null || (typeof value === 'object' && !Array.isArray(value)),
  seat: (/** @type {any} */ value) => typeof value?.key === 'string' && typeof value.listener === 'number',
  data: () => true,
};

/**
 * @typedef {object} Row
 * @property {'worker' | 'primary' | 'both'} from Who may send it.
 * @property {Record<string, string>} [fields] Its members and their types; those of a name with `?` may be absent.
 * @property {boolean} [open] Whether it may have other members, each `simple`.
 * @property {'one' | 'maybe'} [descriptor] Whether a descriptor comes along.
 * @property {string} [answer] The message that answers it.
 * @property {boolean} [late] Whether it means something when the worker that sent it has died meanwhile.
 */

/** @type {Record<string, Row>} */
const MESSAGES = Object.freeze({
  // A worker's life.
  online: { from: 'worker', late: true },
  exitedAfterDisconnect: { from: 'worker', fields: { seq: 'number' }, answer: 'reply', late: true },
  disconnect: { from: 'primary' },
  // What it listens on.
  listen: { from: 'worker', fields: { seq: 'number', 'data?': 'data' }, open: true, answer: 'reply' },
  accepting: { from: 'worker', fields: { key: 'key' } },
  listening: { from: 'worker', open: true, late: true },
  close: { from: 'worker', fields: { key: 'key' }, late: true },
  disown: { from: 'worker', fields: { key: 'key' } },
  move: { from: 'worker', fields: { key: 'key', left: 'number', 'said?': 'said' }, descriptor: 'one', late: true },
  reply: {
    from: 'primary',
    fields: {
      seq: 'number',
      'errno?': 'number',
      'key?': 'key',
      'data?': 'data',
      'sockname?': 'address',
      'listener?': 'number',
      'backlog?': 'number',
      'seat?': 'seat',
    },
    descriptor: 'maybe',
  },
  adopt: { from: 'primary', fields: { key: 'key', left: 'number', 'said?': 'said' }, descriptor: 'one' },
  'seat-closed': { from: 'primary' },
  own: { from: 'primary', fields: { listener: 'number', backlog: 'number' }, descriptor: 'one' },
  // Sockets that were sent (handles/socket_lists.js).
  'count-sockets': { from: 'both', fields: { key: 'key', question: 'number' }, answer: 'socket-answer' },
  'await-sockets': { from: 'both', fields: { key: 'key', question: 'number' }, answer: 'socket-answer' },
  'socket-answer': { from: 'both', fields: { question: 'number', answer: 'number' } },
  // Under supervision (worker/leaving/supervised.js, supervisor/occupant.js).
  'own-listening': { from: 'both', fields: { 'addresses?': 'words' }, late: true },
  'last-words': { from: 'worker', fields: { text: 'words' }, late: true },
  crashing: { from: 'worker', fields: { text: 'words' }, late: true },
  'asked-to-leave': { from: 'worker', fields: { 'bySignal?': 'boolean' }, late: true },
  drained: { from: 'worker', fields: { moved: 'number', finished: 'number' }, late: true },
  ready: { from: 'primary' },
  drain: { from: 'primary', fields: { timeout: 'number', last: 'boolean' } },
  'last-call': { from: 'primary' },
  'nothing-comes': { from: 'primary' },
  // What the app counts itself (worker/app_metrics.js, supervisor/app_metrics.js): a text of JSON, or why there is none.
  'app-metrics': { from: 'primary', fields: { question: 'number' }, answer: 'app-metrics-answer' },
  'app-metrics-answer': { from: 'worker', fields: { question: 'number', 'text?': 'data', 'why?': 'words' } },
});

/**
 * What is wrong with a message; `undefined` when nothing is. Words that are too long are cut in place.
 *
 * @param {any} message
 * @param {'worker' | 'primary'} from Who has sent it.
 * @param {boolean} hasDescriptor
 * @returns {string | undefined}
 */
function problemOf(message, from, hasDescriptor) {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return 'a control message is no object';
  const { act, ...members } = message;
  if (typeof act !== 'string' || !Object.hasOwn(MESSAGES, act)) return 'a control message is unknown';
  const row = MESSAGES[act];
  if (row.from !== from && row.from !== 'both') return `"${act}" is not for it to say`;
  if (hasDescriptor ? row.descriptor === undefined : row.descriptor === 'one') return `"${act}" has a descriptor too many or too few`;
  const wrong = wrongMember(row, members);
  if (wrong !== undefined) return `"${wrong}" of "${act}" makes no sense`;
  for (const [field, type] of Object.entries(row.fields ?? {})) {
    const name = field.replace('?', '');
    if (type === 'words' && message[name] !== undefined) message[name] = message[name].slice(0, LONGEST_WORDS);
  }
  return undefined;
}

/**
 * @param {Row} row
 * @param {Record<string, unknown>} members
 * @returns {string | undefined} Its name.
 */
function wrongMember({ fields = {}, open = false }, members) {
  for (const [field, type] of Object.entries(fields)) {
    const name = field.replace('?', '');
    const absent = members[name] === undefined;
    if (absent ? name === field : !TYPES[type](members[name])) return name;
  }
  return Object.keys(members).find((name) => {
    if (Object.hasOwn(fields, name) || Object.hasOwn(fields, `${name}?`)) return false;
    return !open || !TYPES.simple(members[name]);
  });
}

module.exports = { LONGEST_SAID, MESSAGES, TYPES, problemOf };
