'use strict';

// Counts the requests of HTTP servers on the board, where the supervisor was asked to: how many, how many failed, how long they took.

const diagnostics = require('node:diagnostics_channel');

const { BOUNDS } = require('../stats.js');

/** Where they are on the board. */
const COUNTED = 0;
const REQUESTS = 1;
const ERRORS = 2;
const SUM = 3;
const BUCKETS = 4;

/** When a request has come: on its response, as a look into a map would cost more than all the rest. */
const BEGAN = Symbol('rcluster.began');

/** @param {Float64Array} board */
function countRequests(board) {
  board[COUNTED] = 1;
  // Named as Node names what it publishes: when the headers have been read, and when all of a response has been given to the kernel.
  diagnostics.subscribe('http.server.request.start', (message) => {
    board[REQUESTS]++;
    /** @type {any} */ (message).response[BEGAN] = performance.now();
  });
  diagnostics.subscribe('http.server.response.finish', (message) => {
    const { response } = /** @type {any} */ (message);
    const time = performance.now() - response[BEGAN];
    // One that had begun before is none of ours.
    if (!(time >= 0)) return;
    if (response.statusCode >= 500) board[ERRORS]++;
    board[SUM] += time;
    let bucket = 0;
    while (bucket < BOUNDS.length && time > BOUNDS[bucket]) bucket++;
    board[BUCKETS + bucket]++;
  });
}

module.exports = { countRequests };
