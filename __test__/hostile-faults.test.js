'use strict';

// A system call that fails once: what comes later is answered, nobody spins, messages pass, and a worker that was given up was
// reported. scripts/soak/faults.js tries more of them.

const { quick } = require('../scripts/soak/faults/list');
const { tryOut } = require('../scripts/soak/faults/trial');
const { testUnless } = require('./helpers/needs');
const { tracing } = require('./helpers/rights');

const traced = testUnless(tracing(), 'strace');
const LONG = 60_000;

for (const fault of quick) {
  const { where, call, error, when } = fault;
  traced(`${where}: ${call} fails with ${error}, the ${when}nd time`, async () => {
    const { reasons } = await tryOut(fault);
    expect(reasons).toEqual([]);
  }, LONG);
}
