'use strict';

/**
 * Measures rcluster beside Node's own cluster module: `node bench/run.js --help`, and bench/README.md for what each
 * figure means.
 */

const path = require('node:path');
const detect = require('./lib/detect.js');
const { build } = require('./lib/build.js');
const { allRivals } = require('./lib/rivals.js');
const { parseOptions } = require('./lib/options.js');
const { runExperiment } = require('./lib/experiment.js');
const { judge } = require('./lib/judge.js');
const { figuresTable, targetsTable } = require('./lib/table.js');
const { writeResults } = require('./lib/results.js');
const { machine, busy } = require('./lib/machine.js');

const PARTS = ['connections', 'latency', 'scale', 'held', 'many', 'messages', 'handles', 'fork', 'memory', 'idle', 'counters', 'proxied', 'manager-logs'];

const HELP = `node bench/run.js [part ...] [--rounds 5] [--quick] [--rivals "node rr,rcluster rr"] [--before checkout] [--out folder]

node bench/run.js manager [rounds]     the process manager, beside PM2

parts    ${PARTS.join(', ')}; default: all
--rounds how many alternating rounds, default 5
--quick  2 short rounds, for a first look; results go to bench/results/quick
--rivals only these
--before another checkout of rcluster, built, which takes part as "before rr" and so on
--out    where the JSON and SVG files go, default bench/results`;

/** One line that is overwritten on a terminal, and left out elsewhere. */
function progress(/** @type {string} */ text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/**
 * @param {string} part
 * @param {import('./lib/experiment.js').Context} context
 * @returns {Promise<import('./lib/results.js').Done[]>}
 */
async function runPart(part, context) {
  const done = [];
  for (const experiment of require(`./parts/${part}.js`)) {
    try {
      const outcome = await runExperiment(experiment, context, progress);
      done.push({ experiment, outcome, verdicts: judge(experiment, outcome) });
      progress('');
      print(done[done.length - 1]);
    } catch (error) {
      progress('');
      console.log(`\n${experiment.name}: not measured: ${/** @type {Error} */ (error).message}`);
    }
  }
  return done;
}

/** @param {import('./lib/results.js').Done} done */
function print({ experiment, outcome, verdicts }) {
  console.log(`\n## ${experiment.name}\n${experiment.about}\n\n${figuresTable(experiment, outcome)}\n`);
  console.log(targetsTable(verdicts));
  for (const [rival, errors] of Object.entries(outcome.errors)) {
    console.log(`\n  ${rival} failed ${errors.length} times, first with: ${errors[0]}`);
  }
}

async function main() {
  if (process.argv[2] === 'manager') return require('./manager/run.js').main(process.argv.slice(3));
  const options = parseOptions(process.argv.slice(2), PARTS);
  if (options.help) return console.log(HELP);
  const { policies, reason } = await detect.rcluster();
  if (reason) console.log(`rcluster is left out: ${reason}`);
  const found = { policies, reusePort: await detect.reusePort() };
  if (!found.reusePort) console.log('reusePort listens are left out: this Node does not have them');
  const rivals = allRivals(found, options.before).filter(({ id }) => options.rivals.length === 0 || options.rivals.includes(id));
  const { cores, cpu, kernel, node } = machine();
  console.log(`${cores} cores, ${cpu}, ${kernel}, Node ${node}, ${options.rounds} rounds`);
  const { rounds, quick } = options;
  const others = busy();
  if (others > 0.5) console.log(`the machine is busy (load average ${others.toFixed(1)}): expect figures that scatter`);
  const programs = build();
  // Each Node reads these certificates when it starts, for nothing of this: that would make all starts look alike.
  delete process.env.NODE_EXTRA_CA_CERTS;
  const context = {
    rounds,
    quick,
    rivals,
    programs,
    seconds: (/** @type {number} */ seconds) => (quick ? seconds / 4 : seconds),
  };
  for (const part of options.parts) {
    const done = await runPart(part, context);
    const files = done.length > 0 ? writeResults(options.out, part, done, { rounds, quick, busy_before: others }) : [];
    for (const file of files) console.log(`  → ${path.relative(process.cwd(), file)}`);
  }
  return undefined;
}

main().catch((error) => {
  console.error(`bench: ${error.message}`);
  process.exitCode = 2;
});
