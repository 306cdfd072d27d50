'use strict';

// `rcluster <script>`: runs a server script over all cores, and keeps it running, for as long as this process lives.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { Command, InvalidArgumentError, Option } = require('commander');

const { requireOurs } = require('../lib/bundle.js');
const { version } = require('../package.json');

const EXIT = Object.freeze({ failed: 1, usage: 2 });
const SIGNALS = /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2', ...(process.pid === 1 ? ['SIGQUIT'] : [])]);
/** So many letters of a verb may be wrong. */
const MISTYPED = 2;
const UNITS = Object.freeze({ ms: 1, s: 1000, m: 60_000, '': 1 });

/** @param {string} text */
const log = (text) => process.stderr.write(`rcluster: ${text}\n`);
// Whoever read what we say may be gone; that is no reason to end.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

/**
 * A time such as `500ms`, `10s` or `2m`; a bare number is milliseconds.
 *
 * @param {string} text
 */
function time(text) {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|)$/.exec(text);
  if (!match) throw new InvalidArgumentError("It must be a time such as '500ms', '10s' or '2m'.");
  return Math.round(Number(match[1]) * UNITS[/** @type {keyof UNITS} */ (match[2])]);
}

/** @param {string} text */
function count(text) {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('It must be a whole number, 1 or more.');
  return Number(text);
}

/** @param {string} text */
function size(text) {
  if (!/^\d+(?:\.\d+)?[KMG]?B?$/i.test(text)) throw new InvalidArgumentError("It must be a number of bytes, such as '300M'.");
  return text;
}

/**
 * @param {string} text
 * @param {string[] | undefined} before
 */
function execOption(text, before = []) {
  // One that has a value may be followed by it: -r ./file.js.
  if (text === '' || (before.length === 0 && !text.startsWith('-'))) throw new InvalidArgumentError("It must be an option of Node, such as '--enable-source-maps'.");
  return [...before, text];
}

/** The verb that somebody may have meant. @param {string} word */
function meant(word) {
  if (!/^[a-z]{4,}$/i.test(word)) return '';
  const { distance, nearest } = require('../manager/cli/nearest.js');
  const verb = nearest(word, Object.keys(require('../manager/cli/verbs.js').VERBS));
  return distance(word.toLowerCase(), verb.toLowerCase()) > MISTYPED ? '' : `: did you mean rcluster ${verb}?`;
}

/** @param {string} text */
function fileName(text) {
  if (text === '') throw new InvalidArgumentError('It must be the name of a file.');
  return text;
}

/** @param {string} text */
const instances = (text) => (text === 'max' ? text : count(text));

