'use strict';

/** The files of a run: one JSON and one SVG for each part. */

const fs = require('node:fs');
const path = require('node:path');
const { drawing } = require('./svg.js');
const { machine } = require('./machine.js');

/**
 * @typedef {object} Done
 * @property {import('./experiment.js').Experiment} experiment
 * @property {import('./experiment.js').Outcome} outcome
 * @property {import('./judge.js').Verdict[]} verdicts
 */

/**
 * @param {string} folder
 * @param {string} part
 * @param {Done[]} done
 * @param {{ rounds: number, quick: boolean, busy_before: number }} run
 * @returns {string[]} the paths that were written
 */
function writeResults(folder, part, done, run) {
  fs.mkdirSync(folder, { recursive: true });
  const here = machine();
  const experiments = done.map(({ experiment, outcome, verdicts }) => {
    const { name, about, metrics } = experiment;
    return { name, about, metrics, targets: verdicts, ...outcome };
  });
  const json = path.join(folder, `${part}.json`);
  const date = new Date().toISOString().slice(0, 10);
  fs.writeFileSync(json, `${JSON.stringify({ part, date, machine: here, ...run, experiments }, null, 1)}\n`);
  const caption = `${part}: median of ${run.rounds} alternating rounds, line from lowest to highest. ${here.cores} cores, ${here.cpu}, ${here.kernel}, Node ${here.node}`;
  const picture = drawing(done, caption);
  if (!picture) return [json];
  const svg = path.join(folder, `${part}.svg`);
  fs.writeFileSync(svg, picture);
  return [json, svg];
}

module.exports = { writeResults };
