'use strict';

// Ten million lines go through the manager into files that are set aside a hundred times, while its daemon and the programs that write are killed.
//   node scripts/soak/logs.js [--lines 10000000] [--writers 2] [--kills 3]
//
// Each writer notes in a file how far it came before each write, so that it is known what the file must have. Exits with 1 when a line is missing, there
// twice, out of order or torn.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');
const zlib = require('node:zlib');

const { Manager } = require('../../manager/client.js');

const { values } = parseArgs({
  options: {
    lines: { type: 'string', default: '10000000' },
    writers: { type: 'string', default: '2' },
    kills: { type: 'string', default: '3' },
  },
});
const [LINES, WRITERS, KILLS] = [values.lines, values.writers, values.kills].map(Number);
const EACH = Math.floor(LINES / WRITERS);
const TEXT = 'a line of a program that writes as fast as it can';

/** Goes on where the one before it was killed: what that has written is what the kernel has taken. */
const WRITER = `
  const fs = require('node:fs');
  const name = process.env.NODE_APP_INSTANCE;
  const runs = name + '.runs';
  const run = fs.existsSync(runs) ? fs.readFileSync(runs, 'utf8').length : 0;
  fs.appendFileSync(runs, 'x');
  const progress = fs.openSync(name + '.' + run, 'w');
  const before = Array.from({ length: run }, (_, one) => fs.readFileSync(name + '.' + one).length).reduce((sum, count) => sum + count, 0) * 100;
  function write(bytes) { for (let at = 0; at < bytes.length; ) { try { at += fs.writeSync(1, bytes, at); } catch (error) { if (error.code !== 'EAGAIN') throw error; } } }
  for (let i = 0; before + i < ${EACH}; i += 100) {
    let text = '';
    for (let n = i; n < i + 100; n++) text += name + ' ' + run + ' ' + n + ' ${TEXT}\\n';
    write(Buffer.from(text));
    fs.writeSync(progress, '.');
  }`;

/**
 * @param {string} folder
 * @param {string} name
 */
async function* linesOf(folder, name) {
  const files = fs.readdirSync(folder).filter((file) => file.startsWith(`${name}.`)).sort();
  for (const file of [...files, name]) {
    const bytes = fs.createReadStream(path.join(folder, file));
    yield* readline.createInterface({ input: file.endsWith('.gz') ? bytes.pipe(zlib.createGunzip()) : bytes, crlfDelay: Infinity });
  }
}

/**
 * @param {string} folder
 * @param {number} writer
 */
async function judge(folder, writer) {
  const problems = [];
  /** @type {number[]} how many lines of each run */
  const counts = [];
  let torn = 0;
  for await (const line of linesOf(path.join(folder, 'home', 'logs'), `app-out${WRITERS > 1 ? `-${writer}` : ''}.log`)) {
    const [name, run, number, ...text] = line.split(' ');
    const wanted = counts[Number(run)] ?? 0;
    const isWhole = text.join(' ') === TEXT;
    if (!isWhole && `${writer} ${run} ${wanted} ${TEXT}`.startsWith(line)) {
      // The one that a writer was killed in: nothing more can come of it.
      torn++;
      continue;
    }
    if (name !== String(writer) || Number(number) !== wanted || !isWhole) problems.push(`wanted ${writer} ${run} ${wanted}: ${line.slice(0, 100)}`);
    counts[Number(run)] = wanted + 1;
  }
  const runs = fs.readFileSync(path.join(folder, `${writer}.runs`), 'utf8').length;
  if (torn > runs - 1) problems.push(`${torn} lines are torn, and ${runs - 1} writers were killed`);
  for (let run = 0; run < runs; run++) {
    const told = fs.readFileSync(path.join(folder, `${writer}.${run}`)).length * 100;
    // One that was killed may have written a hundred that it had no time to note.
    if (counts[run] < told || counts[run] > told + 100) problems.push(`run ${run} of ${writer} wrote ${told} lines, and ${counts[run]} are there`);
  }
  return { problems, count: counts.reduce((sum, count) => sum + count, 0) };
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rc-'));
  fs.writeFileSync(path.join(folder, 'writer.js'), WRITER);
  const manager = new Manager({ home: path.join(folder, 'home') });
  const daemon = () => Number(fs.readFileSync(path.join(folder, 'home', 'daemon.pid'), 'utf8'));
  try {
    await manager.ensureDaemon();
    const began = Date.now();
    const app = { name: 'app', mode: 'program', script: 'writer.js', cwd: folder, env: { PATH: process.env.PATH }, instances: WRITERS, stopExitCodes: [0], minUptime: 1 };
    // Lines are a little shorter than that: it is a hundred times and some.
    const maxSize = Math.ceil((LINES * (TEXT.length + 14)) / 105);
    await manager.start([/** @type {any} */ ({ ...app, maxSize, retain: 1000, maxTotal: 0 })]);
    const processes = async () => (await manager.list())[0].processes;
    const noted = () => fs.readdirSync(folder).filter((file) => /^\d+\.\d+$/.test(file)).reduce((sum, file) => sum + fs.statSync(path.join(folder, file)).size * 100, 0);
    for (let kill = 1; kill <= KILLS; kill++) {
      while (noted() < (LINES * kill) / (KILLS + 1)) await sleep(20);
      process.kill(daemon(), 'SIGKILL');
      await manager.ensureDaemon();
      const { pid } = (await processes())[kill % WRITERS];
      if (pid) process.kill(pid, 'SIGKILL');
    }
    while (!(await processes()).every(({ state }) => state === 'stopped')) await sleep(100);
    const seconds = (Date.now() - began) / 1000;
    const archives = () => fs.readdirSync(path.join(folder, 'home', 'logs')).filter((file) => /\.log\./.test(file));
    while (archives().some((file) => !/\.gz$/.test(file))) await sleep(100);
    console.log(`${(LINES / seconds / 1e6).toFixed(2)} million lines per second, ${archives().length} files set aside, ${KILLS} kills of the daemon and of a writer`);
    for (let writer = 0; writer < WRITERS; writer++) {
      const { problems, count } = await judge(folder, writer);
      console.log(`writer ${writer}: ${count} lines, ${problems.length} problems${problems.slice(0, 5).map((problem) => `\n  ${problem}`).join('')}`);
      if (problems.length > 0) process.exitCode = 1;
    }
  } finally {
    await manager.ensureDaemon().then(() => manager.kill());
    manager.close();
    fs.rmSync(folder, { recursive: true, maxRetries: 5, retryDelay: 100 });
  }
}

void main();
