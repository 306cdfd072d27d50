'use strict';

// Tests of supervision: a service whose workers run a function of the test.
//
//   const service = await startService({
//     options: { workers: 2 },
//     worker() {
//       require('node:http').createServer((request, response) => response.end(`${process.pid}`)).listen(0);
//     },
//   });
//   const report = await service.call('reload');
//   await service.event('restart', ({ pid }) => pid === killed);
//
// The function runs in other processes: it sees nothing of the test around it.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { ROOT, request, startScript, waitFor } = require('./run');

/** @type {Set<string>} */
const folders = new Set();

/** A folder of its own, removed after the test. */
function temporaryFolder() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-test-'));
  folders.add(folder);
  return folder;
}

/**
 * The text of a script that runs a function.
 *
 * @param {() => unknown} main
 */
const scriptOf = (main) => `'use strict';\n(${main.toString().replace(/^(async\s+)?(?!function\b)(\w+)\s*\(/, '$1function $2(')})();\n`;

/**
 * Writes a script that runs a function.
 *
 * @param {() => unknown} main
 * @param {string} [file] default: one in a folder of its own
 * @returns {string} its path
 */
function writeScript(main, file = path.join(temporaryFolder(), 'app.js')) {
  fs.writeFileSync(`${file}.new`, scriptOf(main));
  fs.renameSync(`${file}.new`, file);
  return file;
}

class Service {
  /**
   * @param {import('./run').Script} script
   * @param {string} control
   * @param {string} file
   */
  constructor(script, control, file) {
    this.script = script;
    this.control = control;
    this.file = file;
  }

  get pid() {
    return this.script.pid;
  }

  /**
   * What has been told so far: the first argument of each event of a name.
   *
   * @param {string} name
   * @returns {any[]}
   */
  events(name) {
    return this.told().filter(([event]) => event === name).map(([, argument]) => argument);
  }

  /** @returns {any[][]} All events, with their arguments. */
  told() {
    return this.script.stdout.filter((line) => line.startsWith('@')).map((line) => JSON.parse(line.slice(1)));
  }

  /**
   * Waits for an event, from the beginning on.
   *
   * @param {string} name
   * @param {(argument: any) => boolean} [fits]
   * @param {{ timeout?: number }} [options]
   */
  async event(name, fits = () => true, options = {}) {
    const message = () => `no event ${name}\n${this.script.describe()}`;
    // In a list, as an event may come without an argument.
    const [found] = await waitFor(() => this.#find(name, fits), { ...options, message });
    return found;
  }

  /**
   * @param {string} name
   * @param {(argument: any) => boolean} fits
   */
  #find(name, fits) {
    const { exitCode, signalCode, stdout } = this.script.child;
    const isOver = (exitCode !== null || signalCode !== null) && stdout.readableEnded;
    const found = this.events(name).filter(fits).slice(0, 1);
    if (found.length === 0 && isOver) throw new Error(`ended without an event ${name}\n${this.script.describe()}`);
    return found.length > 0 ? found : undefined;
  }

  /** @returns {number} The port that workers listen on; the last one, if there are several. */
  get port() {
    const last = this.events('listening').at(-1);
    if (!last) throw new Error(`nobody listens\n${this.script.describe()}`);
    return last.port;
  }

  /**
   * Runs a function in the primary, with `{ cluster, supervisor }` and arguments that JSON can carry.
   *
   * @param {(tools: any, ...args: any[]) => unknown} action
   * @param {...unknown} args
   * @returns {Promise<any>} What it returns; rejects with what it throws.
   */
  async run(action, ...args) {
    const body = JSON.stringify({ source: action.toString(), args });
    const { body: text } = await request(this.control, { method: 'POST', body, timeout: 30_000 });
    const { value, error } = JSON.parse(text);
    if (error) throw Object.assign(new Error(error.message), error);
    return value;
  }

  /**
   * Calls a method of the supervisor.
   *
   * @param {string} method
   * @param {...unknown} args
   */
  call(method, ...args) {
    return this.run(({ supervisor }, name, given) => supervisor[name](...given), method, args);
  }

