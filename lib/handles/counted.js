'use strict';

// Who counts the connections of a worker's servers (worker/servers/counts.js), and has to look when `net` tells nobody.

/** @type {WeakMap<object, () => void>} */
const counted = new WeakMap();

module.exports = { counted };
