'use strict';

// Starting a worker: its process, and the primary's end of the channel to it.

const { MessageChannel } = require('../channel/channel.js');
const { errnoOf } = require('../errors.js');
const { load } = require('../native.js');
const { WIRE } = require('../wire.js');
const { LinkError, spawnWorker } = require('./spawn.js');
// When descriptors have run out nothing can be loaded any more.
const { closedChannel, unmadeProcess } = require('./unmade.js');

const { stringify } = JSON;

/**
 * The primary's end of the channel to a process, and what is made of it.
 *
 * @typedef {{ channel: MessageChannel, worker: any, isHeard: (isInternal: boolean) => boolean }} Opened
 */

/**
 * @typedef {object} Ears Who hears what comes over a channel, once it is known whose it is.
 * @property {(worker: any, message: any, fd: number) => void} onControl
 * @property {(worker: any, error: Error) => void} onMalformed
 */

/**
 * Somebody else reads the board of this process as well.
 *
 * @typedef {(link: import('../native-types').Link, pid: number) => void} ShowBoard
 */

/**
 * @param {any} settings
 * @param {NodeJS.ProcessEnv | undefined} env
 * @param {number} id
 * @param {object | undefined} supervised
 * @param {Ears} ears
 * @param {ShowBoard} [showBoard]
 * @returns {{ process: any, link?: import('../native-types').Link, opened?: Opened }} Without a link when descriptors have run
 *   out: the process emits `error` then.
 */
function startProcess(settings, env, id, supervised, ears, showBoard) {
  let started;
  try {
    started = spawnWorker(settings, env, id, (child, link, advanced) => {
      if (child.pid !== undefined) showBoard?.(link, child.pid);
      return openChannel(child, link, stringify({ wire: WIRE, version: load().version(), id, advanced, supervised: supervised ?? null }), advanced, id, ears);
    });
  } catch (error) {
    if (error instanceof LinkError) return { process: unmadeProcess(errnoOf(error.cause)) };
    throw error;
  }
  const { process: child, link, opened } = started;
  // Without descriptors Node does not even set its streams.
  if (child.pid !== undefined || child.stdio !== undefined) return started;
  link.close();
  opened.channel.abandon();
  return { process: Object.assign(child, closedChannel(child)) };
}

/**
 * Opens the channel to a process that has just been started. Whether it is a worker is known when `fork` returns.
 *
 * @param {any} child
 * @param {import('../native-types').Link} link
 * @param {string} hello The first that it hears.
 * @param {boolean} advanced
 * @param {number} id
 * @param {Ears} ears
 */
function openChannel(child, link, hello, advanced, id, { onControl, onMalformed }) {
  /** @type {Opened} */
  const opened = { channel: /** @type {any} */ (undefined), worker: undefined, isHeard: () => child.listenerCount('message') > 0 };
  opened.channel = new MessageChannel(child, (onEvent) => link.channel(hello, onEvent), {
    advanced,
    inWorker: false,
    onControl(message, fd) {
      if (opened.worker) onControl(opened.worker, message, fd);
      else if (fd >= 0) load().closeForeign(fd);
    },
    isHeard: (isInternal) => opened.isHeard(isInternal),
    onMalformed(error) {
      if (opened.worker) onMalformed(opened.worker, error);
      else process.emitWarning(`Worker ${id}: ${error.message}`, { code: 'ERR_RCLUSTER_MALFORMED_MESSAGE' });
    },
  });
  return opened;
}

module.exports = { startProcess };
