'use strict';

const { childrenOf, request, serve } = require('./helpers/start');

test('rate-limiter-flexible: one limit for all workers', async () => {
  const { app, port } = await serve('rate_limiter.js');
  const ask = (user) => request(port, { headers: { 'x-user': user } });
  // 10 of 16 pass, whichever worker they come to; and users do not share.
  const answers = await Promise.all([
    ...Array.from({ length: 16 }, () => ask('ada')),
    ...Array.from({ length: 4 }, () => ask('ben')),
  ]);
  const statuses = answers.map(({ status }) => status);
  expect(statuses.slice(0, 16).filter((status) => status === 200)).toHaveLength(10);
  expect(statuses.slice(0, 16).filter((status) => status === 429)).toHaveLength(6);
  expect(statuses.slice(16)).toEqual([200, 200, 200, 200]);

  const bodies = answers.map(({ body }) => JSON.parse(body));
  expect(childrenOf(app.pid)).toEqual(expect.arrayContaining([...new Set(bodies.map(({ pid }) => pid))]));
  const left = bodies.slice(0, 16).flatMap(({ remainingPoints }) => remainingPoints ?? []);
  expect(left.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});
