'use strict';

const { keepTail } = require('../../lib/worker/leaving/tail');

/** Runs with standard streams that print nothing. */
function quietly(action) {
  const before = [process.stdout.write, process.stderr.write];
  process.stdout.write = process.stderr.write = () => true;
  try {
    return action();
  } finally {
    [process.stdout.write, process.stderr.write] = before;
  }
}

test('tells the end of what was written when the process ends', () => {
  const told = quietly(() => {
    const texts = [];
    const stop = keepTail((text) => texts.push(text));
    process.stdout.write('one ');
    process.stderr.write(Buffer.from('two'));
    process.listeners('exit')[0]();
    stop();
    return texts;
  });
  expect(told).toEqual(['one two']);
});

test('keeps 2,000 characters', () => {
  const told = quietly(() => {
    const texts = [];
    const stop = keepTail((text) => texts.push(text));
    for (let i = 0; i < 1000; i++) process.stdout.write(`line ${i}\n`);
    process.listeners('exit')[0]();
    stop();
    return texts;
  });
  expect(told[0].length).toBe(2000);
  expect(told[0].endsWith('line 998\nline 999\n')).toBe(true);
});

test('leaves no trace when it is stopped', () => {
  quietly(() => {
    const { write } = process.stdout;
    const listeners = process.listenerCount('exit');
    keepTail(() => {})();
    expect(process.stdout.write).toBe(write);
    expect(process.listenerCount('exit')).toBe(listeners);
  });
});

test('leaves what others have put on top of it', () => {
  quietly(() => {
    const stop = keepTail(() => {});
    const under = process.stdout.write;
    const theirs = (...args) => under.apply(process.stdout, args);
    process.stdout.write = theirs;
    stop();
    expect(process.stdout.write).toBe(theirs);
  });
});
