'use strict';

// Private members of `process`, of child processes and of timers are what lib/node/ takes them for, in whichever Node this is.

const { spawn, spawnSync } = require('node:child_process');
const { createHook, executionAsyncResource } = require('node:async_hooks');
const EventEmitter = require('node:events');
const { once } = EventEmitter;
const net = require('node:net');
const path = require('node:path');
const node = require('../../lib/node/process.js');
const { endWithTest, waitFor } = require('../helpers/run');

const FILE = path.join(__dirname, '..', '..', 'lib', 'node', 'process.js');
/** Runs a script in a process of its own. What it writes with `say` is there however it ends. */
function run(script) {
  const code = `const node = require(${JSON.stringify(FILE)}); const say = (text) => require('node:fs').writeSync(1, text + ' ');\n${script}`;
  const { stdout, status, signal } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } });
  return { said: stdout.trim(), end: signal ?? status };
}

test('activeHandles: servers and sockets of this process', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  expect(node.activeHandles()).toContain(server);
  server.close();
  await waitFor(() => !node.activeHandles().includes(server));
});

test('isExiting: no tick comes any more', () => {
  expect(run("say(node.isExiting()); process.on('exit', () => say(node.isExiting()));").said).toBe('false true');
});

test('evalScript: what `node -e` runs', () => {
  expect(run('say(node.evalScript().includes("this very text"))').said).toBe('true');
  expect(node.evalScript()).toBeUndefined();
});

test('debugProcess: another process opens its debugger', async () => {
  const child = endWithTest(spawn(process.execPath, ['--inspect-port=0', '-e', "console.log('up'); setInterval(() => {}, 1e3)"], { stdio: ['ignore', 'pipe', 'pipe'] }));
  await once(child.stdout, 'data');
  node.debugProcess(child.pid);
  expect(String((await once(child.stderr, 'data'))[0])).toMatch(/Debugger listening/);
});

test.each([
  ['process.exit()', 'process.exit(3)', 'exit', 3],
  ['an exception', "process.stderr.write = () => true; throw new Error('one')", 'exit', 1],
  ['process.reallyExit()', 'process.reallyExit(4)', 'exit', 4],
  ['a signal to itself', "process.kill(process.pid, 'SIGKILL')", 'signal', 'SIGKILL'],
  ['process.abort()', 'process.abort()', 'signal', 'SIGABRT'],
])('beforeEnd: %s', (_how, script, said, end) => {
  expect(run(`node.beforeEnd({ atExit: () => say('exit'), atSignal: () => say('signal') }); ${script}`)).toEqual({ said, end });
});

test('beforeEnd: an exception that is caught ends nothing', () => {
  const script = `node.beforeEnd({ atExit: () => say('exit'), atSignal: () => say('signal') });
    process.once('uncaughtException', () => setTimeout(() => { say('lives'); process.exit(0); }, 1));
    throw new Error('one');`;
  expect(run(script)).toEqual({ said: 'lives exit', end: 0 });
});

test('needsToClose and hasClosed: a child process is closed when one thing more has ended', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  child.stdout.resume();
  child.stderr.resume();
  node.needsToClose(child, 1);
  const closed = jest.fn();
  child.on('close', closed);
  await Promise.all([once(child, 'exit'), once(child.stdout, 'close'), once(child.stderr, 'close'), once(child.stdin, 'close')]);
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(closed).not.toHaveBeenCalled();
  node.hasClosed(child);
  expect(closed.mock.calls).toEqual([[0, null]]);
  // A process object that needs nothing.
  const other = new EventEmitter();
  node.needsToClose(other, 1);
  node.hasClosed(other);
  expect(Object.keys(other).filter((name) => name.includes('closes'))).toEqual([]);
});

test('unstarted: a child process that was never started can be closed, and not killed', async () => {
  const { ChildProcess } = require('node:child_process');
  const child = Object.assign(Object.setPrototypeOf(new EventEmitter(), ChildProcess.prototype), node.unstarted(), { exitCode: -24, signalCode: null });
  expect(child.kill()).toBe(false);
  const closed = once(child, 'close');
  node.hasClosed(child);
  expect(await closed).toEqual([-24, null]);
});

test('isInterval: a timer that repeats', async () => {
  const seen = new Map();
  const hook = createHook({ before: (id) => seen.set(id, node.isInterval(executionAsyncResource())) }).enable();
  const ids = [];
  const { executionAsyncId } = require('node:async_hooks');
  await new Promise((resolve) => {
    setTimeout(() => ids.push(executionAsyncId()), 1);
    const interval = setInterval(() => {
      ids.push(executionAsyncId());
      clearInterval(interval);
      setTimeout(resolve, 5);
    }, 5);
  });
  hook.disable();
  expect(ids.map((id) => seen.get(id))).toEqual([false, true]);
});
