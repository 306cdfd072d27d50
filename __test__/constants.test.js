'use strict';

// Numbers that both halves know, JavaScript and Rust, are the same in both.

const fs = require('node:fs');
const path = require('node:path');
const { EVENT, FRAME } = require('../lib/channel/kinds.js');
const { POLICIES } = require('../lib/primary/policies.js');

const read = (...file) => fs.readFileSync(path.join(__dirname, '..', ...file), 'utf8');
/** The variants of an enum, as JavaScript would call them. */
const variants = (text, name) => {
  const [, body] = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(text);
  return Object.fromEntries([...body.matchAll(/^\s*(\w+) = (\d+),/gm)].map(([, variant, number]) => [variant[0].toLowerCase() + variant.slice(1), Number(number)]));
};

test('kinds of frames; only Rust sends and reads the first one of a channel', () => {
  const { hello, ...rest } = variants(read('src', 'channel', 'frame.rs'), 'Kind');
  expect(FRAME).toEqual(rest);
  expect(Object.values(FRAME)).not.toContain(hello);
});

test('events of a channel, which are no kinds of frames', () => {
  expect(EVENT).toEqual(variants(read('src', 'js', 'channel', 'end.rs'), 'Event'));
  expect(Object.values(EVENT).filter((number) => Object.values(FRAME).includes(number))).toEqual([]);
});

test('policies under which the acceptor accepts', () => {
  const numbers = [...read('src', 'policy', 'mod.rs').matchAll(/^\s*([\d |]+) => Box::new/gm)].flatMap(([, list]) => list.split('|').map(Number));
  const { SCHED_NONE: _none, ...others } = POLICIES;
  expect(numbers.sort()).toEqual(Object.values(others).sort());
});
