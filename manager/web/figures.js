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

/** @typedef {import('../client').Recent} Recent What workers have done of late. */

/** Requests each second; connections, where requests are not counted. @param {Recent | null} recent */
export const rateOf = (recent) => (recent === null ? null : (recent.http?.requests ?? recent.connections));

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
    recent: /** @type {Recent | null} */ (app.recent ?? null),
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

/** So many each second. @param {number} value */
export function rate(value) {
  if (value >= 9999.5) return `${(value / 1000).toFixed(1)}k`;
  return value === 0 || value >= 9.95 ? value.toFixed(0) : value.toFixed(1);
}

/** A time in ms. @param {number} ms */
export function time(ms) {
  if (ms >= 999.5) return `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;
  return `${ms.toFixed(ms < 9.95 ? 1 : 0)} ms`;
}

/** A figure, where there is one. @template T @param {T | null | undefined} value @param {(value: T) => string} write */
export const known = (value, write) => (value === null || value === undefined ? '–' : write(value));

/** @param {number | null} since @param {number} now Both ms since 1970. */
export function age(since, now) {
  if (since === null) return '–';
  const seconds = Math.max(0, Math.floor((now - since) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** The last hour of each app, as the daemon keeps it (seconds since 1970). */
export class Series {
  /** @type {number[]} */
  times = [];
  /** @type {Map<string, Record<string, (number | null)[]>>} */
  apps = new Map();

  /** @param {{ times: number[], apps: Record<string, any> }} history */
  begin({ times, apps }) {
    this.times = times;
    this.apps = new Map(Object.entries(apps));
  }

  /** Figures of one more moment. @param {{ at: number, apps: Record<string, Record<string, number>> }} kept */
  add({ at, apps }) {
    this.times.push(at);
    const surplus = this.times.findIndex((each) => each > at - 3600);
    this.times.splice(0, surplus);
    const length = this.times.length;
    for (const [target, figures] of Object.entries(apps)) {
      if (!this.apps.has(target)) this.apps.set(target, {});
      const series = /** @type {Record<string, (number | null)[]>} */ (this.apps.get(target));
      for (const member of Object.keys(figures)) series[member] ??= Array(length - 1).fill(null);
    }
    for (const [target, series] of this.apps) {
      for (const [member, values] of Object.entries(series)) {
        values.push(apps[target]?.[member] ?? null);
        values.splice(0, values.length - length);
      }
      if (Object.values(series).every((values) => values.every((value) => value === null))) this.apps.delete(target);
    }
  }
}
