'use strict';

// The primary under test: two honest workers that serve HTTP, and a hostile one when it is told so. Speaks with the soak
// (../hostile.js) over its own channel: what happened is told as it happens.

/** @type {any} */
const cluster = require('node:cluster');
const path = require('node:path');
const { monitorEventLoopDelay } = require('node:perf_hooks');

const { RCLUSTER_PACKAGE = path.join(__dirname, '..', '..', '..'), HOSTILE_BINARY, HOSTILE_POLICY, HOSTILE_SUPERVISED } = process.env;
require(RCLUSTER_PACKAGE);

const HONEST = 2;

/** @param {object} message */
const tell = (message) => process.connected && process.send?.(message);

if (HOSTILE_POLICY) cluster.schedulingPolicy = Number(HOSTILE_POLICY);
cluster.setupPrimary({ exec: path.join(__dirname, 'honest.js') });

process.on('warning', (/** @type {any} */ { code, name, message }) => tell({ warning: code ?? name, text: message }));
process.on('uncaughtExceptionMonitor', (error) => tell({ uncaught: `${error.stack}` }));

const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();

/** @type {any} */
let hostile;
/** @type {any} */
let supervisor;

/** @type {Record<string, (message: any) => void>} */
const orders = {
  /** The binary takes the place of Node for this one worker. */
  hostile({ attack }) {
    const node = process.execPath;
    process.execPath = `${HOSTILE_BINARY}`;
    process.env.HOSTILE_ATTACK = attack;
    cluster.once('fork', (/** @type {any} */ worker) => {
      process.execPath = node;
      delete process.env.HOSTILE_ATTACK;
      hostile = worker;
      hostile.on('error', (/** @type {any} */ error) => tell({ noticed: error.code ?? error.message }));
      hostile.on('disconnect', () => tell({ disconnected: hostile.id }));
      hostile.on('exit', (/** @type {number} */ code, /** @type {string} */ signal) => tell({ exited: signal ?? code }));
      tell({ hostile: hostile.process.pid });
    });
    if (supervisor) supervisor.scale(HONEST + 1);
    else cluster.fork();
  },
  fork() {
    const worker = cluster.fork();
    worker.once('listening', () => tell({ joined: worker.process.pid }));
  },
  /** What is left is to be seen, not what nobody has collected yet: a message that was as long as messages may be. */
  collect() {
    /** @type {any} */ (global).gc();
    tell({ collected: true });
  },
  delay() {
    tell({ delay: Math.round(delay.max / 1e6), gone: !hostile || cluster.workers[hostile.id] === undefined });
    delay.reset();
  },
  /** Messages still pass, both ways. */
  ping() {
    const worker = /** @type {any[]} */ (Object.values(cluster.workers)).find((one) => one !== hostile && one.isConnected());
    worker?.once('message', (/** @type {any} */ answer) => tell({ pong: answer }));
    worker?.send('ping');
  },
};

process.on('message', (/** @type {any} */ message) => orders[message.order](message));
process.on('disconnect', () => process.exit());

let listening = 0;
cluster.on('listening', (/** @type {any} */ worker, /** @type {any} */ { port }) => {
  const pids = /** @type {any[]} */ (Object.values(cluster.workers)).map((one) => one.process.pid);
  if (worker !== hostile && ++listening === HONEST) tell({ port, pids });
});
if (HOSTILE_SUPERVISED) supervisor = cluster.supervise({ workers: HONEST, exec: path.join(__dirname, 'honest.js') });
else for (let i = 0; i < HONEST; i++) cluster.fork();
