'use strict';

// Hostile workers, one after the other, each beside two honest ones that serve, under a fresh primary.
//   node scripts/soak/hostile.js [--only pattern] [--package path] [--list]
//
// Prints for each attack what it did to the others and to the primary, and FAIL with the reasons when more than it may:
// the primary and the siblings serve on; what the worker may cost is bounded; when it is dead nothing of it is left. Exits with 1
// when one fails. `--package` tries another checkout.

const { parseArgs } = require('node:util');
const { list } = require('./hostile/attacks.js');
const { buildHostile } = require('./hostile/build.js');
const { clients } = require('./hostile/clients.js');
const { judge } = require('./hostile/judge.js');
const { tryOut } = require('./hostile/trial.js');

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, package: { type: 'string' }, list: { type: 'boolean', default: false } },
});

/** @param {import('./hostile/trial.js').Figures} figures */
function figuresOf({ before, during, after, costBefore, costMost, costAfter, siblings, cpuBeside, delay, noticed }) {
  const served = [before, during, after].map(({ answered, failed, ms }) => `${Math.round((answered / ms) * 1000)}${failed ? `(-${failed})` : ''}`);
  return [
    `answers/s ${served.join(' → ')}`,
    `slowest ${[before, during, after].map(({ longest }) => longest).join(' → ')} ms`,
    `gap ${during.gap} ms`,
    `fds ${costBefore.fds} → ${costMost.fds} → ${costAfter?.fds ?? '-'}`,
    `siblings' fds ${siblings.before} → ${siblings.most} → ${siblings.after}`,
    `MiB ${costBefore.mib} → ${costMost.mib} → ${costAfter?.mib ?? '-'}`,
    `idle ${cpuBeside} → ${costAfter?.cpu ?? '-'} %`,
    `loop ${delay} ms`,
    `told ${[...new Set(noticed)].join() || '-'}`,
  ].join('; ');
}

async function main() {
  const binary = buildHostile();
  const pattern = new RegExp(values.only ?? '');
  const chosen = list(binary).filter(({ name }) => pattern.test(name));
  if (values.list) {
    for (const { name } of [...chosen, ...clients.filter(({ name: other }) => pattern.test(other))]) console.log(name);
    return;
  }
  let failed = 0;
  /** @param {string} name @param {string[]} reasons @param {string} figures */
  const report = (name, reasons, figures) => {
    if (reasons.length > 0) failed++;
    console.log(`${reasons.length === 0 ? 'PASS' : 'FAIL'} ${name}: ${reasons.join('; ') || 'as it should be'}\n     ${figures}`);
  };
  for (const attack of chosen) {
    const figures = await tryOut(attack, binary, values.package);
    report(attack.name, judge(figures, attack), figuresOf(figures));
    for (const line of [...figures.ended.slice(1), ...figures.said].slice(0, 4)) console.log(`     | ${line.slice(0, 200)}`);
  }
  for (const client of clients.filter(({ name }) => pattern.test(name))) {
    const { reasons, figures } = await client.run(binary, values.package);
    report(client.name, reasons, figures);
  }
  console.log(`${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

main();
