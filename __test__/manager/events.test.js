'use strict';

// `rcluster events`: what happens to apps and processes, as it happens.

const { once } = require('node:events');

const { Home } = require('./home');
const { waitFor: waitForCondition } = require('../helpers/run');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });

/** @param {Home} home @param {string[]} words */
function follow(home, words) {
  const child = home.spawn(['events', ...words]);
  const heard = { text: '', child, lines: () => heard.text.split('\n').filter(Boolean) };
  child.stdout.on('data', (chunk) => (heard.text += chunk));
  return heard;
}

test('a line for what happens, of all or of one app; as JSON where that is asked for', async () => {
  const home = new Home();
  home.write('a.js', 'setInterval(() => {}, 1e6)');
  home.write('b.js', 'setInterval(() => {}, 1e6)');
  await home.run('start', 'a.js', '--no-autostart');
  const [all, one, json] = [follow(home, ['-f']), follow(home, ['a']), follow(home, ['--json'])];
  // The first line says that somebody listens; the others begin to at about the same time.
  await waitFor('hello', () => json.lines().some((line) => JSON.parse(line).event === 'hello'));
  await waitFor('lines of all three', async () => {
    await home.run('restart', 'a');
    return [all, one, json].every(({ lines }) => lines().some((line) => line.includes('online')));
  });
  await home.run('start', 'b.js');
  await home.run('delete', 'b');
  await waitFor('the end of b', () => /b deleted/.test(all.text));
  await waitFor('the end of b as JSON', () => json.lines().some((line) => JSON.parse(line).change === 'deleted'));
  expect(all.text).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z b added$/m);
  expect(all.text).toMatch(/^\S+ b 0: online \(\d+\)$/m);
  expect(all.text).toMatch(/^\S+ b 0: stopped$/m);
  expect(one.text).not.toMatch(/ b /);
  const ended = once(all.child, 'exit');
  await home.manager.kill();
  // Nothing comes any more.
  expect((await ended)[0]).toBe(0);
});

test.each([
  [['nothing'], 1, /nothing/],
  [['a', 'b'], 2, /events: of one app, or of all\. Received 2 words/],
  [['--nonsense'], 2, /--nonsense/],
])('%j is refused', async (words, code, text) => {
  const home = new Home();
  await home.manager.ensureDaemon();
  const result = await home.run('events', ...words);
  expect([result.code, result.stderr]).toEqual([code, expect.stringMatching(text)]);
});
