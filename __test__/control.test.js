'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { MESSAGES, TYPES, problemOf } = require('../lib/control');
const { EVENTS, next } = require('../lib/primary/life');

/** A value of each type, and some that are not. */
const SAMPLES = {
  number: { good: [0, -1, 1e300], bad: ['1', null, true, {}, []] },
  boolean: { good: [true, false], bad: [0, 'true', null, {}] },
  key: { good: ['', '__proto__', '127.0.0.1:0:4::0'], bad: [5, null, {}, ['a'], 'x'.repeat(2_000_000)] },
  words: { good: ['', 'anything'], bad: [5, null, {}] },
  said: { good: ['', '\r\n\0\xff', 'x'.repeat(512)], bad: [5, null, {}, 'x'.repeat(513)] },
  simple: { good: ['', 1, true, null], bad: [{}, [], 'x'.repeat(2_000_000)] },
  seat: { good: [{ key: 'a', listener: 1 }], bad: [null, 1, {}, { key: 'a' }, { key: 1, listener: 1 }] },
  address: { good: [null, {}, { address: '::', port: 1 }], bad: [[], 1, 'x'] },
  data: { good: [null, 'x', {}, []], bad: [] },
};

/** Each row with a message that is right. */
const rows = Object.entries(MESSAGES).map(([act, row]) => {
  const members = Object.entries(row.fields ?? {}).map(([field, type]) => [field.replace('?', ''), SAMPLES[type].good[0]]);
  return [act, row, { act, ...Object.fromEntries(members) }];
});

const sendersOf = ({ from }) => (from === 'both' ? ['worker', 'primary'] : [from]);

test.each(rows)('%s: taken from who may send it, with and without what may be absent', (_act, row, message) => {
  for (const from of sendersOf(row)) {
    expect(problemOf({ ...message }, from, row.descriptor === 'one')).toBeUndefined();
    if (row.descriptor === 'maybe') expect(problemOf({ ...message }, from, true)).toBeUndefined();
    const needed = Object.entries(message).filter(([name]) => !Object.hasOwn(row.fields ?? {}, `${name}?`));
    expect(problemOf(Object.fromEntries(needed), from, row.descriptor === 'one')).toBeUndefined();
  }
});

test.each(rows)('%s: refused from the other side, with a descriptor too many or too few, with members of other types', (act, row, message) => {
  const [from] = sendersOf(row);
  const has = row.descriptor === 'one';
  if (row.from !== 'both') expect(problemOf(message, from === 'worker' ? 'primary' : 'worker', has)).toMatch('not for it to say');
  if (row.descriptor !== 'maybe') expect(problemOf(message, from, !has)).toMatch('descriptor');
  for (const [field, type] of Object.entries(row.fields ?? {})) {
    const name = field.replace('?', '');
    for (const bad of SAMPLES[type].bad) expect([name, bad, problemOf({ ...message, [name]: bad }, from, has)]).toEqual([name, bad, `"${name}" of "${act}" makes no sense`]);
    if (name === field) expect(problemOf({ ...message, [name]: undefined }, from, has)).toBe(`"${name}" of "${act}" makes no sense`);
  }
  const extra = problemOf({ ...message, extra: 1 }, from, has);
  if (row.open) expect(extra).toBeUndefined();
  else expect(extra).toMatch('extra');
  if (row.open) expect(problemOf({ ...message, extra: {} }, from, has)).toMatch('extra');
});

test('what is no message of ours is refused', () => {
  for (const bad of [null, 7, 'online', [], {}, { act: 'no such' }, { act: '__proto__' }, { act: 'toString' }, { act: { toString: 1 } }]) {
    expect(problemOf(bad, 'worker', false)).toMatch(/no object|unknown/);
  }
});

test('words that only people read are cut', () => {
  const message = { act: 'last-words', text: 'x'.repeat(1_000_000) };
  expect(problemOf(message, 'worker', false)).toBeUndefined();
  expect(message.text.length).toBe(64 * 1024);
});

test('the types are all used, and have samples', () => {
  const used = new Set(['simple', ...rows.flatMap(([, row]) => Object.values(row.fields ?? {}))]);
  expect([...used].sort()).toEqual(Object.keys(TYPES).sort());
  expect(Object.keys(SAMPLES).sort()).toEqual(Object.keys(TYPES).sort());
});

test('those of a worker\'s life that are said to come late are heard after its exit, and no others', () => {
  const events = EVENTS.filter((event) => MESSAGES[event]?.from === 'worker');
  expect(events.filter((event) => next('exited', event).actions.length > 0)).toEqual(events.filter((event) => MESSAGES[event].late));
});

test('the table in the docs is this one', () => {
  const page = fs.readFileSync(path.join(__dirname, '..', 'docs', 'wire-format.md'), 'utf8');
  const table = page.slice(page.indexOf('| act |')).split('\n\n')[0].split('\n').slice(2);
  const described = table.map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim().replaceAll('`', '')));
  expect(described).toEqual(
    rows.map(([act, { from, fields = {}, open, descriptor = '', answer = '', late = false }]) => [
      act,
      from,
      [...Object.entries(fields).map(([field, type]) => `${field}: ${type}`), ...(open ? ['…'] : [])].join(', '),
      descriptor,
      answer,
      late ? 'late' : '',
    ]),
  );
});
