'use strict';

// Listings for people: a table that fits the terminal, colours on a terminal only.

const { manner } = require('./say.js');

const COLOURS = Object.freeze({ online: 32, launching: 33, upgrading: 33, stopping: 33, 'waiting restart': 33, stopped: 90, errored: 31 });

/** @param {number | null} bytes */
function size(bytes) {
  if (!bytes) return '0b';
  const units = ['b', 'kb', 'mb', 'gb', 'tb'];
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)}${units[power]}`;
}

/** @param {number | null} since ms since 1970 */
function age(since) {
  if (since === null) return '0';
  const seconds = Math.max(0, Math.floor((Date.now() - since) / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

/**
 * @param {string[]} heads
 * @param {string[][]} rows
 * @param {{ paint?: (cell: string, head: string) => string, first?: string[] }} [options] `paint` colours a cell that has its width already. `first`: heads of the
 *   columns that go first where the terminal is too narrow.
 */
function table(heads, rows, { paint = (cell) => cell, first = [] } = {}) {
  // 0 is what a terminal says that does not know.
  const room = process.stdout.columns || Infinity;
  const widths = heads.map((head, column) => Math.max(...[head, ...rows.map((row) => row[column])].map(widthOf)));
  const shown = new Set(heads.keys());
  const excess = () => [...shown].reduce((sum, column) => sum + widths[column] + 2, -2) - room;
  // The name gives way: everything else has its use at full length only.
  const cut = () => Math.max(0, Math.min(excess(), widths[1] - SHORTEST));
  for (const head of first) if (excess() > cut()) shown.delete(heads.indexOf(head));
  widths[1] -= cut();
  const line = (/** @type {string[]} */ row, /** @type {(cell: string, head: string) => string} */ finish) =>
    [...shown].map((column) => finish(fitted(row[column], widths[column]), heads[column])).join('  ').trimEnd();
  return [line(heads, (cell) => cell), ...rows.map((row) => line(row, paint))].join('\n');
}

/** A name is not made shorter than that. */
const SHORTEST = 8;

/** What takes two columns of a terminal: East Asian characters and pictures. */
const WIDE = /\p{Extended_Pictographic}(?=\ufe0f)|\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u;

/** Whether each character takes one column: nearly all texts, and cold code is slow. @param {string} text */
const isPlain = (text) => /^[ -~…↺]*$/.test(text);

/** The characters of a text, as they are seen. @param {string} text */
const charactersOf = (text) => Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment);

/** @param {string} text */
const widthOf = (text) => (isPlain(text) ? text.length : charactersOf(text).reduce((sum, one) => sum + (WIDE.test(one) ? 2 : 1), 0));

/**
 * A text that takes so many columns, and ends with … where it does not fit.
 *
 * @param {string} text
 * @param {number} width
 */
function fitted(text, width) {
  const whole = widthOf(text);
  if (whole <= width) return text + ' '.repeat(width - whole);
  if (isPlain(text)) return `${text.slice(0, width - 1)}…`;
  let [start, used] = ['', 0];
  for (const one of charactersOf(text)) {
    const wide = WIDE.test(one) ? 2 : 1;
    if (used + wide > width - 1) break;
    start += one;
    used += wide;
  }
  return `${start}…${' '.repeat(width - 1 - used)}`;
}

/**
 * The processes of apps, a line each.
 *
 * @param {import('../client').AppStatus[]} apps
 */
function processes(apps) {
  const row = (/** @type {import('../client').AppStatus} */ { name, namespace, mode }, /** @type {string} */ id, /** @type {any} */ one) =>
    [id, name, namespace, mode, String(one.pid ?? '-'), age(one.startedAt), String(one.restarts), one.upgrading ? 'upgrading' : one.state, `${one.cpu}%`, size(one.memory)];
  const rows = apps.flatMap((app) => [
    ...app.processes.map((one) => row(app, String(one.id ?? '-'), one)),
    ...app.workers.map((one) => row(app, ` ${one.seat}`, one)),
  ]);
  const paint = (/** @type {string} */ cell, /** @type {string} */ head) => {
    const colour = head === 'status' && manner.colors ? COLOURS[/** @type {keyof COLOURS} */ (cell.trim())] : undefined;
    return colour === undefined ? cell : `\u001b[${colour}m${cell}\u001b[0m`;
  };
  const first = ['namespace', 'mode', 'cpu', 'memory', 'uptime', 'pid', '↺'];
  return table(['id', 'name', 'namespace', 'mode', 'pid', 'uptime', '↺', 'status', 'cpu', 'memory'], rows, { paint, first });
}

module.exports = { age, processes, size, table };
