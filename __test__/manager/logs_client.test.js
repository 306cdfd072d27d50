'use strict';

// `manager.logs()`: lines as they are and as they come, whoever dies meanwhile.

const { waitFor: waitForCondition } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });

/** Says what it is told to. */
const PARROT = 'process.on("message", ({ text, stream = "stdout" }) => process[stream].write(`${text}\\n`)); setInterval(() => {}, 1e6)';

/** @param {import('../../manager/client').LogLine[]} lines */
const words = (lines) => lines.map(({ msg }) => msg);

/** @param {AsyncIterable<import('../../manager/client').LogLine>} lines */
async function all(lines) {
  const found = [];
  for await (const line of lines) found.push(line);
  return found;
}

async function parrots() {
  const home = new Home();
  home.write('parrot.js', PARROT);
  await home.manager.start([{ script: 'parrot.js', name: 'a', cwd: home.folder, instances: 2 }, { script: 'parrot.js', name: 'b', cwd: home.folder }]);
  /** @param {string} target @param {string} text @param {string} file @param {string} [stream] */
  const say = async (target, text, file, stream) => {
    await home.manager.send(target, { text, stream });
    await waitFor(text, () => home.log(file).endsWith(`${text}\n`));
  };
  return { home, say, manager: home.manager };
}

test('what is there: by app, instance, stream, pattern, count and time', async () => {
  const { say, manager } = await parrots();
  await say('0', 'one', 'a-out-0.log');
  await say('1', 'two', 'a-out-1.log');
  await say('b', 'Three', 'b-out.log');
  await say('b', 'oops', 'b-error.log', 'stderr');
  expect(words(await all(manager.logs())).sort()).toEqual(['Three', 'one', 'oops', 'two']);
  const [{ pid }] = (await manager.list())[1].processes;
  expect(await all(manager.logs('b', { stream: 'error' }))).toEqual([{ ts: expect.stringMatching(/^\d{4}-.*Z$/), app: 'b', instance: 0, pid, stream: 'error', msg: 'oops' }]);
  expect(words(await all(manager.logs('a', { instance: 1 })))).toEqual(['two']);
  expect(words(await all(manager.logs('a', { instance: [0, 1] }))).length).toBe(2);
  expect(words(await all(manager.logs('all', { grep: /^three$/i })))).toEqual(['Three']);
  expect(words(await all(manager.logs('b', { lines: 1, stream: 'out' })))).toEqual(['Three']);
  expect(await all(manager.logs('all', { since: new Date(Date.now() + 60_000) }))).toEqual([]);
  await expect(all(manager.logs('nobody'))).rejects.toMatchObject({ code: 'ERR_RCLUSTER_NO_SUCH_TARGET' });
  await expect(all(manager.logs('all', { grep: '(' }))).rejects.toMatchObject({ code: 'ERR_RCLUSTER_BAD_REQUEST' });
});

test('what comes, from another daemon as well, until it is enough: then what is there still comes', async () => {
  const { home, say, manager } = await parrots();
  const enough = new AbortController();
  const pieces = manager.logPieces('b', { lines: 0, follow: true, signal: enough.signal });
  expect((await pieces.next()).value).toEqual([]);
  /** @type {string[]} */
  const heard = [];
  const ended = (async () => {
    for await (const lines of pieces) heard.push(...words(lines));
  })();
  await say('b', 'one', 'b-out.log');
  await waitFor('the first line', () => heard.includes('one'));
  process.kill(home.daemonPid(), 'SIGKILL');
  await waitFor('the end of the daemon', async () => !(await manager.isRunning()) || heard.length > 1);
  await say('b', 'two', 'b-out.log');
  await waitFor('the second line', () => heard.includes('two'));
  await say('b', 'three', 'b-out.log');
  enough.abort();
  await ended;
  expect(heard).toEqual(['one', 'two', 'three']);
});

test('whoever leaves the loop, or closes the manager, is done', async () => {
  const { say, manager } = await parrots();
  await say('b', 'one', 'b-out.log');
  for await (const { msg } of manager.logs('b', { follow: true })) {
    expect(msg).toBe('one');
    break;
  }
  const heard = [];
  const ended = (async () => {
    for await (const { msg } of manager.logs('b', { follow: true })) heard.push(msg);
  })();
  await waitFor('the line', () => heard.length === 1);
  manager.close();
  await ended;
  const { Manager } = require('../../manager/client.js');
  const none = new Manager({ home: `${manager.home}-none`, autostart: false });
  await expect(all(none.logs('all', { follow: true }))).rejects.toMatchObject({ code: 'ERR_RCLUSTER_NO_DAEMON' });
});

test('start --attach shows what is written from the first line on', async () => {
  const home = new Home();
  home.write('talk.js', "console.log('first'); console.error('second'); setInterval(() => {}, 1e6)");
  const child = home.spawn(['start', 'talk.js', '--attach']);
  let shown = '';
  child.stdout.on('data', (chunk) => (shown += chunk));
  await waitFor('both lines', () => shown.includes('0|talk | first\n') && shown.includes('0|talk | second\n'));
});
