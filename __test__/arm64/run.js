'use strict';

// The packed package with the real Node for arm64: installed into an empty app, where programs check themselves.
//   node __test__/arm64/run.js [--major 22] [--tarball file] [--only part-of-a-name] [--arch x64] [--help]

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { nodeBinary } = require('../node-suite/nodes.js');
const { arm64 } = require('./machine.js');

const HELP = `Checks the packed package with the real Node for arm64, on such a machine or emulated.

  --major <n>       which Node (22)
  --tarball <file>  a tarball that is there (default: one is packed)
  --only <text>     only the checks whose name contains the text
  --arch x64        the same checks with the Node of an x64 machine: are they right?`;

const ROOT = path.join(__dirname, '..', '..');
const APP = path.join(__dirname, 'app');
/** An emulated Node takes ten times as long to start. */
const LIMIT_MS = 5 * 60_000;

/** What is checked, by the programs in app/. */
const CHECKS = /** @type {Record<string, string>} */ ({
  takeover: 'the built-in module is taken over, ES modules included, by the binary of this processor',
  fork: 'workers start, say how they end, and leave nothing of ours to what they start',
  round_robin: 'connections go to two workers in strict turn',
  messages: 'messages in both serializations',
  handles: 'sockets and servers travel with messages',
  reload: 'a reload under load loses no request and no idle connection',
  manager: 'the process manager: a program, its log, its death, its stop, a daemon that is killed, a cluster that is reloaded',
});

/** What emulation cannot show, with why. */
const NOT_EMULATED = [
  'memory order: an x64 machine orders more than arm64 does; `npm run test:models` tries what arm64 may do',
  'why a program could not be started: qemu forks where clone(2) is asked to share the memory in which the manager would find it',
  'what has lost its parent: qemu knows no subreaper, so that it belongs to process 1 and not to the keeper',
  '`rcluster list` without options: it is printed by a shell, which is the machine\'s, and takes the executable of its processor',
  'pages of 16 and 64 KiB: the files are made for them (scripts/lib/targets.js), and were loaded with 4 KiB',
  'times: emulated programs take ten times as long, and a worker that is slow to turn is passed over now and then',
];

/**
 * @typedef {object} Place Where and how programs run.
 * @property {string} app
 * @property {string} node
 * @property {string[]} prefix
 * @property {NodeJS.ProcessEnv} env
 */

/**
 * @param {string} tarball
 * @param {Place} place
 */
function install(tarball, { app, node, prefix, env }) {
  fs.mkdirSync(app);
  fs.writeFileSync(path.join(app, 'package.json'), '{ "name": "app", "private": true }\n');
  const npm = spawnSync('sh', ['-c', 'readlink -f "$(command -v npm)"'], { encoding: 'utf8' }).stdout.trim();
  const [command, ...args] = [...prefix, node, npm, 'install', '--no-audit', '--no-fund', '--prefer-offline', tarball];
  // No cargo is on the PATH: whatever would be built fails.
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: app, encoding: 'utf8', env, timeout: LIMIT_MS });
  if (status !== 0) throw new Error(`npm install failed:\n${stdout}${stderr}`);
  for (const file of fs.readdirSync(APP)) fs.copyFileSync(path.join(APP, file), path.join(app, file));
}

/**
 * @param {string} name of a check
 * @param {Place} place
 * @returns {Promise<string | undefined>} what it printed, if it failed
 */
function failureOf(name, { app, node, prefix, env }) {
  const [command, ...args] = [...prefix, node, `${name}.js`];
  // In a process group of its own, so that nothing of it is left.
  const child = spawn(command, args, { cwd: app, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const end = () => {
    try {
      process.kill(-Number(child.pid), 'SIGKILL');
    } catch {
      // All have ended.
    }
  };
  const timer = setTimeout(() => {
    output += `not over after ${LIMIT_MS / 1000} s\n`;
    end();
  }, LIMIT_MS);
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      end();
      resolve(code === 0 ? undefined : `${output}ended with ${code ?? signal}`);
    });
  });
}

/**
 * @param {string} folder
 * @returns {string} the tarball
 */
function pack(folder) {
  const { status } = spawnSync('npm', ['pack', '--pack-destination', folder], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  const tarball = fs.readdirSync(folder).find((name) => name.endsWith('.tgz'));
  if (status !== 0 || !tarball) throw new Error('npm pack failed, see above.');
  return path.join(folder, tarball);
}

/**
 * @param {string[]} names
 * @param {Place} place
 * @returns {Promise<number>} how many have failed
 */
async function check(names, place) {
  let failed = 0;
  for (const name of names) {
    const started = Date.now();
    const failure = await failureOf(name, place);
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    console.log(`${failure === undefined ? 'ok    ' : 'FAILED'}    ${name}: ${CHECKS[name]} (${seconds} s)`);
    if (failure === undefined) continue;
    failed++;
    console.log(failure.replaceAll(/^/gm, '          '));
  }
  return failed;
}

async function main() {
  const { values } = parseArgs({
    options: {
      major: { type: 'string', default: '22' },
      tarball: { type: 'string' },
      only: { type: 'string', default: '' },
      arch: { type: 'string', default: 'arm64' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return void console.log(HELP);
  if (!['arm64', process.arch].includes(values.arch)) throw new Error(`--arch has to be arm64 or ${process.arch}, and is "${values.arch}".`);
  const chosen = Object.keys(CHECKS).filter((name) => name.includes(values.only));
  if (chosen.length === 0) throw new Error(`no check is called "${values.only}"; there are: ${Object.keys(CHECKS).join(', ')}.`);

  const binary = nodeBinary(values.major, values.arch);
  const { prefix, env, how } = values.arch === 'arm64' ? arm64(binary) : { prefix: [], env: process.env, how: 'on this machine' };
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-arm64-'));
  try {
    const tarball = values.tarball ? path.resolve(values.tarball) : pack(folder);
    const bin = path.join(folder, 'bin');
    fs.mkdirSync(bin);
    const node = path.join(bin, 'node');
    fs.symlinkSync(binary, node);
    const place = { app: path.join(folder, 'app'), node, prefix, env: { ...env, PATH: [bin, '/usr/bin', '/bin'].join(path.delimiter), NODE_OPTIONS: '' } };
    console.log(`Node ${values.major} for ${values.arch}, ${how}`);
    const started = Date.now();
    install(tarball, place);
    console.log(`ok        npm install of the tarball in an empty app, without cargo (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    const failed = await check(chosen, place);
    if (how.startsWith('emulated')) console.log(NOT_EMULATED.map((one) => `left out  ${one}`).join('\n'));
    console.log(`${chosen.length + 1 - failed} passed, ${failed} failed`);
    process.exitCode = failed > 0 ? 1 : 0;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

main().catch((error) => {
  console.error(`rcluster: ${error.message}`);
  process.exitCode = 1;
});
