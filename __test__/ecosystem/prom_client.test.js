'use strict';

const { childrenOf, request, serve } = require('./helpers/start');

test('prom-client: the primary sums up what the workers have counted', async () => {
  const { app, port } = await serve('prom_client.js');
  const [, metrics] = await app.waitForLine(/^metrics on (\d+)$/);
  for (let i = 0; i < 20; i++) await request(port, { path: i % 2 ? '/' : '/longer' });

  // Several at once: each answer belongs to its own question.
  const answers = await Promise.all(Array.from({ length: 5 }, () => request(metrics)));
  const workers = childrenOf(app.pid);
  expect(workers).toHaveLength(2);
  for (const { status, headers, body } of answers) {
    expect({ status, body }).toEqual({ status: 200, body: expect.any(String) });
    expect(headers['content-type']).toMatch(/^text\/plain/);
    const lines = body.split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'total 20',
        'workers 2',
        ...workers.map((pid) => expect.stringMatching(new RegExp(`^requests\\{worker="${pid}"\\} \\d+$`))),
        'sizes_bucket{le="1"} 10',
        'sizes_bucket{le="50"} 20',
        'sizes_count 20',
      ]),
    );
  }

  // A worker that has died is left out.
  process.kill(workers[0], 'SIGKILL');
  await app.waitForLine(new RegExp(`^worker ${workers[0]} is gone$`));
  const { body } = await request(metrics);
  expect(body).toMatch(/^total \d+$/m);
  expect(body).not.toMatch(/^total 20$/m);
  expect(body).not.toContain(`worker="${workers[0]}"`);
  expect(body).toMatch(/^workers 1$/m);
});
