'use strict';

// What was typed behind a verb: options and words. Small, as it is loaded by every command; a table of options also serves the help and
// the shell's completion.

/**
 * An option, as its line in the help has it: `['-n, --name <name>', 'what it is called']`. `<value>` must follow, `[value]` may,
 * `<values...>` and `[values...]` are all words up to the next option; `--no-x` sets `x` to false.
 *
 * @typedef {[spec: string, about: string]} Flag
 */

/** Those that every verb has. @type {Flag[]} */
const COMMON = [
  ['-s, --silent', 'says nothing but errors'],
  ['--no-color', 'no colours'],
  ['-m, --mini-list', 'listings without a table'],
  ['-h, --help', 'this help'],
];

/** @param {string} message */
function usage(message) {
  return Object.assign(new Error(message), { usage: true });
}

/** @param {Flag} flag */
function parse([spec]) {
  const [, short, long, takes] = /** @type {RegExpExecArray} */ (/^(?:(-\w), )?--([\w-]+)(?: (<.*>|\[.*\]))?$/.exec(spec));
  const name = long.replace(/^no-/, '').replace(/-(.)/g, (_, letter) => letter.toUpperCase());
  return { short, long: `--${long}`, name, isNo: long.startsWith('no-'), takes };
}

/**
 * @param {string[]} argv
 * @param {Flag[]} flags
 * @returns {{ words: string[], rest: string[] | undefined, options: any }} `rest`: what follows `--`.
 */
function read(argv, flags) {
  const known = new Map([...flags, ...COMMON].map(parse).flatMap((flag) => [[flag.long, flag], ...(flag.short ? [[flag.short, flag]] : [])].map((pair) => /** @type {[string, ReturnType<typeof parse>]} */ (pair))));
  /** @type {string[]} */
  const words = [];
  /** @type {any} */
  const options = {};
  const isOption = (/** @type {string | undefined} */ word) => word !== undefined && /^--?[a-z]/i.test(word);
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i];
    if (word === '--') return { words, rest: argv.slice(i + 1), options };
    if (!isOption(word)) {
      words.push(word);
      continue;
    }
    // --name=value, -n value, -i2.
    const [, name, value] = /^(--[^=]+)=([^]*)$/.exec(word) ?? /^(-\w)(.+)$/.exec(word) ?? [word, word, undefined];
    const flag = known.get(name);
    if (!flag) throw usage(`there is no option ${name}${require('./nearest.js').didYouMean(name, [...known.keys()].filter((one) => one.startsWith('--')))}`);
    if (flag.takes === undefined) {
      if (value !== undefined) throw usage(`${name} takes no value. Received '${value}'`);
      options[flag.name] = !flag.isNo;
    } else if (value !== undefined) {
      options[flag.name] = value;
    } else if (/\.\.\.[>\]]$/.test(flag.takes)) {
      const first = i + 1;
      while (i + 1 < argv.length && !isOption(argv[i + 1]) && argv[i + 1] !== '--') i++;
      if (i < first && flag.takes.startsWith('<')) throw usage(`${name} needs a value`);
      options[flag.name] = i < first || argv.slice(first, i + 1).join(' ');
    } else if (flag.takes.startsWith('<')) {
      if (i + 1 >= argv.length || argv[i + 1] === '--' || known.has(argv[i + 1])) throw usage(`${name} needs a value`);
      options[flag.name] = argv[++i];
    } else {
      options[flag.name] = i + 1 < argv.length && !isOption(argv[i + 1]) && argv[i + 1] !== '--' ? argv[++i] : true;
    }
  }
  return { words, rest: undefined, options };
}

/**
 * @param {string} word
 * @param {{ summary: string, usage: string, flags?: Flag[] }} verb
 */
function help(word, { summary, usage: line, flags = [] }) {
  const rows = [...flags, ...COMMON];
  const width = Math.max(...rows.map(([spec]) => spec.length));
  return `Usage: rcluster ${word} ${line}\n\n${summary}\n\nOptions:\n${rows.map(([spec, about]) => `  ${spec.padEnd(width)}  ${about}`).join('\n')}\n`;
}

module.exports = { COMMON, help, parse, read, usage };
