'use strict';

// `rcluster run` in the foreground: what programs write, signals, exit codes.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');

const { testWith } = require('../helpers/needs');
const { ROOT, request, waitFor: waitForCondition } = require('../helpers/run');
const { isAlive } = require('../helpers/proc');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });

const COMMAND = path.join(ROOT, 'bin', 'rcluster.js');

/** Ends when it is told to. */
const ENDS = `process.on('SIGINT', () => process.exit(0)); setInterval(() => {}, 1e6);`;

/**
 * A command and what it has said so far.
 *
 * @param {Home} home
 * @param {string[]} words
 */
function start(home, ...words) {
  const child = home.spawn(['run', ...words]);
  const said = { out: '', error: '' };
  child.stdout.on('data', (data) => (said.out += data));
  child.stderr.on('data', (data) => (said.error += data));
  const closed = once(child, 'close').then(([code]) => code);
  return { child, said, closed };
}

/** @param {Home} home @param {object[]} apps */
const configure = (home, ...apps) => home.write('ecosystem.config.js', `module.exports = { apps: ${JSON.stringify(apps)} }`);

test('lines of several apps stand behind their instance and app, each stream in its own; none is kept in a file', async () => {
  const home = new Home();
  home.write('a.js', `console.log('out of a'); console.error('error of a'); ${ENDS}`);
  home.write('b.sh', `trap 'exit 0' INT\necho out of b $NODE_APP_INSTANCE\nwhile :; do sleep 0.05; done`);
  configure(home, { script: 'a.js', out_file: '/dev/stdout' }, { script: 'b.sh', instances: 2, out_file: 'b.log', merge_logs: true });
  const { child, said, closed } = start(home);
  await waitFor('all lines', () => said.out.split('\n').length === 4 && said.error !== '');
  expect(said.out.trim().split('\n').sort()).toEqual(['0|a | out of a', '0|b | out of b 0', '1|b | out of b 1']);
  expect(said.error).toBe('0|a | error of a\n');
  // What was asked for by name.
  expect(fs.readFileSync(path.join(home.folder, 'b.log'), 'utf8').split('\n').sort()).toEqual(['', 'out of b 0', 'out of b 1']);
  expect(fs.readdirSync(path.join(home.path, 'logs')).filter((name) => name.endsWith('.log'))).toEqual([]);
  child.kill('SIGINT');
  expect(await closed).toBe(0);
});

test('--json and --log-format say what lines look like, without colours', async () => {
  const home = new Home();
  home.write('a.js', `console.log('one "two"'); process.exitCode = 4;`);
  const words = ['a.js', '--no-autorestart'];
  const { code, stdout } = await home.runWith({ env: { FORCE_COLOR: '1' } }, 'run', ...words, '--json');
  expect(code).toBe(4);
  expect(JSON.parse(stdout)).toEqual({ ts: expect.any(String), app: 'a', instance: 0, pid: expect.any(Number), stream: 'out', msg: 'one "two"' });
  expect(await home.run('run', ...words, '--log-format', 'prefixed')).toEqual({ code: 4, stdout: '0|a | one "two"\n', stderr: '' });
  expect(await home.run('run', ...words, '--log-format', 'pink')).toEqual({ code: 2, stdout: '', stderr: "rcluster: --log-format must be raw, prefixed, json. Received 'pink'\n" });
});

test('the exit code is that of the one that failed, when all have ended', async () => {
  const home = new Home();
  home.write('good.js', `setTimeout(() => {}, 700)`);
  home.write('bad.js', `process.exit(7)`);
  home.write('ends.js', `process.exit(0)`);
  home.write('killed.js', `process.kill(process.pid, 'SIGKILL')`);
  const good = { script: 'good.js', autorestart: false };
  configure(home, good, { script: 'bad.js', autorestart: false });
  expect(await home.run('run')).toMatchObject({ code: 7, stderr: '' });
  // Of several the first of the configuration, whichever ends first.
  home.write('late.js', `setTimeout(() => process.exit(6), 400)`);
  configure(home, { script: 'late.js', autorestart: false }, { script: 'bad.js', autorestart: false });
  expect(await home.run('run')).toMatchObject({ code: 6, stderr: '' });
  // A crash loop, while another one goes on until it ends by itself; it counts before any other.
  configure(home, { ...good, script: 'bad.js', name: 'other' }, good, { script: 'killed.js', max_restarts: 2 });
  expect(await home.run('run')).toMatchObject({ code: 137, stderr: 'rcluster: killed: ended too soon 2 times in a row\n' });
  configure(home, { script: 'ends.js', max_restarts: 2 });
  expect(await home.run('run')).toMatchObject({ code: 1, stderr: 'rcluster: ends: ended too soon 2 times in a row\n' });
  configure(home, good, { script: 'ends.js', autorestart: false });
  expect(await home.run('run')).toMatchObject({ code: 0, stderr: '' });
});

