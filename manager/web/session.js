// The session, and what is asked of the daemon. The browser has one half of the session, which no script can read, and we the other: see gate.rs.

const KEY = 'rcluster-key';

/** Why there is nothing to be seen. */
export class NoSession extends Error {}

/** Exchanges the token of a link. The address is without it at once, in the history as well. */
export async function enter() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token === null) return;
  history.replaceState(null, '', '/');
  const response = await fetch('/api/enter', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token }) });
  const answer = await response.json();
  if (response.ok) localStorage.setItem(KEY, answer.key);
  // A session that there is already is as good.
  else if (localStorage.getItem(KEY) === null) throw new NoSession(answer.error.message);
}

/** When another window has begun a session. @param {() => void} then */
export const onEntered = (then) => addEventListener('storage', ({ key, newValue }) => key === KEY && newValue !== null && then());

/**
 * @param {string} path
 * @param {RequestInit} [options]
 */
export async function open(path, options = {}) {
  const key = localStorage.getItem(KEY);
  if (key === null) throw new NoSession('');
  const response = await fetch(`/api/${path}`, { ...options, headers: { 'x-rcluster-key': key, ...options.headers } });
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({ error: { message: `the daemon answers ${response.status}` } }));
  if (response.status === 401) {
    localStorage.removeItem(KEY);
    throw new NoSession('The session has ended.');
  }
  throw new Error(error.message);
}

/** @param {string} path @param {object} [body] */
export async function post(path, body = {}) {
  return (await open(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })).json();
}

/**
 * The lines of an answer, in the pieces in which they come.
 *
 * @param {string} path
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<string[]>}
 */
export async function* lines(path, signal) {
  const response = await open(path, { signal });
  const reader = /** @type {any} */ (response.body).pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const all = (rest + value).split('\n');
    rest = all.pop() ?? '';
    yield all;
  }
}

/**
 * Server-sent events: `event:`, `data:`, and an empty line.
 *
 * @param {AbortSignal} signal
 */
export async function* live(signal) {
  let event = '';
  for await (const piece of lines('live', signal)) {
    for (const line of piece) {
      if (line.startsWith('event: ')) event = line.slice(7);
      else if (line.startsWith('data: ')) yield { event, data: JSON.parse(line.slice(6)) };
    }
  }
}
