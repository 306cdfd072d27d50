'use strict';

// The first process of a container.

const fs = require('node:fs');
const path = require('node:path');
const { COMMAND } = require('../helpers/command');
const { describeUnless } = require('../helpers/needs');
const { namespaces } = require('../helpers/rights');
const { ROOT, childrenOf, request, startScript, waitFor } = require('../helpers/run');
const { Service, temporaryFolder, writeScript } = require('../helpers/service');

const UNSHARE = ['--pid', '--fork', '--mount-proc', '--kill-child'];

function server() {
  const { spawn } = require('node:child_process');
  const draining = new Promise((resolve) => { require('node:cluster').once('draining', resolve); });
  const http = require('node:http').createServer(async (asked, response) => {
    if (asked.url === '/slow') {
      console.log('asked');
      await draining;
    } else if (asked.url === '/orphan') {
      // The shell ends before what it has started.
      spawn('sh', ['-c', 'sleep 0.2 & sleep 0.3 &'], { stdio: 'ignore' }).on('exit', () => response.end());
      return;
    }
    response.end(`${process.pid}`);
  });
  http.listen(0, '127.0.0.1', () => console.log(`port ${http.address().port}`));
}

/** @returns {string} The state of a process: `Z` for a zombie. */
function stateOf(pid) {
  try {
    return /^State:\s+(\w)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1];
  } catch {
    return 'gone';
  }
}

/** Starts the command as process 1 of its own namespace. */
async function start(worker = server, args = []) {
  const script = startScript(process.execPath, {
    node: 'unshare',
    execArgv: UNSHARE,
    args: [COMMAND, '-i', '2', ...args, writeScript(worker)],
  });
  return { script, first: () => childrenOf(script.pid)[0] };
}

describeUnless(namespaces(UNSHARE), 'unshare')('as PID 1', () => {
  test('SIGTERM drains, exit code 0', async () => {
    const { script, first } = await start();
    const [, port] = await script.waitForLine(/^port (\d+)$/);
    await script.waitForLine(/2 workers are ready/);
    const slow = request(port, { path: '/slow' });
    await script.waitForLine(/^asked$/);
    process.kill(first(), 'SIGTERM');
    expect(await script.waitForExit()).toEqual({ code: 0, signal: null });
    expect((await slow).status).toBe(200);
  });

  test('a second signal: exit code 128 + n', async () => {
    const { script, first } = await start();
    const [, port] = await script.waitForLine(/^port (\d+)$/);
    await script.waitForLine(/2 workers are ready/);
    const half = require('node:net').connect(Number(port), '127.0.0.1');
    half.on('error', () => {});
    half.write('GET / HT');
    await new Promise((resolve) => { half.once('connect', resolve); });
    const pid = first();
    process.kill(pid, 'SIGTERM');
    await script.waitForLine(/once more to end at once/);
    await waitFor(() => {
      if (stateOf(pid) === 'gone' || stateOf(pid) === 'Z') return true;
      process.kill(pid, 'SIGTERM');
      return false;
    });
    expect(await script.waitForExit()).toEqual({ code: 143, signal: null });
    half.destroy();
  });

  test('what does not come up: exit code 1', async () => {
    const { script } = await start(() => process.exit(3));
    expect(await script.waitForExit()).toEqual({ code: 1, signal: null });
  });

  test('orphans are collected, and workers still replaced', async () => {
    const { script, first } = await start();
    const [, port] = await script.waitForLine(/^port (\d+)$/);
    await script.waitForLine(/2 workers are ready/);
    await Promise.all(Array.from({ length: 5 }, () => request(port, { path: '/orphan' })));
    const pid = first();
    await waitFor(() => childrenOf(pid).length > 2, { message: 'no orphan has come' });
    process.kill(childrenOf(pid)[0], 'SIGKILL');
    await script.waitForLine(/was killed by SIGKILL; another starts/);
    await waitFor(() => childrenOf(pid).length === 2, { message: () => childrenOf(pid).map(stateOf).join(' ') });
    expect(childrenOf(pid).map(stateOf)).not.toContain('Z');
    process.kill(pid, 'SIGTERM');
    expect(await script.waitForExit()).toEqual({ code: 0, signal: null });
  });

  test('an upgrade: the first process stays, collects what has lost its parent, passes signals on, and ends as the new primary does', async () => {
    const folder = temporaryFolder();
    const [file, control] = [writeScript(server, path.join(folder, 'app.js')), path.join(folder, 'control')];
    const TEST_SERVICE = JSON.stringify({ options: { workers: 2, drainTimeout: 5000, settleTime: 100, exec: file, args: [], signals: true }, control });
    const script = startScript(process.execPath, { node: 'unshare', execArgv: UNSHARE, args: [path.join(ROOT, '__test__/fixtures/service.js')], env: { TEST_SERVICE } });
    const service = new Service(script, control, file);
    await service.event('ready');
    const [first] = childrenOf(script.pid);
    const report = await service.call('upgrade');
    // As the processes of the container see it.
    expect(report).toMatchObject({ oldPid: 1, cut: 0 });
    await waitFor(() => childrenOf(first).length === 1);
    const [primary] = childrenOf(first);
    expect((await service.get('/orphan')).status).toBe(200);
    // The two come to the first process, and end.
    await waitFor(() => childrenOf(first).length > 1);
    await waitFor(() => childrenOf(first).length === 1);
    expect(childrenOf(first)).toEqual([primary]);
    const slow = service.get('/slow');
    await script.waitForLine(/^asked$/);
    process.kill(first, 'SIGTERM');
    expect(await script.waitForExit()).toEqual({ code: 0, signal: null });
    expect((await slow).status).toBe(200);
    expect(service.events('signal')).toEqual(['SIGTERM']);
  });
});
