'use strict';

// The model of accepting threads: it gives back what was measured, and says what docs/architecture.md has made of it.

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { simulate } = require('../bench/model/simulate.js');

/** @param {number} processors @param {number} acceptors @param {number} [work] */
const perSecond = (processors, acceptors, work = 0) => simulate({ processors, acceptors, work }, { clients: 32 * processors }, 1 / processors).perSecond;

test('what was measured on two processors comes out of it', () => {
  const machine = { processors: 2, acceptors: 1, work: 0 };
  const busy = simulate(machine, { clients: 64 }, 1).acceptorCost;
  expect(Math.abs(busy / 4.8 - 1)).toBeLessThan(0.15);
  const calm = simulate(machine, { rate: 1000 }, 5).acceptorCost;
  expect(Math.abs(calm / 25.7 - 1)).toBeLessThan(0.15);
});

test('nobody serves more than the processors can', () => {
  expect(perSecond(4, 1, 100)).toBeLessThan((4 * 1e6) / (66 + 15 + 100));
  expect(perSecond(4, 0, 100)).toBeLessThan((4 * 1e6) / (90 + 15 + 100));
});

test('one thread is enough for 32 processors when a connection is 250 µs of work, and own sockets are worth several threads when it is none', () => {
  expect(perSecond(32, 4, 250) / perSecond(32, 1, 250)).toBeLessThan(1.1);
  expect(perSecond(32, 4) / perSecond(32, 1)).toBeGreaterThan(1.5);
  expect(perSecond(32, 0) / perSecond(32, 4)).toBeGreaterThan(0.95);
});

test('the command refuses what is no list of numbers', () => {
  const { status, stderr } = spawnSync(process.execPath, [path.join(__dirname, '..', 'bench', 'model.js'), '--work', 'much'], { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toContain("--work must be whole numbers with commas, got 'much'");
});
