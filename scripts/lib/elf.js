'use strict';

// What a native file asks of the system that it is loaded on, read from the file itself: no machine has all of the tools that
// could tell.
//
//   offset 0   ELF header: magic, class, byte order; at 18 the processor, at 32 and 40 where the tables of segments and sections are
//   segments   those of type LOAD get into memory, each to an address that fits its alignment
//   sections   one of type VERNEED: a chain of libraries, each with a chain of the versions of its symbols that are needed;
//              one of type SYMTAB: names of functions, which only a debugger reads

const fs = require('node:fs');

const MAGIC = '\x7fELF\x02\x01';
/** By their numbers in the header, as Node calls them. */
const PROCESSORS = /** @type {Record<number, string>} */ ({ 62: 'x64', 183: 'arm64' });
const LOAD = 1;
const SYMTAB = 2;
const VERNEED = 0x6ffffffe;

/**
 * @typedef {object} Needs
 * @property {string} arch The processor, as Node calls it.
 * @property {number} alignment The largest page that it can be loaded with.
 * @property {string[]} versions Versions of symbols, such as `GLIBC_2.28`.
 * @property {boolean} stripped Whether it is without what only a debugger reads.
 */

/**
 * @param {Buffer | string} file its contents, or its path
 * @returns {Needs}
 * @throws {Error} when that is no native file of a 64-bit Linux
 */
function needs(file) {
  const bytes = typeof file === 'string' ? fs.readFileSync(file) : file;
  const arch = bytes.length < 64 ? undefined : PROCESSORS[bytes.readUInt16LE(18)];
  if (!arch || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw new Error(`${typeof file === 'string' ? file : 'this'} is no native file for x64 or arm64`);
  }
  const all = sections(bytes);
  const versions = all.flatMap((section) => (section.type === VERNEED ? versionsIn(bytes, section, all[section.link]) : []));
  return { arch, alignment: alignment(bytes), versions: [...new Set(versions)], stripped: all.every(({ type }) => type !== SYMTAB) };
}

/** @param {Buffer} bytes */
function alignment(bytes) {
  const table = Number(bytes.readBigUInt64LE(32));
  const size = bytes.readUInt16LE(54);
  const segments = Array.from({ length: bytes.readUInt16LE(56) }, (_, index) => table + index * size);
  return Math.min(...segments.filter((at) => bytes.readUInt32LE(at) === LOAD).map((at) => Number(bytes.readBigUInt64LE(at + 48))));
}

/** @typedef {{ type: number, offset: number, link: number, info: number }} Section */

/**
 * @param {Buffer} bytes
 * @returns {Section[]}
 */
function sections(bytes) {
  const table = Number(bytes.readBigUInt64LE(40));
  const size = bytes.readUInt16LE(58);
  return Array.from({ length: bytes.readUInt16LE(60) }, (_, index) => {
    const at = table + index * size;
    return { type: bytes.readUInt32LE(at + 4), offset: Number(bytes.readBigUInt64LE(at + 24)), link: bytes.readUInt32LE(at + 40), info: bytes.readUInt32LE(at + 44) };
  });
}

/**
 * @param {Buffer} bytes
 * @param {Section} section
 * @param {Section} names
 * @returns {string[]}
 */
function versionsIn(bytes, section, names) {
  const found = [];
  let library = section.offset;
  for (let libraries = section.info; libraries > 0; libraries--) {
    let version = library + bytes.readUInt32LE(library + 8);
    for (let versions = bytes.readUInt16LE(library + 2); versions > 0; versions--) {
      const name = names.offset + bytes.readUInt32LE(version + 8);
      found.push(bytes.toString('latin1', name, bytes.indexOf(0, name)));
      version += bytes.readUInt32LE(version + 12);
    }
    library += bytes.readUInt32LE(library + 12);
  }
  return found;
}

/** @param {string} version such as `2.28` */
const parts = (version) => version.split('.').map(Number);

/**
 * @param {string} a such as `2.4`
 * @param {string} b such as `2.28`
 * @returns {number} below 0 when `a` is the older one
 */
function compareVersions(a, b) {
  const [left, right] = [parts(a), parts(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * The oldest glibc that has all that is needed, such as `2.28`; `0` when none is needed.
 *
 * @param {Needs} needed
 */
function glibcOf({ versions }) {
  const numbers = versions.flatMap((version) => /^GLIBC_(\d[\d.]*)$/.exec(version)?.[1] ?? []);
  return numbers.sort(compareVersions).at(-1) ?? '0';
}

module.exports = { compareVersions, glibcOf, needs };
