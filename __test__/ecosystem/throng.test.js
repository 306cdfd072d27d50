'use strict';

const { childrenOf, expectModule, output, request, startApp, waitFor, waitForDeath } = require('./helpers/start');

test('throng: starts, replaces and ends its workers', async () => {
  const app = startApp('throng.js');
  const [, port] = await app.waitForLine(/^worker 1 listens on (\d+)$/);
  await app.waitForLine(new RegExp(`^worker 2 listens on ${port}$`));
  expect(output(app)[0]).toBe('master started');
  const served = new Set();
  await waitFor(async () => served.add((await request(port)).body).size === 2);
  expect([...served].sort()).toEqual(['1', '2']);

  const crashed = await request(port, { path: '/crash' });
  await app.waitForLine(new RegExp(`^worker 3 listens on ${port}$`));
  await waitFor(async () => (await request(port)).body === '3');
  expect((await request(port)).body).not.toBe(crashed.body);

  const workers = childrenOf(app.pid);
  expect(workers).toHaveLength(2);
  expect(await app.stop('SIGTERM')).toEqual({ code: 0, signal: null });
  expectModule(app);
  const cleaned = output(app).filter((line) => line.endsWith('cleans up'));
  expect(cleaned).toHaveLength(2);
  expect(cleaned).not.toContain(`worker ${crashed.body} cleans up`);
  await waitForDeath(workers);
  expect(app.stderr).toEqual([]);
});
