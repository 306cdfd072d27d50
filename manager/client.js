'use strict';

// The manager from JavaScript: `require('rcluster/manager')`. The command is its first user.

const fs = require('node:fs');
const path = require('node:path');

const { ask, giveUpInSilence } = require('./ask.js');
const { executable, home: defaultHome } = require('./home.js');

/** @typedef {import('./client').App} App */
/** @typedef {import('./client').AppStatus} AppStatus */

/** What the daemon answers when it refuses, or is not there. */
class ManagerError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** How long (ms) a daemon that is replaced may take to answer again, and how often it is asked. */
const UPDATE_TIME = 10_000;
const UPDATE_LOOK = 20;

/** How long (ms) a daemon and its keepers may take to be gone when they have said that they go, and how often we look. */
const KILL_TIME = 5000;
const KILL_LOOK = 5;

/** How a stream ends whose other side has gone. */
const ENDS = Object.freeze(['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE']);

class Manager {
  #home;
  #autostart;
  #patience;
  /** @type {Set<import('node:http').IncomingMessage>} */
  #streams = new Set();
  #isClosed = false;

  /** The daemon's version, when it is not this one's. @type {string | undefined} */
  otherVersion;

  /** Why what was done last is not written down, when it is not. @type {string | undefined} */
  notSaved;

  /** @param {{ home?: string, autostart?: boolean, patience?: number }} [options] */
  constructor({ home = defaultHome(), autostart = true, patience } = {}) {
    this.#home = home;
    this.#patience = patience;
    this.#autostart = autostart;
  }

  get home() {
    return this.#home;
  }

