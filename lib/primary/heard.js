'use strict';

// Whether anybody would hear a message of a worker: its process object has a listener of Node's that passes it on to the
// worker, and the worker has one of ours that passes it on to `cluster`.

/**
 * @param {import('node:events').EventEmitter} child
 * @param {any} worker That has just been made of it.
 * @param {import('node:events').EventEmitter} cluster
 * @returns {(isInternal: boolean) => boolean}
 */
function hears(child, worker, cluster) {
  const toWorker = child.listeners('message').at(-1);
  const toCluster = worker.listeners('message').at(-1);
  return (isInternal) => {
    if (isInternal) return child.listenerCount('internalMessage') > 0;
    const ofChild = child.listeners('message');
    if (ofChild.some((listener) => listener !== toWorker)) return true;
    if (ofChild.length === 0) return false;
    const ofWorker = worker.listeners('message');
    if (ofWorker.some((/** @type {any} */ listener) => listener !== toCluster)) return true;
    return ofWorker.length > 0 && cluster.listenerCount('message') > 0;
  };
}

module.exports = { hears };
