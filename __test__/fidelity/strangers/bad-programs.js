'use strict';

// Workers whose program is missing, does not parse, or ends at once.

const cluster = require('node:cluster');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'strangers-'));
const file = (name, text) => {
  fs.writeFileSync(path.join(folder, name), text);
  return path.join(folder, name);
};
const PROGRAMS = {
  missing: path.join(folder, 'missing.js'),
  folder,
  syntax: file('syntax.js', 'this is no JavaScript'),
  empty: file('empty.js', 'process.channel.unref();'),
  json: file('data.json', '{}'),
  noExtension: file('program', 'process.exit(7);'),
  esm: file('module.mjs', 'import cluster from "node:cluster"; await null; process.exit(cluster.worker.id > 0 ? 8 : 9);'),
  esmThrows: file('throws.mjs', 'await Promise.reject(new Error("x"));'),
  esmHangs: file('hangs.mjs', 'process.channel.unref(); await new Promise(() => {});'),
  exits: file('exits.js', 'process.on("exit", () => { process.exitCode = 10; }); process.exit();'),
  options: file('options.js', '0'),
};

const results = [];
for (const [name, exec] of Object.entries(PROGRAMS)) {
  cluster.setupPrimary({ exec, silent: true, execArgv: name === 'options' ? ['--no-such-option'] : [] });
  const worker = cluster.fork();
  const events = [];
  let stderr = '';
  worker.process.stderr.setEncoding('utf8').on('data', (data) => (stderr += data));
  for (const event of ['online', 'error', 'listening']) worker.on(event, () => events.push(event));
  worker.process.on('close', (...end) => {
    // A worker of json has nothing to do and lives on.
    const error = /^\w*Error.*?:|bad option/m.exec(stderr)?.[0];
    results.push(`${name}: ${name === 'options' ? [] : events} ${end} ${error}`);
    if (results.length < Object.keys(PROGRAMS).length) return;
    fs.rmSync(folder, { recursive: true });
    console.log(results.sort());
  });
  if (name === 'json') worker.on('online', () => worker.disconnect());
}
