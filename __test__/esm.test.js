'use strict';

const fs = require('node:fs');
const path = require('node:path');
const cluster = require('node:cluster');
const { ROOT, startScript } = require('./helpers/run');

test('the default and the named exports work in the primary and in workers', async () => {
  const app = startScript('__test__/fixtures/esm.mjs');
  expect(await app.waitForExit()).toEqual({ code: 0, signal: null });
  expect(app.stderr).toEqual([]);
  const [primary, worker] = app.stdout.map((line) => JSON.parse(line));
  expect(primary).toMatchObject({ isPrimary: true, isWorker: false });
  expect(worker).toMatchObject({ isPrimary: false, isWorker: true, id: 1 });
  expect(worker.names).toEqual(primary.names);

  const public_ = Object.keys(cluster).filter((name) => !name.startsWith('_'));
  expect(primary.names).toEqual(expect.arrayContaining([...public_, 'default', 'worker']));

  const types = fs.readFileSync(path.join(ROOT, 'index.d.mts'), 'utf8');
  const declared = [...types.matchAll(/^export const (\w+)/gm)].map((match) => match[1]);
  expect(new Set(primary.names)).toEqual(new Set([...declared, 'default']));
});
