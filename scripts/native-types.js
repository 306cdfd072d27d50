'use strict';

// The types of the native part, `lib/native-types.d.ts`, as the Rust code has them: says whether they are, or writes them.
//   node scripts/native-types.js [--write]

const { spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { say } = require('./build-native.js');
const { root } = require('./lib/sources.js');

const FILE = path.join(root, 'lib', 'native-types.d.ts');
/** By this the files of `lib/` and the native part know that they belong together. */
const INTERFACE = path.join(root, 'lib', 'native_interface.js');
/** A target folder of its own: the types come only when the crate is compiled, without which its dependencies can do. */
const TARGET = path.join(root, 'target', 'types');
const FOUND = path.join(TARGET, 'found');

/** What Rust has no word for. */
const FINER = /** @type {[RegExp, string][]} */ ([
  [/\bonEvent: \(arg: unknown\) => unknown/, 'onEvent: OnEvent'],
  [/\bonConnection: \(arg: unknown\) => unknown/, 'onConnection: OnConnection'],
  [/\bonMore: \(arg: unknown\) => unknown/, 'onMore: (fd: number) => void'],
  [/\bonWarning: \(arg: string\) => void/, 'onWarning: (text: string) => void'],
  [/\(arg0: number, arg1: string\) => void/, '(worker: number, reason: string) => void'],
  [/\bbytes: unknown/, 'bytes: Buffer'],
  [/\bget (counts|http)\(\): unknown/, 'get $1(): Float64Array'],
  [/^newSocket\(kind: string\)/, 'newSocket(kind: Kind)'],
  [/^socketKind\(fd: number\): string/, 'socketKind(fd: number): Kind'],
  [/ \| undefined \| null(?=[,)])/g, ''],
  [/\?: \((\(.*?\) => void)\)(?=[,)])/g, '?: $1'],
  [/\bArray<number>/g, 'number[]'],
  [/^get (\w+)\(\):/, 'readonly $1:'],
]);

const HEAD = `// What the native part exports. Made of the Rust code (src/js/) by scripts/native-types.js.

/** Of a frame or an event: lib/channel/kinds.js. */
export type Event = number;
export type OnEvent = (kind: Event, payload: string | Buffer | number, fd: number) => void;
export type OnConnection = (fd: number, listener: number, left: number, said?: Buffer) => void;
export type Kind = 'tcp' | 'pipe' | 'udp';
`;

/**
 * @typedef {{ kind: string, name: string, js_doc: string, def: string }} Definition
 */

/** @returns {Definition[]} As napi-derive writes them while the crate is compiled. */
function definitions() {
  const cargo = (/** @type {string[]} */ ...args) => {
    const { status, stderr } = spawnSync('cargo', [...args, '--locked', '--target-dir', TARGET], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, NAPI_TYPE_DEF_TMP_FOLDER: FOUND },
    });
    if (status !== 0) throw new Error(`cargo ${args.join(' ')} failed:\n${stderr}`);
  };
  fs.rmSync(FOUND, { recursive: true, force: true });
  fs.mkdirSync(FOUND, { recursive: true });
  cargo('clean', '--package', 'rcluster');
  cargo('check', '--lib', '--package', 'rcluster');
  const lines = fs.readFileSync(path.join(FOUND, 'rcluster'), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line));
}

/**
 * Members with what is said of them, one a line.
 *
 * @param {string} def
 * @returns {{ doc: string, member: string }[]}
 */
function membersOf(def) {
  return [...def.matchAll(/((?:\/\*\*[^]*?\*\/\s*)?)([^\n]+)/g)].map(([, doc, member]) => ({
    doc: doc.trim(),
    member: FINER.reduce((text, [from, to]) => text.replace(from, to), member.trim()),
  }));
}

/** @param {{ doc: string, member: string }} one */
const indented = ({ doc, member }) => `${doc ? `  ${doc.replaceAll('\n', '\n  ')}\n` : ''}  ${member.replace(/[;,]?$/, ';')}\n`;

/** @param {Definition[]} found */
function typesOf(found) {
  /** @type {{ doc: string, member: string }[]} */
  const exported = [];
  let text = HEAD;
  for (const { kind, name, js_doc: doc, def } of found) {
    if (kind === 'fn') {
      const [{ member }] = membersOf(def.replace(/^(?:export )?function /, ''));
      exported.push({ doc: doc.trim(), member });
    } else if (kind === 'interface' || kind === 'impl') {
      const about = kind === 'impl' ? found.find((one) => one.kind === 'struct' && one.name === name)?.js_doc : doc;
      const members = membersOf(def);
      const made = members.findIndex(({ member }) => member.startsWith('constructor('));
      if (made >= 0) {
        const [{ doc: why, member }] = members.splice(made, 1);
        exported.push({ doc: why, member: `${name}: ${member.replace('constructor(', 'new (')} => ${name}` });
      }
      text += `\n${about ?? ''}export interface ${name} {\n${members.map(indented).join('')}}\n`;
    }
  }
  return `${text}\nexport interface Native {\n${exported.map(indented).join('')}}\n`.replace(/ +$/gm, '');
}

/** @param {string} types */
const interfaceOf = (types) => `'use strict';

// Stands for all that the native part exports: it is made of lib/native-types.d.ts by scripts/native-types.js, and the native part has it built in.
module.exports = { INTERFACE: '${createHash('sha256').update(types).digest('hex').slice(0, 16)}' };
`;

function main() {
  const types = typesOf(definitions());
  for (const [file, text] of [[FILE, types], [INTERFACE, interfaceOf(types)]]) {
    if (process.argv.includes('--write')) fs.writeFileSync(file, text);
    else if (fs.readFileSync(file, 'utf8') !== text) throw new Error(`lib/${path.basename(file)} is not what the Rust code has: run "node scripts/native-types.js --write"`);
  }
}

try {
  main();
} catch (error) {
  say(/** @type {Error} */ (error).message);
  process.exitCode = 1;
}
