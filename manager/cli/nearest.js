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
 * Asks whether that one was meant; says nothing where it is far.
 *
 * @param {string} wrong
 * @param {string[]} names
 * @param {(name: string) => string} [written] How it is written there.
 */
function didYouMean(wrong, names, written = (name) => name) {
  const name = nearest(wrong, names);
  const most = Math.ceil(wrong.replace(/^-+/, '').length / 3);
  return distance(wrong.toLowerCase(), name.toLowerCase()) <= most ? `: did you mean ${written(name)}?` : '';
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

module.exports = { didYouMean, distance, nearest };
