'use strict';

// Versions that are no good.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { Asking } = require('./load.js');
const { Pm2, Rcluster, withSubject } = require('./subjects.js');

const VERSIONS = {
  throws: 'throws at load',
  never: 'is never ready',
  exits: 'exits after 1 s',
  slow: 'takes 8 s to be ready',
};

async function versions() {
  const rows = [];
  let ok = true;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-soak-'));
  try {
    for (const [version, title] of Object.entries(VERSIONS)) {
      for (const Kind of [Rcluster, Pm2]) {
        const file = path.join(folder, `${version}-${Kind.name}`);
        // For 8 s there are 12 s; else 3 s are enough to show it, as they are PM2's own limit.
        const args = ['--ready-timeout', version === 'slow' ? '12s' : '3s'];
        const row = await withSubject(Kind, { env: { VERSION: file }, args }, async (subject) => {
          const old = subject.workers;
          fs.writeFileSync(file, version);
          const asking = new Asking(subject.port, { keepAlive: false });
          const start = performance.now();
          const said = await subject.reload();
          const time = performance.now() - start;
          await sleep(1500);
          const { answered, failed } = await asking.stop();
          const survivors = subject.workers.filter((pid) => old.includes(pid)).length;
          return { answered, failed: failed.length, survivors, time, said };
        });
        const { answered, failed, survivors, time, said } = row;
        const asExpected = failed === 0 && (version === 'slow') === /replaced/.test(said);
        if (Kind === Rcluster && !asExpected) ok = false;
        rows.push({
          'the new version': title,
          'kept running by': Kind.title,
          answered,
          failed,
          'old workers left': survivors,
          'reload (ms)': Math.round(time),
          'it says': said.replace(/^rcluster: /, '').slice(0, 50),
        });
      }
    }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
  return { title: 'a reload to a version that is no good, under 8 clients without keep-alive', rows, ok };
}

module.exports = { versions };
