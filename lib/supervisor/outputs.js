'use strict';

// Pipes of a worker's own for what it writes. Their other ends go to the keeper that has started us, which thus knows which worker has written
// what, and reads on when we have died.

const { load } = require('../native.js');

/** How long (ms) until ends that the keeper could not take are passed on again. */
const AGAIN = 100;

/**
 * What a worker is started with.
 *
 * @typedef {object} Wires
 * @property {('inherit' | 'ipc' | number)[]} stdio
 * @property {import('../primary/port.js').ShowBoard} showBoard The keeper reads how it is from its board: whatever hangs by then, nobody is asked.
 * @property {(pid: number | undefined) => void} started Must be called afterwards; without a number when nothing has been started.
 */

/**
 * @param {import('./service_manager.js').Manager} manager
 * @returns {((seat: number) => Wires | undefined) | undefined} Nothing where nobody wants to read them.
 */
function workerOutputs({ NOTIFY_SOCKET: address, RCLUSTER_READS: streams }) {
  if (!address || streams === undefined) return undefined;
  return (seat) => {
    /** @type {Wires['stdio']} */
    const stdio = ['inherit', 'inherit', 'inherit', 'ipc'];
    const pipes = [...streams].flatMap((stream) => {
      const ends = load().newPipe();
      return ends ? [{ stream, read: ends[0], write: ends[1] }] : [];
    });
    // When descriptors have run out it writes where we do.
    for (const { stream, write } of pipes) stdio[Number(stream)] = write;
    return {
      stdio,
      // One that could not be sent, as too much is on the way, is missed by nobody but those who want to see its numbers.
      showBoard: (link, pid) => void link.sendBoard(address, `RCLUSTER_BOARD=${seat} ${pid}`),
      started(pid) {
        for (const { write } of pipes) load().closeFd(write);
        const names = pipes.map(({ stream }) => stream).join('');
        passOn(address, pid === undefined ? undefined : `RCLUSTER_OUTPUT=${seat} ${pid} ${names}`, pipes.map(({ read }) => read));
      },
    };
  };
}

/**
 * @param {string} address
 * @param {string | undefined} text
 * @param {number[]} fds
 */
function passOn(address, text, fds) {
  if (fds.length === 0) return;
  // What the worker writes meanwhile waits in its pipes.
  if (text !== undefined && load().notify(address, text, fds) < 0) setTimeout(passOn, AGAIN, address, text, fds).unref();
  else for (const fd of fds) load().closeFd(fd);
}

module.exports = { workerOutputs };
