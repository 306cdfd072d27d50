'use strict';

/** The tables on standard output. */

const { figure } = require('./experiment.js');

/**
 * @param {number} value
 * @param {number} [digits]
 * @returns {string}
 */
function number(value, digits = 0) {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/**
 * Lays out cells in columns: the first to the left, the others to the right.
 * @param {string[][]} rows
 * @returns {string}
 */
function columns(rows) {
  const widths = rows[0].map((_cell, i) => Math.max(...rows.map((row) => row[i].length)));
  const line = (/** @type {string[]} */ row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('   ').trimEnd();
  return rows.map((row) => `  ${line(row)}`).join('\n');
}

/**
 * A block for each metric, a line for each rival.
 * @param {import('./experiment.js').Experiment} experiment
 * @param {import('./experiment.js').Outcome} outcome
 * @returns {string}
 */
function figuresTable(experiment, outcome) {
  const blocks = Object.entries(experiment.metrics).map(([key, { title, unit, digits }]) => {
    const reference = experiment.reference && figure(outcome, experiment.reference, key)?.median;
    const rows = Object.keys(outcome.samples).flatMap((rival) => {
      const found = figure(outcome, rival, key);
      if (!found) return [];
      const ratio = reference ? `${number(found.median / reference, 2)} ×` : '';
      return [[rival, number(found.median, digits), `${number(found.min, digits)} – ${number(found.max, digits)}`, ratio]];
    });
    if (rows.length === 0) return '';
    const against = reference ? `against ${experiment.reference}` : '';
    return columns([[`${title}${unit && ` (${unit})`}`, 'median', 'min – max', against], ...rows]);
  });
  return blocks.filter(Boolean).join('\n\n');
}

/**
 * @param {import('./judge.js').Verdict[]} verdicts
 * @returns {string}
 */
function targetsTable(verdicts) {
  const rows = verdicts.map(({ text, rival, wanted, measured, verdict }) => {
    return [text, rival, wanted, measured === null ? '–' : number(measured, 2), verdict];
  });
  return columns([['target', 'of', 'wanted', 'measured', ''], ...rows]);
}

module.exports = { number, figuresTable, targetsTable };