test('told to end, a program may say so by its exit code; one that has to be killed shows', async () => {
  const home = new Home();
  home.write('says.js', `process.on('SIGINT', () => process.exit(130)); setInterval(() => {}, 1e6); console.log('here');`);
  home.write('fails.js', `process.on('SIGINT', () => process.exit(9)); setInterval(() => {}, 1e6); console.log('here');`);
  home.write('stays.js', `process.on('SIGINT', () => {}); setInterval(() => {}, 1e6); console.log('here');`);
  for (const [script, wanted] of /** @type {const} */ ([['says.js', 0], ['fails.js', 9], ['stays.js', 137]])) {
    const { child, said, closed } = start(home, script, '--kill-timeout', '300');
    await waitFor('its line', () => said.out === 'here\n');
    child.kill('SIGTERM');
    expect([script, await closed]).toEqual([script, wanted]);
  }
});

test('a second signal ends all at once, with 128 and its number', async () => {
  const home = new Home();
  home.write('stays.js', `process.on('SIGINT', () => console.log('asked')); setInterval(() => {}, 1e6); console.log(process.pid);`);
  const { child, said, closed } = start(home, 'stays.js', '--kill-timeout', '1h');
  await waitFor('its process', () => said.out.includes('\n'));
  const pid = Number.parseInt(said.out, 10);
  child.kill('SIGTERM');
  await waitFor('that it was asked', () => said.out.includes('asked'));
  // One that comes at once is the same one.
  await waitFor('its end', () => !isAlive(pid) || !child.kill('SIGINT'));
  expect(await closed).toBe(130);
});

test('the same signal twice, as a terminal and npm send it, is one', async () => {
  const home = new Home();
  home.write('ends.js', `process.on('SIGINT', () => setTimeout(() => { console.log('in order'); process.exit(0); }, 600)); setInterval(() => {}, 1e6); console.log('here');`);
  const { child, said, closed } = start(home, 'ends.js');
  await waitFor('its line', () => said.out === 'here\n');
  child.kill('SIGINT');
  child.kill('SIGTERM');
  expect(await closed).toBe(0);
  expect(said.out).toBe('here\nin order\n');
});

testWith('script')('a terminal that is closed stops it', async () => {
  const home = new Home();
  home.write('ends.js', `process.on('SIGINT', () => { require('fs').writeFileSync('told', ''); process.exit(0); }); setInterval(() => {}, 1e6); require('fs').writeFileSync('here', String(process.pid));`);
  const command = `${process.execPath} ${COMMAND} run ends.js`;
  const terminal = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], { cwd: home.folder, env: { ...process.env, RCLUSTER_HOME: home.path }, stdio: ['pipe', 'ignore', 'ignore'] });
  home.children.add(terminal);
  const file = (/** @type {string} */ name) => path.join(home.folder, name);
  await waitFor('its process', () => fs.existsSync(file('here')) && fs.readFileSync(file('here'), 'utf8') !== '');
  const daemon = home.daemonPid();
  terminal.kill('SIGKILL');
  await waitFor('that it was told', () => fs.existsSync(file('told')));
  await waitFor('the end of all', () => !isAlive(daemon));
});

test('a job that waits for its time is not over', async () => {
  const home = new Home();
  home.write('job.js', `console.log('a run')`);
  configure(home, { script: 'job.js', cron: '* * * * * *' });
  const { child, said, closed } = start(home);
  await waitFor('two runs', () => said.out.split('\n').length > 2);
  // Between two runs, so that nothing ends when it is told to.
  await waitFor('that it waits', async () => (await home.json('list'))[0].processes[0].state === 'stopped');
  child.kill('SIGTERM');
  expect(await closed).toBe(0);
});

test('what a keeper has to say itself is there as well', async () => {
  const home = new Home();
  home.write('a.js', `console.log('here'); ${ENDS}`);
  const { child, said, closed } = start(home, 'a.js', '--watch', 'seen.txt', '--watch-delay', '50ms');
  await waitFor('its line', () => said.out === 'here\n');
  home.write('seen.txt', 'one');
  await waitFor('the reason', () => said.out + said.error !== 'here\n' && /^\[rcluster\] seen\.txt has changed: it starts anew$/m.test(said.out + said.error));
  child.kill('SIGTERM');
  expect(await closed).toBe(0);
});

