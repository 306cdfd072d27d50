'use strict';

// Listings for people: a table that fits the terminal, colours on a terminal only.

const { manner } = require('./say.js');

const COLOURS = Object.freeze({ online: 32, launching: 33, stopping: 33, 'waiting restart': 33, stopped: 90, errored: 31 });

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
 * @param {(cell: string, column: number) => string} [paint] Colours a cell that has its width already.
 */
function table(heads, rows, paint = (cell) => cell) {
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column].length)));
  const excess = widths.reduce((sum, width) => sum + width + 2, 0) - (process.stdout.columns ?? Infinity);
  // The name gives way: everything else has its use at full length only.
  if (excess > 0) widths[1] = Math.max(8, widths[1] - excess);
  const line = (/** @type {string[]} */ row, /** @type {(cell: string, column: number) => string} */ finish) =>
    row.map((cell, column) => finish(cut(cell, widths[column]).padEnd(widths[column]), column)).join('  ').trimEnd();
  return [line(heads, (cell) => cell), ...rows.map((row) => line(row, paint))].join('\n');
}

/**
 * @param {string} text
 * @param {number} width
 */
const cut = (text, width) => (text.length > width ? `${text.slice(0, width - 1)}…` : text);

/**
 * The processes of apps, a line each.
 *
 * @param {import('../client').AppStatus[]} apps
 */
function processes(apps) {
  const row = (/** @type {import('../client').AppStatus} */ { name, namespace, mode }, /** @type {string} */ id, /** @type {any} */ one) =>
    [id, name, namespace, mode, String(one.pid ?? '-'), age(one.startedAt), String(one.restarts), one.state, `${one.cpu}%`, size(one.memory)];
  const rows = apps.flatMap((app) => [
    ...app.processes.map((one) => row(app, String(one.id ?? '-'), one)),
    ...app.workers.map((one) => row(app, ` ${one.seat}`, one)),
  ]);
  const STATE = 7;
  const paint = (/** @type {string} */ cell, /** @type {number} */ column) => {
    const colour = column === STATE && manner.colors ? COLOURS[/** @type {keyof COLOURS} */ (cell.trim())] : undefined;
    return colour === undefined ? cell : `\u001b[${colour}m${cell}\u001b[0m`;
  };
  return table(['id', 'name', 'namespace', 'mode', 'pid', 'uptime', '↺', 'status', 'cpu', 'memory'], rows, paint);
}

module.exports = { age, processes, size, table };
