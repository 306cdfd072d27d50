'use strict';

// The listening socket of a server that other workers have, too.

/**
 * Tells when it is closed.
 *
 * @param {any} raw
 * @param {() => void} onClose Called once.
 * @returns {() => void} Stops it: nothing new comes. It can be closed still.
 */
function watchClose(raw, onClose) {
  const { close } = raw;
  let open = true;
  raw.close = (/** @type {any[]} */ ...args) => {
    if (open) {
      open = false;
      onClose();
    }
    return Reflect.apply(close, raw, args);
  };
  // Replies to datagrams are still to be sent.
  return () => (raw.recvStop ? raw.recvStop() : Reflect.apply(close, raw, []));
}

/**
 * Calls `begin` with what hands each connection over. `net` has said what that is. Not by an accessor: V8 would take all
 * properties of the handle for slow ones.
 *
 * @param {any} raw
 * @param {(handOver: () => void) => void} begin
 */
function observeConnections(raw, begin) {
  const { onconnection } = raw;
  // A datagram socket has none, nor has a server that was closed before it could listen.
  if (!onconnection) return;
  raw.onconnection = (/** @type {any[]} */ ...args) => begin(() => Reflect.apply(onconnection, raw, args));
}

module.exports = { observeConnections, watchClose };
