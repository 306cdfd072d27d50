'use strict';

// One fault: a service, a strace that lets one call fail, requests and messages meanwhile and afterwards.

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const { createInterface } = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');
const path = require('node:path');
const { ask } = require('../hostile/load.js');
const { costs } = require('../hostile/proc.js');

const REQUESTS = 24;
/** How long (ms) the service may take to get over it. */
const RECOVERY = 700;
const IDLE = 500;
/** How long (ms) each worker has for its first answer; one that is traced may lose its turns to others for a time. */
const TURN = 5000;
/** Percent of a processor that a process with nothing to do may need; the machine may be busy. */
const IDLE_CPU = 20;

/** @returns {string | undefined} why nothing can be traced here */
function canTrace() {
  const { error, status, stderr } = spawnSync('strace', ['-e', 'trace=none', 'true'], { encoding: 'utf8' });
  if (error) return `strace cannot be run: ${error.message}`;
  return status === 0 ? undefined : `strace may not trace: ${stderr.trim().split('\n')[0]}`;
}

class Service {
  /** @type {any[]} */
  messages = [];
  /** @type {string | undefined} */
  ended;

  /** @param {string | undefined} packageFolder @param {NodeJS.ProcessEnv} [more] variables of its environment */
  constructor(packageFolder, more = {}) {
    const env = { ...process.env, ...(packageFolder && { RCLUSTER_PACKAGE: path.resolve(packageFolder) }), ...more };
    this.process = spawn(process.execPath, [path.join(__dirname, 'app.js')], { env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.errors = '';
    this.process.stderr.on('data', (text) => (this.errors += text));
    this.process.stdin.on('error', () => {});
    createInterface({ input: this.process.stdout }).on('line', (line) => this.messages.push(JSON.parse(line)));
    this.process.on('exit', (code, signal) => (this.ended = `${signal ?? code}`));
  }

  /** @param {string} name @returns {any[]} */
  all(name) {
    return this.messages.filter((message) => name in message).map((message) => message[name]);
  }

  /** @param {() => boolean} condition @param {number} [ms] */
  async until(condition, ms = 10_000) {
    for (const end = Date.now() + ms; !condition() && Date.now() < end; ) await sleep(10);
    return condition();
  }

  /** The pids of workers that live. */
  get workers() {
    const gone = new Set(this.all('exited'));
    return [...new Set(this.all('listening'))].filter((pid) => !gone.has(pid));
  }

  get port() {
    return this.all('port')[0];
  }

  /** @param {string} order */
  order(order) {
    this.process.stdin.write(`${order}\n`);
  }

  async end() {
    const { workers } = this;
    if (this.ended === undefined) {
      this.process.kill('SIGKILL');
      await once(this.process, 'exit');
    }
    for (const pid of workers) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended with its primary.
      }
    }
  }
}

/** @param {number} port @returns {Promise<number>} how many of some requests were answered */
async function answered(port) {
  const answers = await Promise.all(Array.from({ length: REQUESTS }, () => ask(port)));
  return answers.filter((pid) => pid > 0).length;
}

/**
 * @param {import('./list.js').Fault} fault
 * @param {string} [packageFolder]
 * @returns {Promise<{ reasons: string[], injected: boolean, told: string[] }>}
 */
async function tryOut(fault, packageFolder) {
  return fault.where === 'newborn' ? tryNewborn(fault, packageFolder) : tryRunning(fault, packageFolder);
}

/** @param {import('./list.js').Fault} fault @param {string} [packageFolder] */
async function tryRunning({ where, call, error, when }, packageFolder) {
  const service = new Service(packageFolder);
  let strace;
  try {
    await started(service);
    const traced = where === 'worker' ? service.workers[0] : service.process.pid;
    const whom = where === 'acceptor' ? ['-p', `${acceptorOf(traced)}`] : ['-f', '-p', `${traced}`];
    strace = spawn('strace', [...whom, ...inject({ call, error, when })], { stdio: ['ignore', 'ignore', 'pipe'] });
    let traceText = '';
    strace.stderr.on('data', (text) => (traceText += text));
    await service.until(() => isTraced(where === 'acceptor' ? acceptorOf(traced) : traced), 3000);
    const before = service.all('back').length;
    service.order('ask');
    await answered(service.port);
    service.order('ask');
    // Some calls are only made for a new worker.
    if (where !== 'worker') service.order('fork');
    await answered(service.port);
    await service.until(() => service.all('back').length >= before + 4, 500);
    const injected = /INJECTED/.test(traceText);
    await stop(strace);
    await sleep(RECOVERY);
    return { reasons: await inspect(service), injected, told: service.all('told') };
  } finally {
    if (strace) await stop(strace);
    await service.end();
  }
}

