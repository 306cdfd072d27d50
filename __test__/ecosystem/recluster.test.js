'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { childrenOf, request, serve, waitFor } = require('./helpers/start');

let folder;
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-recluster-'))));
afterEach(() => fs.rmSync(folder, { recursive: true }));

test('recluster: replaces a worker that crashed, and reloads without a failed request', async () => {
  const file = path.join(folder, 'version');
  fs.writeFileSync(file, 'one');
  const { app, port } = await serve('recluster.js', { env: { VERSION_FILE: file } });
  const ask = async (options) => (await request(port, options)).body.split(' ');
  // By turns, unless a busy machine lets one of them wait.
  const first = new Map();
  await waitFor(async () => {
    const [, id, version] = await ask();
    return first.set(id, version).size === 2;
  });
  expect(Object.fromEntries(first)).toEqual({ 0: 'one', 1: 'one' });

  const [crashed, id] = await ask({ path: '/crash' });
  await app.waitForLine(new RegExp(`^exit ${crashed}$`));
  // The replacement takes over the number of the one that crashed.
  const seen = new Set();
  await waitFor(
    async () => {
      const [pid, place] = await ask();
      seen.add(`${pid} ${place}`);
      return place === id && pid !== crashed;
    },
    { message: () => `${crashed} was ${id}; answers came from ${[...seen].join(', ')}\n${app.describe()}` },
  );

  fs.writeFileSync(file, 'two');
  const before = childrenOf(app.pid);
  process.kill(app.pid, 'SIGUSR2');
  const versions = new Set();
  await waitFor(
    async () => {
      const answers = await Promise.all([ask(), ask(), ask(), ask()]);
      for (const [, , version] of answers) versions.add(version);
      return answers.every(([, , version]) => version === 'two') && !before.some((pid) => childrenOf(app.pid).includes(pid));
    },
    { message: 'only new workers answer' },
  );
  expect([...versions].sort()).toEqual(expect.arrayContaining(['two']));
  await app.waitForLine(/^reloaded$/);

  process.kill(app.pid, 'SIGTERM');
  await app.waitForLine(/^terminated$/);
  expect(await app.waitForExit()).toEqual({ code: 0, signal: null });
});
