'use strict';

// How lines of logs look.

const { manner } = require('./say.js');
const { usage } = require('./words.js');

/** Colours of names, and of a text that is marked. */
const NAMES = Object.freeze([32, 36, 35, 34, 33]);
const ERROR = 31;
const MARKED = 7;

/** As PM2. */
const DATE = 'YYYY-MM-DDTHH:mm:ss';

const FORMAT_DATE = 'YYYY-MM-DD-HH:mm:ssZ';

/**
 * Returns what makes a text of a line.
 *
 * @param {{ json?: boolean, format?: boolean, raw?: boolean, timestamp?: string | true, highlight?: string }} options
 * @returns {(line: import('../client').LogLine) => string}
 */
function printer({ json, format, raw, timestamp, highlight }) {
  if (json) return (line) => `${JSON.stringify(line)}\n`;
  if (format) return ({ ts, app, instance, stream, msg }) => `timestamp=${ts === null ? '' : written(new Date(ts), timestamp === true || !timestamp ? FORMAT_DATE : timestamp)} app=${app} id=${instance ?? ''} type=${stream ?? ''} message=${msg}\n`;
  const date = timestamp === true ? DATE : timestamp;
  if (date === '') throw usage("--timestamp must be a format such as 'HH:mm:ss'. Received ''");
  const isColoured = manner.colors;
  const paint = (/** @type {number} */ colour, /** @type {string} */ text) => (isColoured ? `\u001b[${colour}m${text}\u001b[0m` : text);
  const mark = (/** @type {string} */ text) => (highlight ? text.replaceAll(highlight, () => `\u001b[${MARKED}m${highlight}\u001b[0m`) : text);
  /** @type {Map<string, number>} */
  const colours = new Map();
  let width = 0;
  return ({ ts, app, instance, stream, msg, prefix = '' }) => {
    const time = date === undefined || ts === null ? '' : `${written(new Date(ts), date)}: `;
    const text = `${time}${prefix}${mark(msg)}\n`;
    if (raw) return text;
    const name = instance === null ? app : `${instance}|${app}`;
    width = Math.max(width, name.length);
    const colour = colours.get(app) ?? NAMES[colours.size % NAMES.length];
    colours.set(app, colour);
    return `${paint(stream === 'error' ? ERROR : colour, `${name.padEnd(width)} | `)}${text}`;
  };
}

/**
 * A time in the signs of moment.js, as in log files.
 *
 * @param {Date} time
 * @param {string} format
 */
function written(time, format) {
  const offset = -time.getTimezoneOffset();
  const two = (/** @type {number} */ number) => String(number).padStart(2, '0');
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}`;
  /** @type {Record<string, () => string>} */
  const signs = {
    YYYY: () => String(time.getFullYear()).padStart(4, '0'),
    YY: () => two(time.getFullYear() % 100),
    MM: () => two(time.getMonth() + 1),
    DD: () => two(time.getDate()),
    HH: () => two(time.getHours()),
    hh: () => two(((time.getHours() + 11) % 12) + 1),
    mm: () => two(time.getMinutes()),
    ss: () => two(time.getSeconds()),
    SSS: () => String(time.getMilliseconds()).padStart(3, '0'),
    A: () => (time.getHours() < 12 ? 'AM' : 'PM'),
    ZZ: () => `${zone}${two(Math.abs(offset) % 60)}`,
    Z: () => `${zone}:${two(Math.abs(offset) % 60)}`,
  };
  return format.replace(/YYYY|SSS|YY|MM|DD|HH|hh|mm|ss|ZZ|Z|A/g, (sign) => signs[sign]());
}

module.exports = { printer, written };