/** @param {import('./list.js').Fault} fault @param {string} [packageFolder] */
async function tryNewborn(fault, packageFolder) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-faults-'));
  const log = path.join(folder, 'log');
  const node = path.join(folder, 'node');
  // strace detaches itself (-D), so that the worker is the process that was started.
  const command = ['strace', '-D', '-f', '-o', log, ...inject(fault), process.execPath].map((word) => `'${word}'`).join(' ');
  fs.writeFileSync(node, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  const service = new Service(packageFolder, { TRACED_NODE: node });
  try {
    await started(service);
    service.order('fork traced');
    await service.until(() => service.all('listening').length === 3 || service.all('told').length > 0);
    service.order('ask');
    await answered(service.port);
    await sleep(RECOVERY);
    const reasons = await inspect(service);
    const told = service.all('told');
    // What could not listen has ended or said why: there is no third way.
    if (service.all('listening').length < 3 && told.length === 0) reasons.push('the new worker does not listen, and nobody was told');
    return { reasons, injected: fs.existsSync(log) && /INJECTED/.test(fs.readFileSync(log, 'utf8')), told };
  } finally {
    await service.end();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {Service} service */
async function started(service) {
  if (!(await service.until(() => service.workers.length === 2, 60_000))) throw new Error(`the service did not start: ${service.errors}`);
  await answered(service.port);
}

/** @param {Pick<import('./list.js').Fault, 'call' | 'error' | 'when'>} fault @returns {string[]} arguments of strace */
function inject({ call, error, when }) {
  return ['-qq', '-e', 'signal=none', '-e', `trace=${call}`, '-e', `inject=${call}:error=${error}:when=${when}`];
}

/** @param {import('node:child_process').ChildProcess} child */
async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/**
 * @param {number} pid
 * @returns {number} the number of its acceptor's thread
 */
function acceptorOf(pid) {
  const tasks = fs.readdirSync(`/proc/${pid}/task`);
  return Number(tasks.find((task) => fs.readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8').startsWith('rcluster-accept')));
}

/** @param {number} task */
function isTraced(task) {
  try {
    return !/TracerPid:\s+0\n/.test(fs.readFileSync(`/proc/${task}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/**
 * @param {Service} service
 * @returns {Promise<string[]>} what is wrong
 */
async function inspect(service) {
  if (service.ended !== undefined) return [`the primary ended: ${service.ended}: ${service.errors.split('\n').find((line) => /Error/.test(line)) ?? ''}`];
  const reasons = [];
  const { workers, port } = service;
  const told = service.all('told').length > 0;
  const served = (await answered(port)) + (await answered(port));
  if (served < 2 * REQUESTS) reasons.push(`${2 * REQUESTS - served} of ${2 * REQUESTS} later requests were not answered`);
  service.messages = service.messages.filter((message) => !('back' in message));
  service.order('ask');
  await service.until(() => workers.every((pid) => service.all('back').includes(pid)), 2000);
  const silent = workers.filter((pid) => !service.all('back').includes(pid)).length;
  if (silent > 0 && !told) reasons.push(`${silent} of ${workers.length} workers do not answer messages, and nobody was told`);
  const pids = [Number(service.process.pid), ...workers];
  const cpuBefore = pids.map((pid) => costs(pid)?.cpu ?? 0);
  await sleep(IDLE);
  pids.forEach((pid, index) => {
    const cpu = Math.round((((costs(pid)?.cpu ?? 0) - cpuBefore[index]) / IDLE) * 100);
    if (cpu > IDLE_CPU) reasons.push(`${index === 0 ? 'the primary' : 'a worker'} needs ${cpu} % of a processor with nothing to do`);
  });
  const idle = await idleWorkers(service);
  if (idle > 0 && !told) reasons.push(`${idle} of ${workers.length} workers get no connections, and nobody was told`);
  return reasons;
}

/** @param {Service} service @returns {Promise<number>} how many workers answer no request for a time in which each has its turn often */
async function idleWorkers({ port, workers }) {
  const seen = new Set();
  for (const end = Date.now() + TURN; seen.size < workers.length && Date.now() < end; ) {
    for (const pid of await Promise.all(Array.from({ length: REQUESTS }, () => ask(port)))) seen.add(pid);
  }
  return workers.filter((pid) => !seen.has(pid)).length;
}

module.exports = { canTrace, tryOut };
