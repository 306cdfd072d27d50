'use strict';

/**
 * The known name that is nearest to a wrong one.
 *
 * @param {string} wrong
 * @param {string[]} names
 */
function nearest(wrong, names) {
  const all = names.map((name) => ({ name, distance: distance(wrong.toLowerCase(), name.toLowerCase()) }));
  return all.sort((one, other) => one.distance - other.distance)[0].name;
}

/**
 * How many letters have to be changed (Levenshtein).
 *
 * @param {string} one
 * @param {string} other
 */
function distance(one, other) {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[other.length];
}

module.exports = { distance, nearest };
