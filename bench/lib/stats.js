'use strict';

/**
 * @param {number[]} values
 * @returns {number} the middle one, or the mean of the two middle ones; NaN of none
 */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/**
 * @typedef {object} Summary
 * @property {number} median
 * @property {number} min
 * @property {number} max
 * @property {number} rounds  how many gave a value
 */

/**
 * @param {number[]} values
 * @returns {Summary}
 */
function summarize(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values), rounds: values.length };
}

module.exports = { median, summarize };
