'use strict';

// The end of what a process writes, for the case that it dies of it.

/** How much (characters) is kept. */
const LENGTH = 2000;

/**
 * Keeps the end of what the process writes to its standard streams, and tells it when the process ends.
 *
 * @param {(text: string) => void} tell
 * @returns {() => void} Stops.
 */
function keepTail(tell) {
  let tail = '';
  let kept = true;
  const undo = [process.stdout, process.stderr].map((stream) => {
    const before = stream.write;
    /** @type {any} */
    const write = function write(/** @type {any} */ chunk, /** @type {any[]} */ ...rest) {
      if (kept && (typeof chunk === 'string' || Buffer.isBuffer(chunk))) tail = (tail + chunk).slice(-LENGTH);
      return Reflect.apply(before, stream, [chunk, ...rest]);
    };
    stream.write = write;
    return () => {
      // Others may have put theirs on top of it.
      if (stream.write === write) stream.write = before;
    };
  });
  const onExit = () => tail && tell(tail);
  process.prependListener('exit', onExit);
  return () => {
    kept = false;
    process.off('exit', onExit);
    for (const one of undo) one();
  };
}

module.exports = { keepTail };