const program = new Command('rcluster')
  .description('Runs a server script over all cores: restarts what dies, reloads without losing a connection.')
  .usage('[options] <script> [-- args...]')
  .argument('<script>', 'the script that each worker runs')
  .argument('[args...]', "the script's own arguments")
  .option('-i, --instances <count>', "workers; 'max' for one per available core", instances, 'max')
  .addOption(new Option('--ready <when>', 'a worker is ready when it…').choices(['listening', 'message', 'online']).default('listening'))
  .option('--ready-timeout <time>', 'a worker that is not ready by then has failed', time, 10_000)
  .option('--settle-time <time>', 'the first worker of a reload has to live so long before it counts', time, 1500)
  .option('--drain-timeout <time>', 'a worker that leaves has so long to finish', time, 10_000)
  .option('--hang-timeout <time>', 'a worker whose event loop does not turn for so long is replaced; 0 for never', time, 30_000)
  .addOption(new Option('--hang-signal <signal>', 'how such a worker is ended').choices(['SIGKILL', 'SIGABRT']).default('SIGKILL'))
  .option('--max-memory <bytes>', "a worker above it is replaced gracefully, such as '300M'; 0 for no limit", size, '0')
  .addOption(new Option('--crash <how>', 'on an uncaught exception a worker…').choices(['exit', 'drain']).default('exit'))
  .option('--count-requests', 'count the requests of HTTP servers, and how long they take, for status and metrics')
  .option('--app-metrics', "gather what the script's own prom-client counts in all workers, for /metrics")
  .option('--no-move', 'idle connections of a worker that leaves do not go on in another one')
  .option('--reload-parallel <count>', 'workers that are replaced at a time', count, 1)
  .option('--keep-alive-timeout <time>', 'HTTP connections may stay idle for so long, where the script says nothing of it', time)
  .option('--proxy-protocol <senders>', 'proxies that say by the PROXY protocol whom a connection is from, such as 10.0.0.0/8,::1')
  .option('--stop-delay <time>', 'when it is told to stop, it serves on for so long, and /ready says that it ends', time, 0)
  .option('--health <place>', 'where the primary answers /live and /ready, and /metrics with --app-metrics: a port, host:port or the path of a Unix socket')
  .option('--min-ready <count>', 'with fewer ready workers /ready says no', count, 1)
  .option('--seat-listen <place>', "an address for each worker alone: '3001+', '127.0.0.1:3001+' or './app.{seat}.sock'; with ':3000' for the server of that port")
  .addOption(new Option('--policy <policy>', 'who gets a connection').choices(['rr', 'none', 'least', 'sticky', 'reuseport']))
  .option('--cwd <folder>', 'the folder that workers run in')
  .option('--exec-arg <option>', 'an option for the Node of each worker, such as --exec-arg=--enable-source-maps; may be repeated', execOption)
  .option('--pid-file <file>', "where to write the command's process id", fileName)
  .version(version, '-v, --version')
  .addHelpText('after', `
Signals: SIGTERM and SIGINT stop gracefully, a second one at once; SIGHUP reloads; SIGUSR2 writes the status to stderr.
Environment of workers: NODE_APP_INSTANCE is the number of the worker's place, from 0 on.
The process manager: rcluster help lists its verbs.
Exit codes: 0 stopped as asked; 1 the service never worked, or its health endpoint or the address of a seat cannot listen; 2 wrong options or no such script;
128 + n ended at once by a second signal n.`)
  .passThroughOptions()
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT.usage));

// Whoever types nothing else may have PM2 in mind.
if (process.argv.length === 2) refuse("missing required argument 'script': one to run here (rcluster --help), or else a verb of the process manager (rcluster help)");

/**
 * The script's absolute path. Not resolved, so that a link to the current version is followed anew by each worker.
 *
 * @param {string} script
 * @param {string} folder
 */
function findScript(script, folder) {
  const file = path.resolve(folder, script);
  try {
    fs.accessSync(require.resolve(file), fs.constants.R_OK);
    return file;
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === 'EACCES') return refuse(`the script "${script}" cannot be read: permission denied`);
    // Such as a name that ends with a dot, or is no module for us.
    if (fs.statSync(file, { throwIfNoEntry: false })?.isFile()) return file;
    const isFolder = fs.statSync(file, { throwIfNoEntry: false })?.isDirectory();
    return refuse(isFolder ? `"${script}" is a folder without a script to start` : `there is no script "${script}"${meant(script)}`);
  }
}

/**
 * @param {string} message
 * @param {number} [code]
 * @returns {never}
 */
function refuse(message, code = EXIT.usage) {
  log(message);
  return process.exit(code);
}

program.parse();
const [script, ...rawArgs] = program.args;
const args = rawArgs[0] === '--' ? rawArgs.slice(1) : rawArgs;
const { instances: workers, cwd, execArg, pidFile, ...rest } = program.opts();
if (cwd !== undefined && !fs.statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) refuse(`there is no folder "${cwd}"`);
const exec = findScript(script, cwd ?? process.cwd());