test('SIGTERM drains a cluster: what is under way is answered, and it serves on for --stop-delay', async () => {
  const home = new Home();
  home.write('server.js', `
    const server = require('http').createServer((request, response) => {
      if (request.url === '/slow') { console.log('slow'); setTimeout(() => response.end('slow'), 600); } else response.end('quick');
    }).listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));`);
  const { child, said, closed } = start(home, 'server.js', '-i', '2', '--stop-delay', '400', '--kill-timeout', '10s');
  await waitFor('both workers', () => said.error.includes('2 workers are ready'));
  const port = Number(/port (\d+)/.exec(said.out)?.[1]);
  const slow = request(port, { path: '/slow' });
  await waitFor('the slow one', () => said.out.includes('slow'));
  child.kill('SIGTERM');
  await waitFor('that it has heard', () => said.error.includes('serving on for 400 ms'));
  expect((await request(port)).body).toBe('quick');
  expect((await slow).body).toBe('slow');
  expect(await closed).toBe(0);
});

test('SIGHUP reloads without losing anything, SIGUSR2 tells what runs', async () => {
  const home = new Home();
  home.write('server.js', `require('http').createServer((_, response) => response.end()).listen(0, '127.0.0.1'); console.log('pid ' + process.pid);`);
  const { child, said, closed } = start(home, 'server.js', '-i', '2');
  await waitFor('both workers', () => said.error.includes('2 workers are ready'));
  child.kill('SIGHUP');
  await waitFor('the reload', () => said.error.includes('replaced 2 workers'));
  expect(new Set(said.out.match(/pid \d+/g)).size).toBe(4);
  child.kill('SIGUSR2');
  await waitFor('what runs', () => /^rcluster: server worker 1: ready, process \d+, restarts 0$/m.test(said.error));
  child.kill('SIGTERM');
  expect(await closed).toBe(0);
});

test('nobody reads standard output any more: lines are lost, and nothing else', async () => {
  const home = new Home();
  home.write('a.js', `let n = 0; setInterval(() => { console.log('line ' + n++); require('fs').writeFileSync('count', String(n)); }, 5); process.on('SIGINT', () => process.exit(0));`);
  const { child, said, closed } = start(home, 'a.js');
  await waitFor('a line', () => said.out.includes('line 1'));
  child.stdout.destroy();
  child.stderr.destroy();
  const count = () => Number(fs.readFileSync(path.join(home.folder, 'count'), 'utf8'));
  const before = count();
  await waitFor('that it goes on', () => count() > before + 100);
  expect((await home.json('list'))[0].processes[0]).toMatchObject({ state: 'online', restarts: 0 });
  child.kill('SIGTERM');
  expect(await closed).toBe(0);
});

test('a reader that does not read holds no program up for long; what is missing is counted in its place', async () => {
  const home = new Home();
  // Much more than is held for it.
  home.write('a.js', `
    const fs = require('fs');
    const line = Buffer.from('x'.repeat(999) + '\\n');
    for (let n = 0; n < 20_000; n++) fs.writeSync(1, line);
    fs.writeFileSync('written', '');
    setInterval(() => fs.existsSync('go') && console.log('last'), 20);
    process.on('SIGINT', () => process.exit(0));`);
  const child = home.spawn(['run', 'a.js']);
  await waitFor('that all is written', () => fs.existsSync(path.join(home.folder, 'written')));
  // It is told of, and obeys, all the same.
  expect((await home.json('list'))[0].processes[0].state).toBe('online');
  let text = '';
  child.stdout.on('data', (data) => (text += data));
  // What is written while nobody reads is dropped as well.
  await waitFor('what is missing', () => text.includes('lines were dropped'));
  home.write('go', '');
  await waitFor('the last line', () => text.endsWith('last\n'));
  const lines = text.trimEnd().split('\n');
  const dropped = /^\[rcluster\] (\d+) lines were dropped: whoever reads them was too slow$/m.exec(text);
  expect(lines.filter((one) => one === 'x'.repeat(999)).length + Number(dropped?.[1])).toBe(20_000);
  child.kill('SIGTERM');
  expect((await once(child, 'close'))[0]).toBe(0);
});

test('with a standard output that blocks it ends as fast as otherwise', async () => {
  const home = new Home();
  home.write('a.js', `process.on('SIGINT', () => process.exit(0)); setInterval(() => {}, 1e6); const line = 'y'.repeat(999) + '\\n'; for (let n = 0; n < 500; n++) require('fs').writeSync(1, line); require('fs').writeFileSync('written', '');`);
  const child = home.spawn(['run', 'a.js']);
  await waitFor('that all is written', () => fs.existsSync(path.join(home.folder, 'written')));
  const began = Date.now();
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
  // What is not read by then is lost: less than an engine waits.
  expect(Date.now() - began).toBeLessThan(8000);
});
