'use strict';

// What workers and the primary say to each other (../control.js has the messages), at the primary's end.

const { MESSAGES } = require('../control.js');
const { load } = require('../native.js');
const { EVENTS: LIFE_EVENTS } = require('./life.js');

/**
 * More addresses than any program listens on in one worker: each costs the primary a descriptor. Where there are few descriptors,
 * a part of them, but not less than some program might need.
 */
const MOST_LISTENERS = 10_000;
const NEEDED_LISTENERS = 1024;
function mostListeners() {
  const share = load().descriptorShare();
  return Math.min(MOST_LISTENERS, Math.max(share, Math.min(NEEDED_LISTENERS, 4 * share)));
}

/** Messages that are events of a worker's life. The rest is a supervisor's. */
const EVENTS = new Set(LIFE_EVENTS.filter((event) => Object.hasOwn(MESSAGES, event) && MESSAGES[event].from === 'worker'));

/**
 * A message that makes sense.
 *
 * @param {import('./workers.js').Workers} workers
 * @param {any} worker
 * @param {any} message
 * @param {number} fd
 */
function onControl(workers, worker, message, fd) {
  try {
    if (EVENTS.has(message.act)) workers.happen(worker, message.act, { message, fd });
    else workers.tiesOf(worker).onControl(message);
  } finally {
    if (fd >= 0) load().closeForeign(fd);
  }
}

/**
 * A worker wants to listen.
 *
 * @param {import('./workers.js').Workers} workers
 * @param {any} worker
 * @param {any} message
 */
function onListen(workers, worker, message) {
  // A worker that is leaving gets no answer, as in Node.
  if (worker.exitedAfterDisconnect) return;
  const { listeners } = workers;
  const known = workers.tiesOf(worker);
  if (known.joined >= mostListeners()) {
    workers.giveUp(worker, `it listens on more than ${mostListeners()} addresses`, false);
    return;
  }
  const result = listeners.join(known, message, workers.policy);
  workers.hasNumber(worker);
  const reply = { act: 'reply', seq: message.seq, errno: result.errno };
  if (!('entry' in result)) {
    known.tell(reply);
    return;
  }
  const { key, accepted, id, data, backlog } = result.entry;
  if (!accepted) {
    known.tell({ ...reply, key, data }, id);
    return;
  }
  const seat = seatOf(listeners, listeners.seats.join(known, result.entry));
  const answer = { ...reply, key, data, sockname: listeners.address(result.entry), listener: id, backlog, ...(seat && { seat }) };
  listeners.withOwnSocket(known, result.entry, (fd) => void known.tell(answer, fd));
}

/**
 * What a worker has to know of the address of its seat.
 *
 * @param {import('./workers.js').Workers['listeners']} listeners
 * @param {import('./listeners.js').Entry | undefined} entry
 */
function seatOf(listeners, entry) {
  return entry && { key: entry.key, listener: entry.id, port: listeners.address(entry)?.port, path: entry.path };
}

module.exports = { onControl, onListen };
