'use strict';

// A worker that speaks the wire format itself, beside two honest ones that serve: the primary and the siblings serve on, what it
// may cost is bounded, and when it is dead nothing of it is left. scripts/soak/hostile.js tries all that it can do.

const { describe: attackOf } = require('../../scripts/soak/hostile/attacks');
const { buildHostile } = require('../../scripts/soak/hostile/build');
const { judge } = require('../../scripts/soak/hostile/judge');
const { QUICK, tryOut } = require('../../scripts/soak/hostile/trial');

/** How long (ms) one may take. */
const LONG = 60_000;

/**
 * A test for each of them.
 *
 * @param {string[]} names of attacks
 */
function tryEach(names) {
  let binary = '';
  beforeAll(() => void (binary = buildHostile()), 5 * LONG);
  for (const name of names) {
    test(name, async () => {
      const attack = attackOf(name);
      const figures = await tryOut(attack, binary, undefined, QUICK);
      expect([judge(figures, attack), figures.ended]).toEqual([[], []]);
    }, LONG);
  }
}

module.exports = { LONG, tryEach };
