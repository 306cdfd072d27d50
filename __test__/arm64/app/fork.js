'use strict';

// Workers: online, with their environment, an exit code, a signal; and none of our variables for what they start.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const cluster = require('rcluster');

async function primary() {
  const worker = cluster.fork({ WORD: 'kept' });
  await once(worker, 'online');
  const [seen] = await once(worker, 'message');
  assert.deepEqual(seen, { id: 1, word: 'kept', execArgv: [], arch: process.arch, ofOurs: '' });
  worker.send('end');
  assert.deepEqual(await once(worker, 'exit'), [7, null]);

  const other = cluster.fork();
  await once(other, 'online');
  other.process.kill('SIGKILL');
  assert.deepEqual(await once(other, 'exit'), [null, 'SIGKILL']);
}

function worker() {
  const ofOurs = execFileSync(process.execPath, ['-p', "Object.keys(process.env).filter((name) => name.startsWith('RCLUSTER')).join()"], { encoding: 'utf8' }).trim();
  process.send({ id: cluster.worker.id, word: process.env.WORD, execArgv: process.execArgv, arch: process.arch, ofOurs });
  process.on('message', () => process.exit(7));
}

if (cluster.isPrimary) primary();
else worker();
