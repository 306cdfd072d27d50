'use strict';

const { request, serve, waitFor } = require('./helpers/start');
const { freePort } = require('../helpers/free_port');

const online = (app) => app.stdout.flatMap((line) => line.match(/^online (\d+)$/)?.[1] ?? []).map(Number);

test('sticky-session: a client address stays with its worker, which is replaced when it dies', async () => {
  const { app, port } = await serve('sticky_session.js', { env: { PORT: String(await freePort()) } });
  const workers = await waitFor(() => online(app).length === 3 && online(app));
  const addresses = Array.from({ length: 12 }, (_, i) => `127.0.0.${i + 1}`);
  const ask = async (localAddress) => {
    const options = { localAddress, method: 'POST', body: 'x'.repeat(200_000) };
    const { pid, length } = JSON.parse((await request(port, options)).body);
    expect(length).toBe(200_000);
    return pid;
  };

  const first = await Promise.all(addresses.map(ask));
  expect(workers).toEqual(expect.arrayContaining([...new Set(first)]));
  expect(new Set(first).size).toBeGreaterThan(1);
  for (let i = 0; i < 3; i++) expect(await Promise.all(addresses.map(ask))).toEqual(first);

  process.kill(first[0], 'SIGKILL');
  await waitFor(() => online(app).length === 4);
  const second = await Promise.all(addresses.map(ask));
  expect(second).not.toContain(first[0]);
});