  /**
   * Starts the daemon of this home if none runs.
   *
   * @returns {Promise<void>}
   */
  async ensureDaemon() {
    if (await this.isRunning()) return;
    const { spawnSync } = require('node:child_process');
    const binary = executable();
    if (!fs.existsSync(binary)) await require('../scripts/build-manager.js').buildManager();
    const { status, stderr, error } = spawnSync(binary, ['daemon', '--home', this.#home], { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
    if (error) throw new ManagerError('ERR_RCLUSTER_NO_DAEMON', `the daemon could not be started: ${error.message}`);
    // Another command may have started one in the same moment.
    if (status !== 0 && !(await this.isRunning())) {
      throw new ManagerError('ERR_RCLUSTER_NO_DAEMON', stderr.trim().replace(/^rclusterd: /, '') || `the daemon ended with code ${status}`);
    }
  }

  /** Whether a daemon answers. Rejects when there is one, and it does nothing. */
  async isRunning() {
    try {
      await this.#once('GET', '/v1/ping');
      return true;
    } catch (error) {
      if (/** @type {any} */ (error).code === 'ERR_RCLUSTER_NO_ANSWER') throw error;
      return false;
    }
  }

  /** @returns {Promise<{ pid: number, version: string }>} */
  ping() {
    return this.request('GET', '/v1/ping');
  }

  /** @returns {Promise<AppStatus[]>} */
  list() {
    return this.request('GET', '/v1/apps');
  }

  /**
   * @param {(Partial<App> & Pick<App, 'script'>)[]} apps
   * @param {import('./client').StartOptions} [options]
   * @returns {Promise<AppStatus[]>}
   */
  async start(apps, options = {}) {
    return this.request('POST', '/v1/apps', { apps: apps.map(complete), options });
  }

  /**
   * @param {(Partial<App> & Pick<App, 'script'>)[]} apps
   * @param {import('./client').StartOptions} [options]
   * @returns {Promise<import('./client').Plan[]>}
   */
  async plan(apps, options = {}) {
    return this.request('POST', '/v1/apps', { apps: apps.map(complete), options: { ...options, dryRun: true } });
  }

  /**
   * @param {string} target
   * @param {string} operation
   * @param {object} [body]
   * @returns {Promise<any>}
   */
  act(target, operation, body) {
    return this.request('POST', `${pathOf(target)}/${operation}`, body ?? {});
  }

  /** @param {string} target @returns {Promise<AppStatus[]>} */
  resume(target) {
    return this.act(target, 'start');
  }

  /** @param {string} target @returns {Promise<AppStatus[]>} */
  stop(target) {
    return this.act(target, 'stop');
  }

  /** @param {string} target @param {{ env?: Record<string, string> }} [options] @returns {Promise<AppStatus[]>} */
  restart(target, { env } = {}) {
    return this.act(target, 'restart', { env });
  }

  /** @param {string} target @param {{ env?: Record<string, string> }} [options] @returns {Promise<import('./client').Reload[]>} */
  reload(target, { env } = {}) {
    return this.act(target, 'reload', { env });
  }

  /** @param {string} target @param {{ env?: Record<string, string> }} [options] @returns {Promise<import('./client').Upgrade[]>} */
  upgrade(target, { env } = {}) {
    return this.act(target, 'upgrade', { env });
  }

  /** @param {string} target @param {number} count @returns {Promise<AppStatus[]>} */
  scale(target, count) {
    return this.act(target, 'scale', { count });
  }

  /** @param {string} target @returns {Promise<AppStatus[]>} */
  reset(target) {
    return this.act(target, 'reset');
  }

  /** @param {string} target @param {string} signal @returns {Promise<AppStatus[]>} */
  signal(target, signal) {
    return this.act(target, 'signal', { signal });
  }

  /** @param {string} target @param {unknown} message @returns {Promise<AppStatus[]>} */
  send(target, message) {
    return this.act(target, 'send', { message });
  }

  /** @param {string} target @param {string} text @returns {Promise<AppStatus[]>} */
  write(target, text) {
    return this.act(target, 'stdin', { text });
  }

  /**
   * @param {string} target
   * @returns {Promise<App[]>}
   */
  describe(target) {
    return this.request('GET', pathOf(target));
  }

  /** @param {string} target @returns {Promise<Record<string, string>>} */
  async env(target) {
    const [{ env }] = await this.request('GET', `${pathOf(target)}/env`);
    return env;
  }

  /** @param {string} target @returns {Promise<AppStatus[]>} */
  delete(target) {
    return this.request('DELETE', pathOf(target));
  }

  /** @returns {Promise<{ apps: number }>} */
  save() {
    return this.request('POST', '/v1/save');
  }

  /** @returns {Promise<AppStatus[]>} */
  resurrect() {
    return this.request('POST', '/v1/resurrect');
  }

  /** @returns {Promise<{ apps: number }>} */
  clearDump() {
    return this.request('DELETE', '/v1/dump');
  }

  /**
   * Resolves when all have ended, so that the home can be removed, or a daemon be started there again.
   *
   * @returns {Promise<null>}
   */
  async kill() {
    const [{ pid }, apps] = await Promise.all([this.#once('GET', '/v1/ping'), this.#once('GET', '/v1/apps')]);
    const answer = await this.#once('POST', '/v1/kill', {});
    const pids = [pid, ...apps.map((/** @type {AppStatus} */ { keeper }) => keeper)].filter(Boolean);
    for (const deadline = Date.now() + KILL_TIME; pids.some(isAlive) && Date.now() < deadline; ) await sleep(KILL_LOOK);
    const left = pids.filter(isAlive);
    if (left.length > 0) throw new ManagerError('ERR_RCLUSTER_NO_ANSWER', `what was told to end has not within ${KILL_TIME / 1000} s: process ${left.join(', ')}`);
    return answer;
  }

  /**
   * @param {{ executable?: string }} [options]
   * @returns {Promise<{ version: string, pid: number }>}
   */
  async update({ executable: file = executable() } = {}) {
    const { startedAt: before } = await this.request('GET', '/v1/version');
    await this.request('POST', '/v1/update', { executable: file });
    const deadline = Date.now() + UPDATE_TIME;
    while (Date.now() < deadline) {
      const { startedAt, ...about } = await this.#once('GET', '/v1/version').catch(() => ({ startedAt: before }));
      if (startedAt !== before) return about;
      await sleep(UPDATE_LOOK);
    }
    throw new ManagerError('ERR_RCLUSTER_UPDATE', `the new daemon has not taken over: ${path.join(this.#home, 'daemon.log')} may say why`);
  }

  /** @param {import('./client').WebOptions} [options] @returns {Promise<import('./client').WebPage>} */
  openWeb(options = {}) {
    return this.request('POST', '/v1/web', options);
  }

  /** @returns {Promise<import('./client').WebStatus>} */
  web() {
    return this.request('GET', '/v1/web');
  }

  /** @returns {Promise<{ wasOpen: boolean }>} */
  closeWeb() {
    return this.request('DELETE', '/v1/web');
  }

  /** @returns {AsyncGenerator<import('./client').ManagerEvent, void, void>} */
  async* events() {
    const response = await this.#stream('/v1/events');
    try {
      let rest = '';
      for await (const chunk of response.setEncoding('utf8')) {
        const lines = (rest + chunk).split('\n');
        rest = /** @type {string} */ (lines.pop());
        for (const line of lines) yield JSON.parse(line);
      }
    } catch (error) {
      // The daemon has gone, or we are closed.
      if (!ENDS.includes(String(/** @type {NodeJS.ErrnoException} */ (error).code))) throw error;
    } finally {
      response.destroy();
    }
  }

  /**
   * @param {string} [target]
   * @param {import('./client').LogOptions} [options]
   * @returns {AsyncGenerator<import('./client').LogLine, void, void>}
   */
  async* logs(target, options) {
    for await (const lines of this.logPieces(target, options)) yield* lines;
  }

  /**
   * @param {string} [target]
   * @param {import('./client').LogOptions} [options]
   * @returns {AsyncGenerator<import('./client').LogLine[], void, void>}
   */
  logPieces(target = 'all', options = {}) {
    const { readLogs } = require('./log_reader.js');
    const mayStart = this.#autostart;
    return readLogs({
      open: async (url, isFirst) => {
        if (isFirst && mayStart) await this.ensureDaemon();
        return this.#stream(url);
      },
      // One that has ended in order takes its socket away. Whoever wanted that does not want another one for that somebody looks on.
      revive: async () => {
        if (mayStart && fs.existsSync(path.join(this.#home, 'daemon.sock'))) await this.ensureDaemon().catch(() => undefined);
      },
      isRefusal: (error, isFirst) => error instanceof ManagerError && (error.code !== 'ERR_RCLUSTER_NO_DAEMON' || (isFirst && !mayStart)),
      isClosed: () => this.#isClosed,
    }, target, options);
  }

  /**
   * An answer that goes on, over a connection of its own.
   *
   * @param {string} url
   */
  async #stream(url) {
    const response = await this.#open(url);
    if (response.statusCode !== 200) throw refusal(response.statusCode, await textOf(response));
    this.#streams.add(response);
    response.once('close', () => this.#streams.delete(response));
    return response;
  }

  /**
   * Any request of the API. A daemon is started if none runs.
   *
   * @param {string} method
   * @param {string} url
   * @param {object} [body]
   * @returns {Promise<any>}
   */
  async request(method, url, body) {
    try {
      return await this.#once(method, url, body);
    } catch (error) {
      if (/** @type {ManagerError} */ (error).code !== 'ERR_RCLUSTER_NO_DAEMON' || !this.#autostart) throw error;
      await this.ensureDaemon();
      return this.#onceOfNew(method, url, body);
    }
  }

  /**
   * One that has just been started is there, or has ended since.
   *
   * @param {string} method
   * @param {string} url
   * @param {object} [body]
   */
  async #onceOfNew(method, url, body) {
    try {
      return await this.#once(method, url, body);
    } catch (error) {
      if (/** @type {ManagerError} */ (error).code !== 'ERR_RCLUSTER_NO_DAEMON') throw error;
      throw new ManagerError('ERR_RCLUSTER_NO_DAEMON', `the daemon has ended as soon as it was started: "${path.join(this.#home, 'daemon.log')}" may say why`);
    }
  }

  /**
   * @param {string} method
   * @param {string} url
   * @param {object} [body]
   * @returns {Promise<any>}
   */
  async #once(method, url, body) {
    const asked = ask(this.#socket, method, url, body, this.#patience);
    setImmediate(ownVersion);
    const { status, server, notSaved, body: answer } = await asked.catch((error) => this.#rethrow(error));
    this.#compareVersions(server);
    this.notSaved = notSaved;
    if (status === 200) return JSON.parse(answer || '{}');
    throw refusal(status, answer);
  }

  /**
   * An answer that comes as it comes.
   *
   * @param {string} url
   * @returns {Promise<import('node:http').IncomingMessage>}
   */
  #open(url) {
    return new Promise((resolve, reject) => {
      const request = require('node:http').get({ agent: false, socketPath: this.#socket, path: url }, (response) => {
        // From here on nothing comes when nothing happens.
        response.socket.setTimeout(0);
        resolve(response);
      });
      request.on('error', reject);
      giveUpInSilence(request, this.#socket, this.#patience);
    }).catch((error) => this.#rethrow(error));
  }

  get #socket() {
    return path.join(this.#home, 'daemon.sock');
  }

  /**
   * @param {NodeJS.ErrnoException} error
   * @returns {never}
   */
  #rethrow(error) {
    if (error.code === 'ERR_RCLUSTER_NO_ANSWER') throw new ManagerError(error.code, error.message);
    // What is wrong with a home that is no folder, or is another user's, the daemon says that would be started there.
    const isGone = ['ENOENT', 'ECONNREFUSED', 'ENOTDIR', 'EACCES'].includes(String(error.code));
    throw isGone ? new ManagerError('ERR_RCLUSTER_NO_DAEMON', `no daemon runs for "${this.#home}"`) : error;
  }

  /** @param {string} server */
  #compareVersions(server) {
    const theirs = /^rclusterd\/(.*)$/.exec(server)?.[1];
    if (theirs !== undefined) this.otherVersion = theirs === ownVersion() ? undefined : theirs;
  }

  /** Lets the process end. */
  close() {
    this.#isClosed = true;
    for (const stream of this.#streams) stream.destroy();
  }
}

/** @type {string | undefined} */
let version;
/** Read while the daemon answers. @returns {string} */
const ownVersion = () => (version ??= require('../package.json').version);

/** Loaded when somebody waits: most commands do not. @param {number} ms */
const sleep = (ms) => require('node:timers/promises').setTimeout(ms);

/** Whether it runs: proc(5). @param {number} pid */
function isAlive(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    // One that has ended and waits to be collected does not live. In many containers nobody collects it.
    return !/^ [ZX]/.test(stat.slice(stat.lastIndexOf(')') + 1));
  } catch {
    return false;
  }
}

/** @param {import('node:http').IncomingMessage} response */
async function textOf(response) {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}

/**
 * @param {number | undefined} status
 * @param {string} answer
 */
function refusal(status, answer) {
  const { error } = JSON.parse(answer || '{}');
  return new ManagerError(error?.code ?? 'ERR_RCLUSTER_BAD_REQUEST', error?.message ?? `the daemon answers ${status}`);
}

/** @param {string} target */
const pathOf = (target) => `/v1/apps/${encodeURIComponent(target)}`;

/**
 * An app with what the daemon wants to know of each: what it is called, how it is run, where, and in which environment.
 *
 * @param {Partial<App>} app
 */
function complete(app) {
  const known = Object.fromEntries(Object.entries(app).filter(([, value]) => value !== undefined));
  return {
    name: path.basename(String(app.script)).replace(/\.[^.]+$/, ''),
    mode: 'program',
    ...known,
    cwd: path.resolve(app.cwd ?? '.'),
    ...(app.statedEnv === undefined && { env: { ...process.env, ...app.env }, statedEnv: Object.keys(app.env ?? {}).sort() }),
  };
}

module.exports = { Manager, ManagerError };
