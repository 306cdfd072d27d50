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
  // Of what it says: there are spaces behind that.
  'cut in the middle': (file) => fs.truncateSync(file, Math.floor(fs.readFileSync(file, 'utf8').trimEnd().length / 2)),
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

/** What scripts in a mount namespace of their own begin with. */
const MOUNTED = `
  set -e
  mount -t tmpfs -o size=512k,mode=700 none "$RCLUSTER_HOME"
  cd "$1"
  rcluster() { "$NODE" "$COMMAND" "$@"; }
  # What a verb says, and how it ends.
  try() { rcluster "$@" > /dev/null 2> message && echo "code $1 0" || echo "code $1 $?"; echo "said $1: $(head -c 1000 message)"; }
  tell() { echo "$1 $(rcluster list --json 2> /dev/null)"; }
  killed() { kill -9 "$(cat "$RCLUSTER_HOME/daemon.pid")"; }
  fill() { dd if=/dev/zero of="$RCLUSTER_HOME/full" bs=1k 2> /dev/null || true; }
  trap 'rcluster kill > /dev/null 2>&1' EXIT
`;

/**
 * Runs a script with a home on a small disk that can be filled.
 *
 * @param {string} text
 */
async function onSmallDisk(text) {
  const home = new Home();
  home.write('sleep.js', SLEEP);
  fs.mkdirSync(home.path);
  const file = home.write('full.sh', `${MOUNTED}${text}`);
  const env = { NODE: process.execPath, COMMAND, RCLUSTER_HOME: home.path };
  const script = startScript('-Urm', { node: 'unshare', args: ['sh', file, home.folder], env });
  const exit = await script.waitForExit({ timeout: 50_000 });
  expect({ ...exit, stderr: script.stderr }).toEqual({ code: 0, signal: null, stderr: [] });
  fs.rmSync(home.path, { recursive: true });
  const lines = (/** @type {string} */ word) => script.stdout.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));
  const lists = (/** @type {string} */ word) => lines(word).map((line) => JSON.parse(line));
  return { home, lines, lists };
}

/** @param {any[]} list */
const states = (list) => list.map(({ name, processes }) => [name, ...processes.map((/** @type {any} */ { state }) => state)]);

testUnless(mounting(), 'unshare')('a home that is read-only, or too full for anything new: the verb fails, and nothing has changed', async () => {
  const { home, lines, lists } = await onSmallDisk(`
    mount -o remount,ro none "$RCLUSTER_HOME"
    try start sleep.js -n first
    mount -o remount,rw none "$RCLUSTER_HOME"
    rcluster start sleep.js -n first > /dev/null
    fill
    BIG="$(head -c 60000 /dev/zero | tr '\\0' x)" try start sleep.js -n second
    tell full
    killed
    tell anew
    rm "$RCLUSTER_HOME/full"
    try start sleep.js -n second
    tell after
  `);
  expect(lines('code')).toEqual(['start 1', 'start 1', 'start 0']);
  const [readOnly, isFull] = lines('said');
  expect(readOnly).toBe(`start: rcluster: the home "${home.path}" cannot be used: Read-only file system (os error 30)`);
  expect(isFull).toBe('start: rcluster: what should run could not be written down, so nothing was changed: No space left on device (os error 28); rcluster flush empties logs');
  const [[full], [anew], [after]] = [lists('full'), lists('anew'), lists('after')];
  expect(states(full)).toEqual([['first', 'online']]);
  // The next daemon has no room for what it has to say, and goes on.
  expect([states(anew), anew[0].processes[0].pid]).toEqual([states(full), full[0].processes[0].pid]);
  expect(states(after)).toEqual([['first', 'online'], ['second', 'online']]);
}, 60_000);

testUnless(mounting(), 'unshare')('on a full disk what runs is stopped, started, scaled, deleted and killed, and that is remembered: the room for it is kept', async () => {
  const { lines, lists } = await onSmallDisk(`
    rcluster start sleep.js -n a > /dev/null
    # Larger than all that was written before.
    BIG="$(head -c 9000 /dev/zero | tr '\\0' x)" rcluster start sleep.js -n b > /dev/null
    fill
    try stop a
    try stop b
    try start b
    try restart b
    try scale b 2
    try delete a
    tell before
    killed
    tell anew
    try kill
    tell killed
  `);
  expect(lines('code')).toEqual(['stop 0', 'stop 0', 'start 0', 'restart 0', 'scale 0', 'delete 0', 'kill 0']);
  // Not a word: nothing is wrong.
  expect(lines('said')).toEqual(['stop', 'stop', 'start', 'restart', 'scale', 'delete', 'kill'].map((verb) => `${verb}: `));
  const [[before], [anew], [killed]] = [lists('before'), lists('anew'), lists('killed')];
  expect(states(before)).toEqual([['b', 'online', 'online']]);
  expect(states(anew)).toEqual(states(before));
  expect(anew.some((/** @type {any} */ app) => 'notSaved' in app)).toBe(false);
  expect(killed).toEqual([]);
}, 60_000);

testUnless(mounting(), 'unshare')('where nothing can be written down it is done all the same, said, and written down as soon as it can be', async () => {
  const { lines, lists } = await onSmallDisk(`
    for name in a b; do rcluster start sleep.js -n $name > /dev/null; done
    # For those who come by its path from now on; what is open already is written on.
    mount --bind "$RCLUSTER_HOME" "$RCLUSTER_HOME"
    mount -o remount,bind,ro "$RCLUSTER_HOME"
    try stop a
    try delete b
    try start sleep.js -n c
    try update
    tell meanwhile
    umount "$RCLUSTER_HOME"
    until [ "$(rcluster list 2>&1 > /dev/null)" = '' ]; do sleep 0.1; done
    killed
    tell anew
  `);
  expect(lines('code')).toEqual(['stop 0', 'delete 0', 'start 1', 'update 1']);
  const [stop, remove, start, update] = lines('said');
  const notice = 'rcluster: what was done is not written down: Read-only file system (os error 30); the daemon tries again by itself, and another one would not know of it until that has worked';
  expect([stop, remove]).toEqual([`stop: ${notice}`, `delete: ${notice}`]);
  expect(start).toBe('start: rcluster: what should run could not be written down, so nothing was changed: Read-only file system (os error 30)');
  expect(update).toBe('update: rcluster: what was done last could not be written down, and another daemon would not know of it: Read-only file system (os error 30)');
  const [[meanwhile], [anew]] = [lists('meanwhile'), lists('anew')];
  expect(states(meanwhile)).toEqual([['a', 'stopped']]);
  expect(meanwhile[0].notSaved).toBe('Read-only file system (os error 30)');
  expect(states(anew)).toEqual([['a', 'stopped']]);
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
