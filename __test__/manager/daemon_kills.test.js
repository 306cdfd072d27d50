'use strict';

// The daemon is killed, and what it has written down is damaged, or cannot be written: nothing is lost, and nothing is restarted.

const fs = require('node:fs');
const path = require('node:path');
const { soak } = require('../../scripts/soak/daemon_kills');
const { testUnless } = require('../helpers/needs');
const { ticksOf } = require('../helpers/proc');
const { mounting } = require('../helpers/rights');
const { startScript, waitFor: waitForCondition, waitForDeath } = require('../helpers/run');
const { COMMAND } = require('../helpers/command');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });
const SLEEP = 'setInterval(() => {}, 1e6)';

test('killed five times at random moments while verbs run: nobody else notices', async () => {
  const figures = await soak(5);
  expect(figures).toMatchObject({ kills: 5, lost: 0, linesLost: 0, wrong: [] });
  expect(Math.min(figures.verbs, figures.requests, figures.lines)).toBeGreaterThan(0);
}, 120_000);

/** What has been done to a file of states. @type {Record<string, (file: string) => void>} */
const DAMAGE = {
  'cut in the middle': (file) => fs.truncateSync(file, Math.floor(fs.statSync(file).size / 2)),
  empty: (file) => fs.truncateSync(file, 0),
  'full of something else': (file) => fs.writeFileSync(file, Buffer.alloc(1000, 0xff)),
};

test.each([['cut in the middle', 1], ['empty', 1], ['full of something else', 2], ['cut in the middle', 3]])('the file of states is %s, and those of before, %i in all', async (how, count) => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  for (const name of ['a', 'b', 'c', 'd']) await home.run('start', 'sleep.js', '-n', name);
  await home.run('stop', 'b');
  const shape = async () => (await home.json('list')).map((/** @type {any} */ { name, processes: [one] }) => [name, one.id, one.pid, one.restarts]);
  const before = await shape();
  const daemon = home.daemonPid();
  process.kill(daemon, 'SIGKILL');
  await waitForDeath([daemon]);
  for (const name of ['state.json', 'state.json.1', 'state.json.2'].slice(0, count)) DAMAGE[how](path.join(home.path, name));
  // What runs is listed, whatever has been forgotten.
  expect((await shape()).sort()).toEqual(before.sort());
  expect(fs.readdirSync(home.path).filter((name) => name.includes('.corrupt-')).length).toBe(count);
  // It can be told, and the next number is a new one.
  await home.run('start', 'b');
  await home.run('start', 'sleep.js', '-n', 'e');
  expect((await shape()).map(([, id]) => id).sort()).toEqual([0, 1, 2, 3, 4]);
}, 30_000);

test('a file of a later version is left alone, and said to be so', async () => {
  const home = new Home();
  fs.mkdirSync(home.path, { mode: 0o700 });
  const file = path.join(home.path, 'state.json');
  fs.writeFileSync(file, '{"version":99}');
  const { code, stderr } = await home.run('list');
  expect([code, stderr]).toEqual([1, expect.stringContaining(`"${file}" cannot be used: it was written by a later version of rcluster`)]);
  expect(fs.readFileSync(file, 'utf8')).toBe('{"version":99}');
  fs.rmSync(file);
});

testUnless(mounting(), 'unshare')('a disk that is read-only, or full: the verb fails, and nothing has changed', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  fs.mkdirSync(home.path);
  const text = home.write('full.sh', `
    set -e
    mount -t tmpfs -o size=512k,mode=700 none "$RCLUSTER_HOME"
    cd "$1"
    rcluster() { "$NODE" "$COMMAND" "$@"; }
    trap 'rcluster kill > /dev/null 2>&1' EXIT
    mount -o remount,ro none "$RCLUSTER_HOME"
    rcluster start sleep.js -n first > /dev/null 2> message && echo "code 0" || echo "code $?"
    echo "said $(cat message)"
    mount -o remount,rw none "$RCLUSTER_HOME"
    rcluster start sleep.js -n first > /dev/null
    dd if=/dev/zero of="$RCLUSTER_HOME/full" bs=1k 2> /dev/null || true
    rcluster start sleep.js -n second > /dev/null 2> message && echo "code 0" || echo "code $?"
    echo "said $(cat message)"
    rcluster stop first > /dev/null 2> message && echo "code 0" || echo "code $?"
    echo "list $(rcluster list --json)"
    kill -9 "$(cat "$RCLUSTER_HOME/daemon.pid")"
    echo "list $(rcluster list --json)"
    rm "$RCLUSTER_HOME/full"
    rcluster start sleep.js -n second > /dev/null 2>&1 && echo "code 0" || echo "code $?"
    echo "list $(rcluster list --json)"
  `);
  const env = { NODE: process.execPath, COMMAND, RCLUSTER_HOME: home.path };
  const script = startScript('-Urm', { node: 'unshare', args: ['sh', text, home.folder], env });
  expect(await script.waitForExit({ timeout: 30_000 })).toEqual({ code: 0, signal: null });
  const lines = (/** @type {string} */ word) => script.stdout.filter((line) => line.startsWith(word)).map((line) => line.slice(word.length + 1));
  expect(lines('code')).toEqual(['1', '1', '1', '0']);
  const [readOnly, isFull] = lines('said');
  expect(readOnly).toBe(`rcluster: the home "${home.path}" cannot be used: Read-only file system (os error 30)`);
  expect(isFull).toContain('could not be written down, so nothing was changed: No space left on device (os error 28); rcluster flush empties logs');
  const [full, anew, after] = lines('list').map((line) => JSON.parse(line));
  const shape = (/** @type {any[]} */ list) => list.map(({ name, processes: [one] }) => [name, one.state]);
  expect(shape(full)).toEqual([['first', 'online']]);
  // The next daemon has no room for what it has to say, and goes on.
  expect([shape(anew), anew[0].processes[0].pid]).toEqual([shape(full), full[0].processes[0].pid]);
  expect(shape(after)).toEqual([['first', 'online'], ['second', 'online']]);
  fs.rmSync(home.path, { recursive: true });
}, 60_000);

test('who has nothing to do does nothing', async () => {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  await home.run('start', 'sleep.js');
  const [{ keeper }] = await home.json('list');
  const pids = [home.daemonPid(), keeper];
  const calls = (/** @type {number} */ pid) => fs.readFileSync(`/proc/${pid}/status`, 'utf8').match(/^voluntary_ctxt_switches:\s*(\d+)$/m)?.[1];
  // Each time that one of them wakes it waits again, and that is counted.
  const before = await waitFor('rest', async () => {
    const [now, then] = [pids.map(calls), await new Promise((resolve) => { setTimeout(() => resolve(pids.map(calls)), 500); })];
    return `${now}` === `${then}` && then;
  });
  const ticks = pids.map(ticksOf);
  await new Promise((resolve) => { setTimeout(resolve, 3000); });
  expect(pids.map(calls)).toEqual(before);
  expect(pids.map(ticksOf)).toEqual(ticks);
});
