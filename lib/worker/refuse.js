'use strict';

// A worker that does not join its primary, as they would not understand each other.

const fs = require('node:fs');

const { FRAME } = require('../channel/kinds.js');
const { ours } = require('../errors.js');
const { load } = require('../native.js');

/**
 * Says why to whoever reads its output and, as a supervised worker's last words, to its primary; and ends.
 *
 * @param {import('../native-types').WorkerSide} side
 * @param {{ version?: unknown }} hello What the primary has said of itself; nothing, if it is of a time before it said anything.
 * @returns {never}
 */
function refuse(side, { version }) {
  const theirs = typeof version === 'string' ? version : 'an earlier version';
  const { code, message } = ours(
    'ERR_RCLUSTER_VERSION',
    `This worker has loaded rcluster ${load().version()}, its primary runs ${theirs}, and they do not understand each other: upgrade the primary (start it anew)`,
  );
  const words = `${message} [${code}]`;
  try {
    fs.writeSync(2, `${words}\n`);
  } catch {
    // Whoever read it is gone.
  }
  const text = JSON.stringify({ act: 'last-words', text: words });
  side.channel(() => {}).writeText(FRAME.control, text, text.length);
  process.exit(1);
}

module.exports = { refuse };
