'use strict';

// From two results per test to a word, a table and the counts.

/**
 * @typedef {import('./suite.js').TestFile} TestFile
 * @typedef {import('./run-one.js').Result} Result
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {Result} [builtin]
 * @property {Result} [rcluster]
 * @property {Outcome} outcome
 *
 * @typedef {'passed' | 'failed' | 'skipped' | 'excepted' | 'stale'} Outcome
 *   `skipped`: it does not take part, as it does not pass with the built-in; `excepted`: it fails, with a known reason;
 *   `stale`: it is listed as an exception and passes
 *
 * @typedef {{ passed: number, failed: number, skipped: number, excepted: number, stale: number, flaky: number }} Counts
 */

/**
 * @param {Result | undefined} builtin
 * @param {Result | undefined} rcluster
 * @param {boolean} excepted
 * @returns {Outcome}
 */
function outcomeOf(builtin, rcluster, excepted) {
  const passes = (rcluster ?? builtin)?.verdict === 'pass';
  if (!rcluster) return passes ? 'passed' : builtin?.verdict === 'skip' ? 'skipped' : 'failed';
  // Without the built-in's word every test takes part that does not skip by itself.
  const takesPart = builtin ? builtin.verdict === 'pass' : rcluster.verdict !== 'skip';
  if (!takesPart) return 'skipped';
  if (excepted) return passes ? 'stale' : 'excepted';
  return passes ? 'passed' : 'failed';
}

/**
 * @param {TestFile[]} tests
 * @param {Map<string, Result> | undefined} builtin
 * @param {Map<string, Result> | undefined} rcluster
 * @param {Record<string, string>} exceptions reason by file name
 * @returns {Row[]}
 */
function rowsOf(tests, builtin, rcluster, exceptions) {
  return tests.map(({ name }) => {
    const [one, other] = [builtin?.get(name), rcluster?.get(name)];
    return { name, builtin: one, rcluster: other, outcome: outcomeOf(one, other, name in exceptions) };
  });
}

/**
 * @param {Row[]} rows
 * @returns {Counts}
 */
function countsOf(rows) {
  const counts = { passed: 0, failed: 0, skipped: 0, excepted: 0, stale: 0, flaky: 0 };
  for (const row of rows) {
    counts[row.outcome]++;
    if ((row.rcluster ?? row.builtin)?.flaky) counts.flaky++;
  }
  return counts;
}

/**
 * @param {Counts} counts
 * @returns {boolean} true when nothing has to be looked at
 */
const isGood = (counts) => counts.failed === 0 && counts.stale === 0;

/**
 * @param {Result | undefined} result
 * @returns {string}
 */
const word = (result) => (result ? `${result.verdict}${result.flaky ? ' (2nd try)' : ''}` : '-');

/**
 * @param {Row[]} rows
 * @returns {string}
 */
function table(rows) {
  const width = Math.max(4, ...rows.map((row) => row.name.length));
  /** @param {string[]} cells */
  const line = ([name, builtin, rcluster, ms, note]) =>
    `${name.padEnd(width)}  ${builtin.padEnd(15)}  ${rcluster.padEnd(15)}  ${ms.padStart(6)}  ${note}`.trimEnd();
  return [
    line(['file', 'built-in', 'rcluster', 'ms', '']),
    ...rows.map((row) => line([
      row.name,
      word(row.builtin),
      word(row.rcluster),
      String((row.rcluster ?? row.builtin)?.ms ?? ''),
      row.outcome === 'passed' ? '' : row.outcome,
    ])),
  ].join('\n');
}

/**
 * @param {Counts} counts
 * @returns {string} such as `95 passed, 0 failed, 2 skipped, 1 excepted`
 */
function countsLine(counts) {
  const failed = counts.failed + counts.stale;
  const parts = [`${counts.passed} passed`, `${failed} failed`, `${counts.skipped} skipped`, `${counts.excepted} excepted`];
  if (counts.flaky) parts.push(`${counts.flaky} only at the second try`);
  return parts.join(', ');
}

module.exports = { countsLine, countsOf, isGood, rowsOf, table };
