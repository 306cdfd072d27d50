'use strict';

// What tests start in a home ends with them, whatever has become of it.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { RUN, end, ofFolder, ofRun } = require('../helpers/leftovers');
const { isAlive } = require('../helpers/proc');
const { ROOT, startScript, waitFor } = require('../helpers/run');
const { Home } = require('./home');

const SLEEP = 'setInterval(() => {}, 1e6)';

test('a daemon that answers no more, its keepers and what they have started are ended, and told', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  await home.run('start', 'sleep.js');
  const [{ keeper, processes: [{ pid }] }] = await home.json('list');
  const pids = [home.daemonPid(), keeper, pid];
  process.kill(pids[0], 'SIGSTOP');
  const left = await home.close(100);
  expect(left.map((line) => Number.parseInt(line, 10)).sort()).toEqual(pids.sort());
  expect(pids.filter(isAlive)).toEqual([]);
  expect(fs.existsSync(home.folder)).toBe(false);
});

test('a test that goes on when its time is over starts nothing any more', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  await home.run('start', 'sleep.js');
  expect(await home.close()).toEqual([]);
  await expect(home.run('list')).rejects.toThrow('the test is over');
  await expect(home.manager.list()).rejects.toThrow('the test is over');
  expect(ofFolder(home.folder)).toEqual([]);
});

test('a process is known by the run in whose environment it was started, also when its parent is gone', async () => {
  const run = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-'));
  const parent = spawn('sh', ['-c', 'setsid sleep 1000 &'], { env: { PATH: process.env.PATH, [RUN]: run }, stdio: 'ignore' });
  await once(parent, 'exit');
  const pids = ofRun(run);
  expect(pids.length).toBe(1);
  expect(await end(() => ofRun(run))).toEqual([expect.stringMatching(new RegExp(`^${pids[0]}: (sh -c )?(setsid )?sleep 1000( &)?$`))]);
  expect(isAlive(pids[0])).toBe(false);
  fs.rmdirSync(run);
});

test('a run that is told to end ends what its tests have started', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-'));
  const pidsOf = (/** @type {string} */ name) => path.join(folder, `${name}.pids`);
  // Two, so that they do not run in the process that gets the signal.
  for (const name of ['a', 'b']) {
    fs.writeFileSync(path.join(folder, `${name}.test.js`), `
      const { Home } = require(${JSON.stringify(path.join(__dirname, 'home'))});
      test('hangs', async () => {
        const home = new Home();
        home.write('sleep.js', '${SLEEP}');
        await home.run('start', 'sleep.js');
        const [{ keeper, processes: [{ pid }] }] = await home.json('list');
        require('fs').writeFileSync('${pidsOf(name)}.new', JSON.stringify([home.folder, home.daemonPid(), keeper, pid]));
        require('fs').renameSync('${pidsOf(name)}.new', '${pidsOf(name)}');
        await new Promise(() => {});
      }, 60_000);`);
  }
  const config = JSON.stringify({ rootDir: folder, transform: {}, testEnvironment: 'node', globalSetup: path.join(__dirname, '..', 'helpers', 'global_setup.js') });
  const jest = startScript('node_modules/jest/bin/jest.js', { args: ['--config', config, '--maxWorkers', '2'], cwd: ROOT });
  let began = [];
  try {
    await waitFor(() => ['a', 'b'].every((name) => fs.existsSync(pidsOf(name))), { timeout: 40_000, message: () => jest.stderr.join('\n') });
    began = ['a', 'b'].map((name) => JSON.parse(fs.readFileSync(pidsOf(name), 'utf8')));
    // 143, or 1 where it sees first that those are gone who run its tests.
    expect([1, 143]).toContain((await jest.stop('SIGTERM')).code);
    for (const [home, ...pids] of began) expect([pids.filter(isAlive), fs.existsSync(home)]).toEqual([[], false]);
  } finally {
    await end(() => began.flatMap(([home]) => ofFolder(home)));
    fs.rmSync(folder, { recursive: true });
  }
}, 60_000);
