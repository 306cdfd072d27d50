'use strict';

// What a test needs of the machine. Nothing is left out silently:
//
//   const { testWith, testUnless } = require('./helpers/needs');
//   testWith('python3')('a supervisor is told', () => …);      a program
//   testUnless(tracing(), 'strace')('idle', () => …);          a right (rights.js), or anything else: a reason, or undefined; then programs
//
// Where a program is missing the test is skipped, and the report says why. With CI=true it fails: the machine lacks a package, which is easy to mend.
// `.ci/run` alone may excuse programs, with TESTS_WITHOUT, when their packages cannot be downloaded.
// What a machine forbids (to trace, to mount) is skipped in CI as well; its report and that of `.ci/run` end with what was not checked.

const { PACKAGES, find } = require('./programs');

/** What the title of each test that is skipped has in it: the reporter reads it there. */
const NOT_CHECKED = /\[not checked here: ([^\]]*)\]/;

/**
 * Skips, with the reason in the title.
 *
 * @param {any} kind `test` or `describe`
 * @param {string} reason
 */
function skipping(kind, reason) {
  const titled = (/** @type {string} */ title) => `${title} [not checked here: ${reason}]`;
  const skip = (/** @type {string} */ title, /** @type {any[]} */ ...rest) => kind.skip(titled(title), ...rest);
  skip.each = (/** @type {any[]} */ ...table) => (/** @type {string} */ title, /** @type {any[]} */ ...rest) => kind.skip.each(...table)(titled(title), ...rest);
  return skip;
}

/** Fails, whatever the test would do. @param {string} reason */
function failing(reason) {
  const fail = (/** @type {string} */ title) => test(title, () => { throw new Error(reason); });
  fail.each = () => fail;
  return fail;
}

/**
 * `test` or `describe`, if the programs are there.
 *
 * @param {any} kind
 * @param {string[]} programs
 * @param {NodeJS.ProcessEnv} [env]
 */
function withPrograms(kind, programs, env = process.env) {
  const missing = programs.filter((program) => find(program) === undefined);
  if (missing.length === 0) return kind;
  const named = missing.map((program) => `${program} (Debian package: ${PACKAGES[program]})`).join(', ');
  const excused = (env.TESTS_WITHOUT ?? '').split(/\s+/);
  if (env.CI && !missing.every((program) => excused.includes(program))) return failing(`this test needs ${named}: install it`);
  return skipping(kind, `there is no ${named}`);
}

/** @param {string[]} programs @returns {any} */
const testWith = (...programs) => withPrograms(test, programs);
/** @param {string[]} programs @returns {any} */
const describeWith = (...programs) => withPrograms(describe, programs);
/** @param {string | undefined | false} reason @param {string[]} programs @returns {any} */
const testUnless = (reason, ...programs) => (reason ? skipping(test, reason) : withPrograms(test, programs));
/** @param {string | undefined | false} reason @param {string[]} programs @returns {any} */
const describeUnless = (reason, ...programs) => (reason ? skipping(describe, reason) : withPrograms(describe, programs));

module.exports = { NOT_CHECKED, describeUnless, describeWith, testUnless, testWith, withPrograms };
