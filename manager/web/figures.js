// What is known of apps, and how figures are written.

/** @param {{ namespace: string, name: string }} app What it is called in requests. */
export const targetOf = (app) => `${app.namespace}:${app.name}`;

/** @param {string} target */
export const shortOf = (target) => target.replace(/^default:/, '');

/** The worst first. @type {Record<string, string[]>} */
const MOODS = {
  bad: ['errored', 'waiting restart', 'failed', 'exited', 'restarting'],
  changing: ['launching', 'starting', 'stopping', 'retiring'],
  off: ['stopped'],
  good: ['online', 'ready', 'running'],
};

/** @param {string} mood */
export const rankOf = (mood) => Object.keys(MOODS).indexOf(mood);

/** @param {string} state */
const moodOf = (state) => Object.keys(MOODS).find((mood) => MOODS[mood].includes(state)) ?? 'changing';

/** The instances of an app, or the workers of a cluster. @param {any} app @returns {any[]} */
function partsOf(app) {
  const all = app.mode === 'cluster' ? app.workers : app.processes;
  return all.map((/** @type {any} */ one) => ({ ...one, number: one.seat ?? one.instance, mood: moodOf(one.state) }));
}

/** @param {any[]} list @param {string} member */
const sum = (list, member) => list.reduce((total, one) => total + one[member], 0);

/** An app in one line. @param {any} app */
export function summaryOf(app) {
  const parts = partsOf(app);
  const primary = app.mode === 'cluster' ? app.processes[0] : undefined;
  const [worst] = [...parts].sort((a, b) => rankOf(a.mood) - rankOf(b.mood));
  const state = primary && primary.state !== 'online' ? primary.state : (worst?.state ?? primary?.state ?? 'stopped');
  const mood = moodOf(state);
  const running = app.processes.filter((/** @type {any} */ one) => one.pid !== null);
  return {
    app, parts, mood,
    target: targetOf(app),
    name: shortOf(targetOf(app)),
    state: primary && mood === 'good' ? 'online' : state,
    ready: parts.filter((one) => one.mood === 'good').length,
    cpu: sum(app.processes, 'cpu'),
    memory: sum(app.processes, 'memory'),
    restarts: sum(parts, 'restarts') + (primary?.restarts ?? 0),
    since: running.length > 0 ? Math.min(...running.map((/** @type {any} */ one) => one.startedAt)) : null,
    why: app.processes.find((/** @type {any} */ one) => one.lastError)?.lastError ?? null,
  };
}

/** @typedef {ReturnType<typeof summaryOf>} Summary */

/** @param {number} bytes */
export function size(bytes) {
  if (!bytes) return '0';
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), 4);
  const value = bytes / 1024 ** power;
  return `${value.toFixed(power === 0 || value >= 100 ? 0 : 1)} ${['B', 'KB', 'MB', 'GB', 'TB'][power]}`;
}

/** @param {number} value */
export const percent = (value) => `${value.toFixed(1)} %`;

/** @param {number | null} since @param {number} now Both ms since 1970. */
export function age(since, now) {
  if (since === null) return '–';
  const seconds = Math.max(0, Math.floor((now - since) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** The last hour of each app, at the daemon's times (seconds since 1970). */
export class Series {
  /** @type {number[]} */
  times = [];
  /** @type {Map<string, Record<string, (number | null)[]>>} */
  apps = new Map();
  #step = 10;

  /** @param {{ step: number, times: number[], apps: Record<string, any> }} history */
  begin({ step, times, apps }) {
    this.#step = step;
    this.times = times;
    this.apps = new Map(Object.entries(apps));
  }

  /** Keeps a figure where the last one is old enough. Returns whether it has. @param {number} at @param {Summary[]} all */
  add(at, all) {
    const last = this.times.at(-1);
    if (last !== undefined && at - last < this.#step - 1) return false;
    this.times.push(at);
    this.times.splice(0, this.times.length - 3600 / this.#step);
    const length = this.times.length;
    const now = new Map(all.map((one) => [one.target, one]));
    for (const target of now.keys()) {
      if (!this.apps.has(target)) this.apps.set(target, { cpu: Array(length - 1).fill(null), memory: Array(length - 1).fill(null) });
    }
    for (const [target, series] of this.apps) {
      for (const [member, values] of Object.entries(series)) {
        values.push(/** @type {any} */ (now.get(target))?.[member] ?? null);
        values.splice(0, values.length - length);
      }
    }
    return true;
  }
}