  /**
   * Retires the worker of a pid: another one takes its place. Resolves when it has left the rotation.
   *
   * @param {number} pid
   */
  async retire(pid) {
    await this.run(({ cluster }, wanted) => {
      Object.values(cluster.workers).find((worker) => worker.process.pid === wanted).disconnect();
    }, pid);
    await this.waitForStatus(({ leaving, workers }) => leaving.some((one) => one.pid === pid) || !workers.some((one) => one.pid === pid));
  }

  /**
   * Waits until the status is as it should be.
   *
   * @param {(status: any) => unknown} fits
   */
  async waitForStatus(fits) {
    /** @type {unknown} */
    let last;
    return waitFor(async () => fits((last = await this.call('status'))), {
      message: () => `${fits}, but: ${JSON.stringify(last)}\n${this.script.describe()}`,
    });
  }

  /**
   * Waits until so many connections are open in its workers.
   *
   * @param {number} count
   */
  waitForConnections(count) {
    return this.waitForStatus(({ workers }) => workers.reduce((sum, { connections }) => sum + connections.active, 0) === count);
  }

  /**
   * Waits for the end of a worker.
   *
   * @param {number} pid
   * @returns {Promise<any>} How it ended.
   */
  exitOf(pid) {
    return this.waitForStatus(({ workers }) => workers.map(({ lastExit }) => lastExit).find((exit) => exit?.pid === pid));
  }

  /** @returns {Promise<number[]>} Of the workers that are ready. */
  async pids() {
    const { workers } = await this.call('status');
    return workers.filter(({ state }) => state === 'ready').map(({ pid }) => pid);
  }

  /**
   * Asks over a connection of its own.
   *
   * @param {string} [where]
   * @param {object} [options] as of `request`
   */
  get(where = '/', options = {}) {
    return request(this.port, { path: where, ...options });
  }

  /**
   * The next workers run something else.
   *
   * @param {() => unknown} worker
   */
  deploy(worker) {
    writeScript(worker, this.file);
  }
}

/**
 * Starts a service and waits until it is ready. Its processes are killed after the test.
 *
 * @param {object} given
 * @param {() => unknown} given.worker
 * @param {Record<string, unknown>} [given.options] of `supervise`; by default two workers and times that suit tests
 * @param {Record<string, string | undefined>} [given.env]
 * @param {string} [given.node] which Node runs it; default: this one
 * @param {boolean} [given.ready] whether to wait until it is; default: yes
 */
async function startService({ worker, options = {}, env = {}, node, ready = true }) {
  const folder = temporaryFolder();
  const file = writeScript(worker, path.join(folder, 'app.js'));
  const control = path.join(folder, 'control');
  const all = { workers: 2, drainTimeout: 5000, readyTimeout: 10_000, settleTime: 100, exec: file, args: [], ...options };
  const TEST_SERVICE = JSON.stringify({ options: all, control });
  const script = startScript(path.join(ROOT, '__test__', 'fixtures', 'service.js'), { env: { ...env, TEST_SERVICE }, ...(node && { node }) });
  const service = new Service(script, control, file);
  await service.event('controllable');
  if (ready) await service.event('ready');
  return service;
}

/** A worker: each reply is its pid. `/slow?500` takes 500 ms; `/hang` (which prints that it does), `/throw` and `/exit?3`. */
function pidServer() {
  const http = require('node:http');
  const server = http.createServer((asked, response) => {
    const [where, time] = asked.url.split('?');
    const answer = () => response.end(`${process.pid}`);
    if (where === '/slow') setTimeout(answer, Number(time));
    else if (where === '/hang') hang();
    else if (where === '/exit') process.exit(Number(time));
    else if (where === '/throw') throw new Error('thrown by a request');
    else answer();
  });
  server.listen(Number(process.env.PORT ?? 0), '127.0.0.1');

  function hang() {
    require('node:fs').writeSync(1, `${process.pid} hangs\n`);
    for (;;);
  }
}

if (typeof afterEach === 'function') {
  afterEach(() => {
    for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true });
    folders.clear();
  });
}

module.exports = { Service, pidServer, startService, temporaryFolder, writeScript };
