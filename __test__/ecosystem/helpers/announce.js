'use strict';

/**
 * Prints `listening on <port>` when so many servers of workers listen on it.
 *
 * @param {import('node:cluster').Cluster} cluster
 * @param {number} count
 */
module.exports = function announce(cluster, count) {
  let waiting = count;
  cluster.on('listening', (worker, { port }) => {
    if (--waiting === 0) console.log(`listening on ${port}`);
  });
};
