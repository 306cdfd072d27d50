'use strict';

// A system call that fails once: what comes later is answered, nobody spins, messages pass, and a worker that was given up was
// reported. scripts/soak/faults.js tries more of them.

const { quick } = require('../scripts/soak/faults/list');
const { canTrace, tryOut } = require('../scripts/soak/faults/trial');

const reason = canTrace();
const LONG = 60_000;

for (const fault of quick) {
  const { where, call, error, when } = fault;
  const name = `${where}: ${call} fails with ${error}, the ${when}nd time`;
  (reason ? test.skip : test)(reason ? `${name} (${reason})` : name, async () => {
    const { reasons } = await tryOut(fault);
    expect(reasons).toEqual([]);
  }, LONG);
}
