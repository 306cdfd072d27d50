// The logs of an app: the last lines and those that come, searched by the daemon.

import { h } from './dom.js';
import { NoSession, lines } from './session.js';

/** So many lines are kept. */
const MOST = 1000;
/** ms of rest in typing before the daemon searches. */
const SETTLED = 250;

/** What a terminal would obey is not for the eye. */
// eslint-disable-next-line no-control-regex
const CONTROLS = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|.)|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

export class Logs {
  #target;
  /** @type {AbortController | undefined} */
  #reading;
  /** @type {string[]} */
  #waiting = [];
  #isFollowing = true;
  /** Whether the daemon has gone in the middle. */
  #isBroken = false;
  /** @type {any} */
  #timer;

  /** @param {string} target */
  constructor(target) {
    this.#target = target;
    this.search = h('input', { type: 'search', placeholder: 'Search', title: 'A regular expression', 'aria-label': 'Search in the logs: a regular expression', autocomplete: 'off', spellcheck: 'false' });
    this.stream = h('select', { 'aria-label': 'Stream' }, h('option', { value: '' }, 'all'), h('option', { value: 'out' }, 'output'), h('option', { value: 'error' }, 'errors'));
    this.follow = h('button', { 'aria-pressed': 'true', onclick: () => this.#setFollowing(!this.#isFollowing) }, 'Follow');
    this.trouble = h('p.trouble', { role: 'alert', hidden: true });
    this.list = h('ol', { tabindex: '0', 'aria-label': 'Lines' });
    this.element = h('section.logs', { 'aria-label': 'Logs' }, h('div.bar', {}, h('h3', {}, 'Logs'), this.search, this.stream, this.follow), this.trouble, this.list);
    this.search.addEventListener('input', () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.begin(), SETTLED);
    });
    this.stream.addEventListener('change', () => this.begin());
    // Whoever looks back is not pulled away.
    this.list.addEventListener('scroll', () => this.#setFollowing(this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 30, false));
  }

  /** @param {boolean} isFollowing @param {boolean} [moves] */
  #setFollowing(isFollowing, moves = true) {
    this.#isFollowing = isFollowing;
    this.follow.setAttribute('aria-pressed', String(isFollowing));
    if (isFollowing && moves) this.list.scrollTop = this.list.scrollHeight;
  }

  /** Reads from the beginning. */
  async begin() {
    this.end();
    const reading = (this.#reading = new AbortController());
    this.list.replaceChildren();
    this.trouble.hidden = true;
    this.#isBroken = false;
    const query = new URLSearchParams({ target: this.#target, lines: '300', follow: 'true' });
    if (this.search.value !== '') query.set('grep', this.search.value);
    if (this.stream.value !== '') query.set('stream', this.stream.value);
    try {
      for await (const piece of lines(`logs?${query}`, reading.signal)) {
        if (this.#waiting.length === 0) requestAnimationFrame(() => this.#show());
        this.#waiting.push(...piece.filter((line) => line !== ''));
        // Of what comes faster than anybody reads, the last lines.
        if (this.#waiting.length > MOST) this.#waiting.splice(0, this.#waiting.length - MOST);
      }
      this.#isBroken = true;
    } catch (error) {
      if (reading.signal.aborted || error instanceof NoSession) return;
      // What is said of the daemon is said above.
      if (error instanceof TypeError) {
        this.#isBroken = true;
        return;
      }
      this.trouble.textContent = /** @type {Error} */ (error).message;
      this.trouble.hidden = false;
    }
  }

  /** The daemon is there again. */
  resume() {
    if (this.#isBroken) void this.begin();
  }

  #show() {
    this.list.append(...this.#waiting.splice(0).map((line) => this.#row(JSON.parse(line))));
    while (this.list.childElementCount > MOST) this.list.firstElementChild.remove();
    if (this.#isFollowing) this.list.scrollTop = this.list.scrollHeight;
  }

  /** @param {{ ts: string | null, instance: number | null, stream: string | null, msg: string }} line */
  #row({ ts, instance, stream, msg }) {
    const time = ts === null ? '' : new Date(ts).toLocaleTimeString([], { hour12: false });
    return h(stream === 'error' ? 'li.error' : 'li', {}, h('time', { datetime: ts }, time), h('b', {}, String(instance ?? '')), h('span', {}, ...this.#marked(msg.replace(CONTROLS, ''))));
  }

  /** A text with what was searched for marked. @param {string} text @returns {(Node | string)[]} */
  #marked(text) {
    if (this.search.value === '') return [text];
    /** @type {(Node | string)[]} */
    const parts = [];
    let at = 0;
    try {
      for (const match of text.matchAll(new RegExp(this.search.value, 'g'))) {
        if (match[0] === '' || parts.length > 40) break;
        parts.push(text.slice(at, match.index), h('mark', {}, match[0]));
        at = match.index + match[0].length;
      }
    } catch {
      // One that the daemon understands and the browser does not.
    }
    return [...parts, text.slice(at)];
  }

  end() {
    clearTimeout(this.#timer);
    this.#reading?.abort();
    this.#waiting = [];
  }
}
