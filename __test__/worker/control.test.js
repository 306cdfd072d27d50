'use strict';

// What a worker and its primary say to each other, at the worker's end: questions, and what else comes.

const { fstatSync } = require('node:fs');
const { load } = require('../../lib/native.js');
const { Control } = require('../../lib/worker/control.js');

function setUp() {
  const sent = [];
  const got = [];
  const control = new Control(
    (message) => sent.push(message) > 0,
    { disconnect: (message, fd) => got.push(['disconnect', fd]) },
    (message) => got.push(['otherwise', message.act]),
  );
  return { control, sent, got };
}

const isOpen = (fd) => {
  try {
    return Boolean(fstatSync(fd));
  } catch {
    return false;
  }
};

test('each question gets its own answer, once, in whichever order', () => {
  const { control, sent, got } = setUp();
  for (const name of ['a', 'b']) control.send({ act: name }, ({ value }) => got.push([name, value]));
  control.send({ act: 'c' });
  expect(sent).toEqual([{ act: 'a', seq: 1 }, { act: 'b', seq: 2 }, { act: 'c' }]);
  control.on({ act: 'reply', seq: 2, value: 'second' }, -1);
  control.on({ act: 'reply', seq: 1, value: 'first' }, -1);
  control.on({ act: 'reply', seq: 1, value: 'again' }, -1);
  expect(got).toEqual([['b', 'second'], ['a', 'first']]);
});

test('the descriptor of an answer that nobody waits for is closed', () => {
  const { control } = setUp();
  const fd = load().newSocket('tcp');
  control.on({ act: 'reply', seq: 7 }, fd);
  expect(isOpen(fd)).toBe(false);
});

test('what is not for the worker itself is for its supervision', () => {
  const { control, got } = setUp();
  control.on({ act: 'disconnect' }, -1);
  control.on({ act: 'drain' }, -1);
  expect(got).toEqual([['disconnect', -1], ['otherwise', 'drain']]);
});
