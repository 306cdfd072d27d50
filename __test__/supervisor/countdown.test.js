'use strict';

const { Countdown } = require('../../lib/supervisor/countdown');

/** Keeps this process from doing anything else. */
function block(time) {
  for (const end = performance.now() + time; performance.now() < end;);
}

test('it ends when its time is over', async () => {
  const start = performance.now();
  await new Promise((resolve) => { new Countdown(40, resolve); });
  expect(performance.now() - start).toBeGreaterThanOrEqual(39);
});

test('one that is stopped does not', async () => {
  let over = false;
  const countdown = new Countdown(10, () => (over = true));
  countdown.stop();
  await new Promise((resolve) => { new Countdown(30, resolve); });
  expect(over).toBe(false);
});

test('time in which nobody could talk to us does not count', async () => {
  let over = false;
  const countdown = new Countdown(200, () => (over = true));
  block(400);
  await new Promise((resolve) => { setImmediate(resolve); });
  await new Promise((resolve) => { setImmediate(resolve); });
  expect(over).toBe(false);
  countdown.stop();
});

test('what has come meanwhile is seen first', async () => {
  const { port1, port2 } = new MessageChannel();
  const seen = [];
  await new Promise((resolve) => {
    new Countdown(0, () => resolve(seen.push('over')));
    port1.on('message', (text) => seen.push(text));
    port2.postMessage('news');
    block(20);
  });
  port1.close();
  expect(seen).toEqual(['news', 'over']);
});
