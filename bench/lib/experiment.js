'use strict';

/**
 * One experiment: the same measurement of several rivals in alternating rounds (A B C A B C …), so that whatever
 * else the machine does, and however it warms up, meets all of them alike. Where the servers of a round can wait
 * for each other, they alternate within the round as well, in slices of less than a second.
 */

const { summarize } = require('./stats.js');

/** @typedef {import('./rivals.js').Rival} Rival */

/**
 * @typedef {object} Context
 * @property {boolean} quick
 * @property {number} rounds
 * @property {{ load: string, floor: string }} programs
 * @property {Rival[]} rivals  those that exist here
 * @property {(seconds: number) => number} seconds  shortens a duration in a quick run
 */

/**
 * @typedef {object} Metric
 * @property {string} title
 * @property {string} unit
 * @property {number} [digits]  behind the point; default 0
 * @property {boolean} [chart]  whether it gets bars in the picture
 */

/**
 * One line of the table of targets: a metric of one rival, by itself, as a ratio or as a difference to another
 * rival's, or to another metric of its own.
 * @typedef {object} Target
 * @property {string} text
 * @property {string} rival
 * @property {string} metric
 * @property {'value' | 'ratio' | 'difference'} of
 * @property {string} [againstRival]  default: the same rival
 * @property {string} [againstMetric]  default: the same metric
 * @property {number} [atLeast]
 * @property {number} [atMost]
 */

/**
 * The metrics' numbers by their key, and anything raw beside them. `problems` says what could not be measured.
 * @typedef {Record<string, unknown> & { problems?: string[] }} Sample
 */

/**
 * @typedef {object} Experiment
 * @property {string} name
 * @property {string} about  one sentence
 * @property {(rival: Rival) => boolean} takesPart
 * @property {() => Rival[]} [rivals]  where it is not the usual ones that are compared
 * @property {Record<string, Metric>} metrics
 * @property {Target[]} targets
 * @property {string} [reference]  the rival that ratios in the table refer to
 * @property {(context: Context) => Promise<unknown>} [prepare]  what all rounds share
 * @property {(rival: Rival, context: Context, round: number, shared: any) => Promise<Sample> | AsyncGenerator<void, Sample>} measure
 *   one round of one rival. A generator lets the others have their turn at each `yield`
 */

/**
 * @typedef {object} Outcome
 * @property {Record<string, Sample[]>} samples  by rival, in the order of the rounds
 * @property {Record<string, string[]>} errors  by rival
 * @property {unknown} shared
 */

/**
 * @param {Experiment} experiment
 * @param {Context} context
 * @param {(text: string) => void} progress
 * @returns {Promise<Outcome>}
 */
async function runExperiment(experiment, context, progress) {
  const rivals = (experiment.rivals?.() ?? context.rivals).filter(experiment.takesPart);
  const shared = await experiment.prepare?.(context);
  /** @type {Outcome} */
  const outcome = { samples: {}, errors: {}, shared };
  for (const { id } of rivals) outcome.samples[id] = [];
  for (let round = 1; round <= context.rounds; round++) {
    let measuring = rivals.map((rival) => ({ rival, steps: steps(() => experiment.measure(rival, context, round, shared)) }));
    while (measuring.length > 0) {
      const goOn = [];
      for (const one of measuring) {
        progress(`${experiment.name}: round ${round} of ${context.rounds}, ${one.rival.id}`);
        if (await step(one, outcome)) goOn.push(one);
      }
      measuring = goOn;
    }
  }
  return outcome;
}

/**
 * @param {() => ReturnType<Experiment['measure']>} measure
 * @returns {AsyncGenerator<void, Sample>} begins when it is asked for its first step
 */
async function* steps(measure) {
  const measured = measure();
  return Symbol.asyncIterator in measured ? yield* measured : await measured;
}

/**
 * One step of one rival.
 * @param {{ rival: Rival, steps: AsyncGenerator<void, Sample> }} one
 * @param {Outcome} outcome
 * @returns {Promise<boolean>} whether there are more
 */
async function step({ rival, steps: itsSteps }, outcome) {
  try {
    const { done, value } = await itsSteps.next();
    if (!done) return true;
    const { problems, ...sample } = value;
    outcome.samples[rival.id].push(sample);
    for (const problem of problems ?? []) note(outcome, rival.id, problem);
  } catch (error) {
    // One rival that fails must not take the others' figures with it.
    note(outcome, rival.id, String(/** @type {Error} */ (error).message ?? error));
  }
  return false;
}

/**
 * @param {Outcome} outcome
 * @param {string} rival
 * @param {string} problem
 */
function note(outcome, rival, problem) {
  (outcome.errors[rival] ??= []).push(problem);
}

/**
 * @param {Outcome} outcome
 * @param {string} rival
 * @param {string} metric
 * @returns {import('./stats.js').Summary | undefined} undefined when there is no such figure
 */
function figure(outcome, rival, metric) {
  const values = (outcome.samples[rival] ?? [])
    .map((sample) => sample[metric])
    .filter((value) => typeof value === 'number' && Number.isFinite(value));
  return values.length > 0 ? summarize(/** @type {number[]} */ (values)) : undefined;
}

module.exports = { runExperiment, figure };
