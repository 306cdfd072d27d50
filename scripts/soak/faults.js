'use strict';

// System calls that fail once, in the primary or in a worker, under requests and messages: what comes later is answered, nobody
// spins, messages pass, and a worker that was given up was reported.
//   node scripts/soak/faults.js [--only pattern] [--package path] [--quick] [--list]
//
// `--only` is matched against `process call errno number`, such as `primary accept4 EINVAL 3`. Needs strace, and to be allowed to
// trace. Prints a line per fault; exits with 1 when one is not got over.

const { parseArgs } = require('node:util');
const { all, quick } = require('./faults/list.js');
const { canTrace, tryOut } = require('./faults/trial.js');

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    package: { type: 'string' },
    quick: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});

async function main() {
  const pattern = new RegExp(values.only ?? '');
  const chosen = (values.quick ? quick : all()).filter((fault) => pattern.test(nameOf(fault)));
  if (values.list) {
    for (const fault of chosen) console.log(nameOf(fault));
    return;
  }
  const reason = canTrace();
  if (reason) throw new Error(reason);
  let failed = 0;
  for (const fault of chosen) {
    const { reasons, injected, told } = await tryOut(fault, values.package);
    const word = reasons.length > 0 ? 'FAIL' : injected ? 'pass' : 'none';
    if (reasons.length > 0) failed++;
    console.log(`${word}  ${nameOf(fault).padEnd(44)} ${[...reasons, ...told.map((one) => `told: ${one}`)].join('; ')}`);
  }
  console.log(`${chosen.length} faults, ${failed} not got over ("none": the call was not made so often)`);
  process.exitCode = failed === 0 ? 0 : 1;
}

/** @param {import('./faults/list.js').Fault} fault */
function nameOf({ where, call, error, when }) {
  return `${where} ${call} ${error} ${when}`;
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
