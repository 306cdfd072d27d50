'use strict';

// What is said to programs that run.

const { once } = require('node:events');

const { waitFor: waitForCondition } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });

const NODE = `
  process.on('message', (message) => console.log('message', JSON.stringify(message)));
  process.stdin.on('data', (data) => console.log('input', String(data).trim()));
  process.on('SIGUSR2', () => console.log('signal'));
  setInterval(() => {}, 1e6);
  console.log('begun');`;

test('send gives a Node program a message, any other a line; sendSignal a signal', async () => {
  const home = new Home();
  home.write('node.js', NODE);
  home.write('shell.sh', 'while read line; do echo "line $line"; done');
  await home.run('start', 'node.js', 'shell.sh');
  await waitFor('its begin', () => home.log('node-out.log').includes('begun'));
  expect((await home.run('send', 'node', '{"a":', '1}')).code).toBe(0);
  await home.run('send', 'node', 'just words');
  await home.run('send', 'node', '--stdin', 'typed');
  await home.run('send', 'shell', 'to', 'a shell');
  await home.run('sendSignal', 'SIGUSR2', 'node');
  await waitFor('all of it', () => ['message {"a":1}', 'message "just words"', 'input typed', 'signal'].every((line) => home.log('node-out.log').includes(line)));
  await waitFor('the line', () => home.log('shell-out.log').includes('line to a shell'));
  expect(await home.run('sendSignal', 'SIGNONE', 'node')).toMatchObject({ code: 1, stderr: 'rcluster: there is no signal "SIGNONE"\n' });
});

test('attach shows what is written and gives it what is typed, and leaves the program running', async () => {
  const home = new Home();
  home.write('node.js', NODE);
  await home.run('start', 'node.js');
  await waitFor('its begin', () => home.log('node-out.log').includes('begun'));
  const child = home.spawn(['attach', 'node']);
  let shown = '';
  child.stdout.on('data', (data) => (shown += data));
  child.stdin.write('first\n');
  await waitFor('the answer', () => shown.includes('input first'));
  child.stdin.end('second\n');
  await once(child, 'close');
  expect([child.exitCode, shown]).toEqual([0, 'input first\ninput second\n']);
  expect((await home.json('list'))[0].processes[0].state).toBe('online');
  expect((await home.run('attach', 'nothing')).code).toBe(1);
  expect(await home.run('attach', 'node', 'more')).toMatchObject({ code: 2, stderr: expect.stringContaining('one app at a time. Received node more') });
});

test('reset forgets restarts', async () => {
  const home = new Home();
  home.write('node.js', NODE);
  await home.run('start', 'node.js');
  await home.run('restart', 'node');
  expect((await home.json('list'))[0].processes[0].restarts).toBe(1);
  await home.run('reset', 'all');
  expect((await home.json('list'))[0].processes[0].restarts).toBe(0);
});
