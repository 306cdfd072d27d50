'use strict';

/** Holds figures against the targets. */

const { figure } = require('./experiment.js');

/**
 * @typedef {object} Verdict
 * @property {string} text
 * @property {string} rival
 * @property {string} wanted
 * @property {number | null} measured  null when a figure is missing
 * @property {'ok' | 'MISS' | 'not measured'} verdict
 */

/**
 * @param {import('./experiment.js').Experiment} experiment
 * @param {import('./experiment.js').Outcome} outcome
 * @returns {Verdict[]}
 */
function judge(experiment, outcome) {
  return experiment.targets.map((target) => {
    const wanted = limit(target);
    const measured = measure(target, outcome);
    const { text, rival } = target;
    if (measured === null) return { text, rival, wanted, measured, verdict: 'not measured' };
    const met = measured >= (target.atLeast ?? -Infinity) && measured <= (target.atMost ?? Infinity);
    return { text, rival, wanted, measured, verdict: met ? 'ok' : 'MISS' };
  });
}

/**
 * @param {import('./experiment.js').Target} target
 * @param {import('./experiment.js').Outcome} outcome
 */
function measure({ rival, metric, of, againstRival = rival, againstMetric = metric }, outcome) {
  const own = figure(outcome, rival, metric)?.median;
  if (own === undefined) return null;
  if (of === 'value') return own;
  const other = figure(outcome, againstRival, againstMetric)?.median;
  if (other === undefined) return null;
  return of === 'ratio' ? own / other : own - other;
}

/** @param {import('./experiment.js').Target} target */
function limit({ atLeast, atMost, of }) {
  const sign = atLeast === undefined ? '≤' : '≥';
  const unit = of === 'ratio' ? ' ×' : '';
  const value = atLeast ?? atMost;
  return `${sign} ${of === 'difference' && value !== 0 ? '+ ' : ''}${value}${unit}`;
}

module.exports = { judge };
