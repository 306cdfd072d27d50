'use strict';

// The rule: the primary and the siblings serve on; what the worker may cost is bounded; when it is dead nothing of it is left.

const { FDS_LEFT } = require('./trial.js');

/** Descriptors that it may cost the siblings (as much as it may give back), and that may be left there after some seconds: connections. */
const SIBLING_FDS = 1500;
const SIBLING_FDS_LEFT = 40;
/** Percent of a processor that a primary with nothing to do may need: Node's own timers and collections, over a second. One that spins
 * has half a processor at least. */
const IDLE_CPU = 8;
/** The same beside a worker that has done what it does, but lives; noise of a busy machine included. */
const BESIDE_CPU = 30;
/** ms of the slowest answer once the worker is dead. */
const SLOW_AFTER = 1000;

/** @param {import('./trial.js').Timed} phase */
const rate = ({ answered, ms }) => answered / ms;

/**
 * @param {import('./trial.js').Figures} figures
 * @param {{ limits: import('./attacks.js').Limits, noticed: boolean, stays: boolean }} attack
 * @returns {string[]} what is wrong
 */
function judge(figures, { limits, noticed, stays }) {
  const { before, during, after, costBefore, costMost, costAfter, siblings, cpuBeside, delay, gone, pong, joined, ended, removed } = figures;
  if (!costAfter) return [`the primary ended: ${ended[0]}`];
  const part = during.failed / Math.max(1, during.failed + during.answered);
  /** @type {[boolean, string][]} */
  const rules = [
    [before.answered === 0, 'nobody was answered before'],
    [during.gap > limits.gap, `nobody answered for ${during.gap} ms`],
    [rate(during) < rate(before) * limits.share || during.answered < limits.least, `${during.answered} answers while it lived`],
    [part > limits.lost, `${during.failed} requests failed while it lived`],
    [delay > limits.delay, `the primary's event loop stood for ${delay} ms`],
    [costMost.mib - costBefore.mib > limits.mib, `${costMost.mib - costBefore.mib} MiB while it lived`],
    [costMost.fds - costBefore.fds > limits.fds, `${costMost.fds - costBefore.fds} descriptors while it lived`],
    [rate(after) < rate(before) / 8, `${after.answered} answers after its death`],
    [after.failed > 0, `${after.failed} requests failed after its death`],
    [Math.max(after.longest, after.gap) > SLOW_AFTER, `an answer took ${Math.max(after.longest, after.gap)} ms after its death`],
    [costAfter.mib - costBefore.mib > limits.mibAfter, `${costAfter.mib - costBefore.mib} MiB left after its death`],
    [costAfter.fds > costBefore.fds + FDS_LEFT, `${costAfter.fds - costBefore.fds} descriptors left after its death`],
    [costAfter.cpu > IDLE_CPU, `${costAfter.cpu} % of a processor with nothing to do`],
    [siblings.most - siblings.before > SIBLING_FDS, `${siblings.most - siblings.before} descriptors in the siblings while it lived`],
    [siblings.after - siblings.before > SIBLING_FDS_LEFT, `${siblings.after - siblings.before} descriptors left in the siblings`],
    [cpuBeside > BESIDE_CPU, `${cpuBeside} % of a processor beside it with nothing to do`],
    [!gone && !stays, 'the dead worker is still in the list'],
    [removed.length > 0, `${removed} has been removed`],
    [!pong, 'messages do not pass any more'],
    [!joined, 'a new worker does not come to serve'],
    [noticed && figures.noticed.length === 0, 'nobody was told'],
  ];
  return rules.filter(([broken]) => broken).map(([, text]) => text);
}

module.exports = { judge };
