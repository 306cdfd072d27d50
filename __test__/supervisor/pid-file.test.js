'use strict';

// `--pid-file`.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { COMMAND, startCommand } = require('../helpers/command');
const { testWith } = require('../helpers/needs');
const { isAlive, startScript, waitFor } = require('../helpers/run');
const { pidServer, temporaryFolder, writeScript } = require('../helpers/service');

/** A folder for the file, and the file. */
function place() {
  const folder = temporaryFolder();
  return { folder, file: path.join(folder, 'app.pid') };
}

const read = (file) => fs.readFileSync(file, 'utf8');
const start = (file, worker = pidServer) => startCommand(['-i', '1', '--pid-file', file, writeScript(worker)]);

/** The pid of a process that has ended. */
async function deadPid() {
  const child = spawn('true');
  await new Promise((resolve) => { child.once('exit', resolve); });
  return child.pid;
}

test('it is there before the first worker is ready, has nothing but the pid, and goes at the end', async () => {
  const { folder, file } = place();
  const command = start(file, () => void setInterval(() => {}, 1000));
  await waitFor(() => fs.existsSync(file));
  expect(read(file)).toBe(`${command.pid}\n`);
  // What it was written to first has gone.
  await waitFor(() => fs.readdirSync(folder).length === 1);
  expect(await command.stop()).toEqual({ code: 0, signal: null });
  expect(fs.readdirSync(folder)).toEqual([]);
});

test.each([
  ['a service that never worked', () => process.exit(3), []],
  ['a wrong option', pidServer, ['--ready-timeout', '0']],
])('it goes after %s, too', async (name, worker, args) => {
  const { folder, file } = place();
  const command = startCommand(['-i', '1', '--pid-file', file, ...args, writeScript(worker)]);
  expect((await command.waitForExit()).code).toBeGreaterThan(0);
  expect(fs.readdirSync(folder)).toEqual([]);
});

test('one that is not ours any more stays', async () => {
  const { file } = place();
  const command = start(file);
  await command.waitForLine(/ready$/);
  fs.writeFileSync(file, '1\n');
  expect(await command.stop()).toEqual({ code: 0, signal: null });
  expect(read(file)).toBe('1\n');
});

test('one of a process that is running is left alone: exit code 2, and nothing starts', async () => {
  const { folder, file } = place();
  const first = start(file);
  await first.waitForLine(/ready$/);
  const second = start(file, () => console.log('started'));
  expect(await second.waitForExit()).toEqual({ code: 2, signal: null });
  expect({ stdout: second.stdout, stderr: second.stderr }).toEqual({
    stdout: [],
    stderr: [`rcluster: the pid file "${file}" cannot be written: process ${first.pid}, which has written it, is running`],
  });
  expect(isAlive(first.pid)).toBe(true);
  expect(read(file)).toBe(`${first.pid}\n`);
  expect(fs.readdirSync(folder)).toEqual(['app.pid']);
});

test('one of a process that has ended is replaced, and one that is empty', async () => {
  for (const text of [`${await deadPid()}\n`, '']) {
    const { file } = place();
    fs.writeFileSync(file, text);
    const command = start(file);
    await command.waitForLine(/ready$/);
    expect(read(file)).toBe(`${command.pid}\n`);
    expect(await command.stop()).toEqual({ code: 0, signal: null });
  }
});

test('one older than the process that has its number now is replaced: numbers are used again', async () => {
  const { file } = place();
  fs.writeFileSync(file, `${process.pid}\n`);
  fs.utimesSync(file, 1, 1);
  const command = start(file);
  await command.waitForLine(/ready$/);
  expect(read(file)).toBe(`${command.pid}\n`);
});

testWith('python3')('in an upgrade it is that of the old primary, until the new one has taken over', async () => {
  const { folder, file } = place();
  const address = path.join(temporaryFolder(), 'notify');
  const manager = startScript('__test__/fixtures/notified.py', { node: 'python3', args: [address] });
  await manager.waitForLine(/^listening$/);
  const script = writeScript(pidServer);
  const words = [COMMAND, '-i', '1', '--settle-time', '100', '--pid-file', file, script];
  // As a keeper of the process manager, who alone can ask for it.
  const child = spawn(process.execPath, words, { env: { ...process.env, NOTIFY_SOCKET: address, RCLUSTER_KEEPER: '1' }, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  const told = [];
  child.on('message', (message) => told.push(message));
  const pids = new Set([child.pid]);
  const upgrade = (seq) => child.send({ rcluster: 'upgrade', seq, file: process.execPath, words: ['node', ...words], cwd: folder });
  const answer = (wanted) => waitFor(() => told.find(({ rcluster, seq }) => rcluster === 'answer' && seq === wanted));
  const ended = new Promise((resolve) => { child.once('exit', resolve); });
  try {
    await manager.waitForLine(/^READY=1/);
    // One that is refused leaves it alone.
    writeScript(() => process.exit(3), script);
    upgrade(1);
    expect((await answer(1)).error.code).toBe('ERR_RCLUSTER_UPGRADE_FAILED');
    expect(read(file)).toBe(`${child.pid}\n`);
    writeScript(pidServer, script);
    upgrade(2);
    const { result: { newPid } } = await answer(2);
    pids.add(newPid);
    await waitFor(() => read(file) === `${newPid}\n`);
    // The end of the old one leaves it alone, too.
    expect(await ended).toBe(0);
    expect(read(file)).toBe(`${newPid}\n`);
    process.kill(newPid, 'SIGTERM');
    await waitFor(() => !isAlive(newPid));
    expect(fs.readdirSync(folder)).toEqual([]);
  } finally {
    for (const pid of pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  }
});

test('one that the primary leaves behind when it is killed is no obstacle', async () => {
  const { file } = place();
  const first = start(file);
  await first.waitForLine(/ready$/);
  await first.stop('SIGKILL');
  expect(read(file)).toBe(`${first.pid}\n`);
  const second = start(file);
  await second.waitForLine(/ready$/);
  expect(read(file)).toBe(`${second.pid}\n`);
});