const cluster = require('../index.js');
/** @type {typeof import('../lib/supervisor/managed.js')} */
const { serveKeeper, takeKeeper } = requireOurs('supervisor/managed.js');
/** @type {typeof import('../lib/supervisor/pid_file.js')} */
const { writePidFile } = requireOurs('supervisor/pid_file.js');
const { workerOf } = requireOurs('supervisor/reasons.js');
if (!cluster.rcluster.native) refuse(cluster.rcluster.reason);

const SAID = Object.freeze({
  stop: 'finishing what is under way; once more to end at once',
  kill: 'ending at once',
  reload: 'replacing all workers',
});

const hasKeeper = takeKeeper(process.env);
const isUpgrade = process.env.RCLUSTER_UPGRADE !== undefined;
/** @type {import('../index.js').Supervisor} */
let supervisor;
// Whoever has read the pid file may send one at once: it comes when there is somebody to hear it.
const wait = () => {};
for (const signal of SIGNALS) process.on(signal, wait);
try {
  if (pidFile !== undefined && !isUpgrade) writePidFile(pidFile);
  supervisor = cluster.supervise({ ...rest, workers, exec, args, cwd, execArgv: execArg, signals: true });
} catch (error) {
  const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
  // It may be free the next time.
  refuse(message, code === 'ERR_RCLUSTER_SEAT_LISTEN' ? EXIT.failed : EXIT.usage);
}
for (const signal of SIGNALS) process.off(signal, wait);
if (hasKeeper) serveKeeper(/** @type {any} */ (supervisor), cluster);
run();

/** @param {string} file */
function takePidFile(file) {
  try {
    writePidFile(file, { isHeir: true });
  } catch (error) {
    log(/** @type {Error} */ (error).message);
  }
}

function run() {
  let failed = false;
  supervisor.on('ready', () => {
    const { length } = supervisor.status().workers;
    log(length === 1 ? '1 worker is ready' : `${length} workers are ready`);
  });
  supervisor.on('health', ({ address, error }) => {
    failed ||= error !== undefined;
    log(error ? error.message : `/live and /ready are answered on ${address}`);
  });
  supervisor.on('waiting', ({ time: waited }) => {
    log(`no worker has been seen to listen for ${waited} ms, still waiting: one that is slow to start needs a longer --ready-timeout, one that does not listen --ready online`);
  });
  supervisor.on('replace', ({ pid, reason }) => log(`worker ${pid} ${reason}: it is replaced`));
  supervisor.on('restart', ({ pid, reason, delay }) => log(`${workerOf(pid)} ${reason}; another starts in ${delay} ms`));
  supervisor.on('restart-failed', (error) => log(error.message));
  supervisor.on('hang', ({ pid, time: silent }) => log(`worker ${pid} has not turned its event loop for ${silent} ms: it is replaced`));
  supervisor.on('memory', ({ pid, bytes }) => log(`worker ${pid} uses ${Math.round(bytes / 2 ** 20)} MiB: it is replaced`));
  supervisor.on('crash-loop', ({ fatal, error }) => {
    failed ||= fatal;
    log(error.message);
  });
  supervisor.on('reload', ({ error, workers: done, time: took }) => {
    log(error ? error.message : `replaced ${done.length} workers in ${took} ms`);
  });
  supervisor.on('upgraded', ({ error, newPid, time: took }) => {
    log(error ? error.message : `process ${newPid} has taken over, after ${took} ms`);
  });
  supervisor.on('took-over', () => {
    log('this is the primary now');
    // Until then it is that of the one before.
    if (pidFile !== undefined) takePidFile(pidFile);
  });
  supervisor.on('signal', (signal, action) => {
    const { stopDelay } = supervisor.options;
    const first = action === 'stop' && stopDelay > 0 ? `serving on for ${stopDelay} ms, then ` : '';
    if (action !== 'status') log(`${signal}: ${first}${SAID[action]}`);
    if (action === 'kill') process.exit(128 + os.constants.signals[signal]);
  });
  supervisor.on('stopped', () => process.exit(failed ? EXIT.failed : 0));
}
