'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { request } = require('./http');

/** Pause (ms) after something has failed. */
const PAUSE = 5;
/** What ends the clients of a test that has failed. @type {(() => void)[]} */
const running = [];

if (typeof afterEach === 'function') afterEach(() => running.splice(0).forEach((stop) => stop()));

/**
 * Clients that connect anew for each request, until they are stopped, or the test is over.
 *
 * @param {number | string} where A port, or the path of a Unix socket.
 * @param {number} count
 */
function load(where, count) {
  const result = { answered: 0, cut: 0, refused: 0, other: /** @type {string[]} */ ([]), longest: 0 };
  let on = true;
  const one = async () => {
    while (on) {
      const began = performance.now();
      try {
        const { status } = await request(where);
        if (status === 200) result.answered++;
        else result.other.push(`${status}`);
      } catch (error) {
        const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
        if (code === 'ECONNREFUSED') result.refused++;
        else if (code === 'ECONNRESET') result.cut++;
        else result.other.push(code ?? message);
        await sleep(PAUSE);
      }
      result.longest = Math.max(result.longest, Math.round(performance.now() - began));
    }
  };
  running.push(() => {
    on = false;
  });
  const clients = Array.from({ length: count }, one);
  return {
    result,
    async stop() {
      on = false;
      await Promise.all(clients);
      return result;
    },
  };
}

module.exports = { load };
