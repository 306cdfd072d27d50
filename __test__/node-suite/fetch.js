'use strict';

// Gets Node's own tests from the source package of the machine's Debian: no root needed, nothing of it is committed.
//   node __test__/node-suite/fetch.js
// Exit code 77 means that this machine cannot get them; one sentence says why.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { CACHE, ROOT, SUITE, suiteVersion } = require('./suite.js');

/** The newest security version is sometimes listed but missing, so this one is tried before what the lists name. */
const PREFERRED = '18.20.4+dfsg-1~deb12u2';
const UNAVAILABLE = 77;
const LIMIT_MS = 150_000;

/** What of the source tree is kept: the tests, and the files that serve as the reference of behaviour. */
const WANTED = [
  '*/test',
  '*/lib/internal/cluster',
  '*/lib/internal/child_process.js',
  '*/lib/child_process.js',
  '*/benchmark/cluster',
];

/** The machine cannot fetch the tests; the message says why in one sentence. */
class Unavailable extends Error {}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 * @returns {{ ok: boolean, output: string }}
 */
function run(command, args, cwd) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: LIMIT_MS, stdio: ['ignore', 'pipe', 'pipe'] });
  return { ok: result.status === 0, output: `${result.stdout ?? ''}${result.stderr ?? ''}` };
}

/**
 * Copies the machine's package sources, asking for sources instead of binaries. Both formats of apt are known.
 *
 * @param {string} parts the folder to write to
 * @throws {Unavailable} when the machine has no package sources
 */
function writeSourceLists(parts) {
  const folder = '/etc/apt/sources.list.d';
  const names = fs.existsSync(folder) ? fs.readdirSync(folder).map((name) => path.join(folder, name)) : [];
  let copied = 0;
  for (const file of [...names, '/etc/apt/sources.list']) {
    if (!/\.(sources|list)$/.test(file) || !fs.existsSync(file)) continue;
    const text = fs.readFileSync(file, 'utf8');
    const asSource = file.endsWith('.sources')
      ? text.replace(/^Types:.*$/gm, 'Types: deb-src')
      : text.replace(/^deb-src\b.*$/gm, '').replace(/^deb\b/gm, 'deb-src');
    if (!asSource.includes('deb-src')) continue;
    fs.writeFileSync(path.join(parts, path.basename(file)), asSource);
    copied++;
  }
  if (copied === 0) throw new Unavailable('apt has no package sources on this machine (/etc/apt/sources.list.d is empty)');
}

/**
 * Downloads and unpacks one version of the source package.
 *
 * @param {string} work an empty folder
 * @returns {string} the version
 * @throws {Unavailable} when no version can be had
 */
function download(work) {
  for (const folder of ['parts', 'lists/partial', 'cache/archives/partial', 'down', 'tree']) {
    fs.mkdirSync(path.join(work, folder), { recursive: true });
  }
  writeSourceLists(path.join(work, 'parts'));
  const options = [
    'Dir::Etc::sourcelist=/dev/null',
    `Dir::Etc::sourceparts=${path.join(work, 'parts')}`,
    `Dir::State::Lists=${path.join(work, 'lists')}`,
    `Dir::Cache=${path.join(work, 'cache')}`,
    'Acquire::Retries=2',
    'Acquire::http::Timeout=20',
    'Acquire::https::Timeout=20',
    // The folders belong to whoever runs this: apt must not change to a user who cannot write to them.
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option]);

  // One source among several may be unreachable and still leave the lists that matter, so only what is listed counts.
  const update = run('apt-get', [...options, 'update'], work);
  const listed = run('apt-cache', [...options, 'showsrc', 'nodejs'], work).output;
  const versions = [...listed.matchAll(/^Version: (\S+)$/gm)].map((match) => match[1]);
  if (versions.length === 0) {
    throw new Unavailable(`apt lists no source package "nodejs" here (${lastLine(update.output)})`);
  }

  let failure = '';
  for (const version of new Set([...versions.filter((known) => known === PREFERRED), ...versions])) {
    console.error(`node-suite: downloading the source of nodejs ${version} (30 MB)`);
    const args = [...options, 'source', '--download-only', `nodejs=${version}`];
    const { ok, output } = run('apt-get', args, path.join(work, 'down'));
    if (ok) return version;
    failure = lastLine(output);
  }
  throw new Unavailable(`apt could not download the source of nodejs (${failure})`);
}

/**
 * @param {string} work the folder that `download` filled
 * @throws {Unavailable} when the archive cannot be unpacked
 */
function unpack(work) {
  const down = path.join(work, 'down');
  const archive = fs.readdirSync(down).find((name) => /\.orig\.tar\.\w+$/.test(name));
  if (!archive) throw new Unavailable('the source package of nodejs has no archive of the original source');
  const args = ['-xf', path.join(down, archive), '--strip-components=1', '--wildcards', ...WANTED];
  const { ok, output } = run('tar', args, path.join(work, 'tree'));
  if (!ok) throw new Unavailable(`the source of nodejs could not be unpacked (${lastLine(output)})`);
}

/**
 * @param {string} text
 * @returns {string} its last line that says something
 */
function lastLine(text) {
  return text.trim().split('\n').pop() || 'no output';
}

/**
 * Makes sure that the tests are in the cache.
 *
 * @returns {string} the version of the source package they come from
 * @throws {Unavailable} when this machine cannot get them
 */
function fetchSuite() {
  const known = suiteVersion();
  if (known) return known;
  if (!run('apt-get', ['--version'], ROOT).ok) {
    throw new Unavailable('they come from a Debian source package, and this machine has no apt-get');
  }
  console.error("node-suite: fetching Node's own tests through apt");
  fs.mkdirSync(CACHE, { recursive: true });
  const work = fs.mkdtempSync(path.join(CACHE, 'fetch-'));
  try {
    const version = download(work);
    unpack(work);
    fs.writeFileSync(path.join(work, 'tree', 'VERSION'), `${version}\n`);
    // Last and in one step: a suite that is there is whole.
    fs.rmSync(SUITE, { recursive: true, force: true });
    fs.renameSync(path.join(work, 'tree'), SUITE);
    return version;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Prints an error as one line and leaves: with the code of its own when the tests are just not to be had.
 *
 * @param {Error} error
 * @returns {never}
 */
function fail(error) {
  const missing = error instanceof Unavailable;
  console.error(missing
    ? `node-suite: skipped, as Node's own tests cannot be fetched here: ${error.message}.`
    : `node-suite: ${error.message}`);
  process.exit(missing ? UNAVAILABLE : 1);
}

module.exports = { fail, fetchSuite };

if (require.main === module) {
  try {
    const version = fetchSuite();
    console.error(`node-suite: the tests of nodejs ${version} are in ${path.relative(process.cwd(), SUITE)}`);
  } catch (error) {
    fail(/** @type {Error} */ (error));
  }
}
