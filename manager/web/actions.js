// What can be done, each after a question.

import { $, notice } from './dom.js';
import { post } from './session.js';
import { shortOf, targetOf } from './figures.js';

/** @type {Record<string, { verb: string, done: string, more: string }>} */
const ACTIONS = {
  restart: { verb: 'Restart', done: 'restarted', more: 'Its processes end and are started again.' },
  reload: { verb: 'Reload', done: 'reloaded', more: 'Its processes are replaced one after the other; a cluster loses no connection.' },
  stop: { verb: 'Stop', done: 'stopped', more: 'It stays in the list and can be started again.' },
  start: { verb: 'Start', done: 'started', more: '' },
};

/**
 * Asks whether that is meant. Cancel has the focus.
 *
 * @param {string} text
 * @param {string} more
 * @param {string} yes
 * @returns {Promise<boolean>}
 */
function ask(text, more, yes) {
  const dialog = $('#question');
  $('#question-text').textContent = text;
  $('#question-more').textContent = more;
  dialog.querySelector('.strong').textContent = yes;
  dialog.returnValue = 'no';
  dialog.showModal();
  dialog.querySelector('button').focus();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}

/**
 * @param {string} op
 * @param {string} target
 */
export async function act(op, target) {
  const { verb, done, more } = ACTIONS[op];
  if (await ask(`${verb} ${shortOf(target)}?`, more, verb)) await perform(target, op, {}, `${shortOf(target)}: ${done}`);
}

/**
 * @param {any} app
 * @param {number} count
 */
export async function scale(app, count) {
  const [target, what] = [targetOf(app), app.mode === 'cluster' ? 'workers' : 'instances'];
  if (count < 1) return;
  const isMeant = await ask(`Scale ${shortOf(target)} from ${app.instances} to ${count}?`, `It will have ${count} ${count === 1 ? what.slice(0, -1) : what}.`, 'Scale');
  if (isMeant) await perform(target, 'scale', { count }, `${shortOf(target)}: ${count} wanted`);
}

/** @param {string} target @param {string} op @param {object} body @param {string} done */
async function perform(target, op, body, done) {
  try {
    await post(`apps/${encodeURIComponent(target)}/${op}`, body);
    notice(done);
  } catch (error) {
    notice(/** @type {Error} */ (error).message, true);
  }
}
