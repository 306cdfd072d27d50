'use strict';

// How long connections of HTTP servers may stay idle, where the command says so and the program does not.

/** What Node's servers have by themselves, ms. @type {number | undefined} */
let byDefault;

/**
 * @param {any} server Of any kind.
 * @param {number} time ms
 */
function keepAliveFor(server, time) {
  if (typeof server.keepAliveTimeout !== 'number') return;
  byDefault ??= new (require('node:http').Server)().keepAliveTimeout;
  if (server.keepAliveTimeout === byDefault) server.keepAliveTimeout = time;
}

module.exports = { keepAliveFor };
