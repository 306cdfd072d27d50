'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { expectModule, startApp } = require('./helpers/start');

test('log4js: the primary writes what the workers log, all of it and in order', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-log4js-'));
  try {
    const file = path.join(folder, 'app.log');
    const app = startApp('log4js.js', { env: { LOG_FILE: file } });
    expect(await app.waitForExit()).toEqual({ code: 0, signal: null });
    expectModule(app);
    const lines = fs.readFileSync(file, 'utf8').trim().split('\n');
    expect(lines[0]).toBe('INFO primary starts');
    for (const id of [1, 2]) {
      const own = lines.filter((line) => line.startsWith(`INFO worker${id} `));
      expect(own).toEqual(Array.from({ length: 500 }, (_, i) => `INFO worker${id} line ${i}`));
      expect(lines).toContainEqual(expect.stringMatching(`^ERROR worker${id} RangeError: too far`));
      expect(lines).toContain(`INFO primary worker ${id} ended with 0`);
    }
    expect(lines.some((line) => line.startsWith('DEBUG'))).toBe(false);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
