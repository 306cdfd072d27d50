'use strict';

// What stands in for the listening socket of a server that gets its connections from the queue.

/**
 * @param {object} options
 * @param {object | null} options.sockname What it is bound to. Unix sockets have none.
 * @param {(change: 1 | -1) => void} options.onReference One server more, or one fewer, wants the process to live.
 * @param {() => void} options.onClose
 * @returns {any}
 */
function standIn({ sockname, onReference, onClose }) {
  let open = true;
  let referenced = false;
  const setReferenced = (/** @type {boolean} */ wanted) => {
    if (wanted === referenced || !open) return;
    referenced = wanted;
    onReference(wanted ? 1 : -1);
  };
  /** @type {any} */
  const handle = {
    listen: () => 0,
    ref: () => setReferenced(true),
    unref: () => setReferenced(false),
    hasRef: () => referenced,
    close: (/** @type {unknown} */ done) => {
      if (open) {
        setReferenced(false);
        open = false;
        onClose();
      }
      if (typeof done === 'function') process.nextTick(done);
    },
  };
  if (sockname) {
    handle.getsockname = (/** @type {object} */ out) => {
      if (open) Object.assign(out, sockname);
      return 0;
    };
  }
  handle.ref();
  return handle;
}

module.exports = { standIn };
