'use strict';

// What a service manager is told: sd_notify(3), with a real socket.

const fs = require('node:fs');
const path = require('node:path');
const { startCommand } = require('../helpers/command');
const { describeWith } = require('../helpers/needs');
const { request, startScript, waitFor } = require('../helpers/run');
const { pidServer, temporaryFolder, writeScript } = require('../helpers/service');

/** Somebody who listens to what is told. */
async function startManager(address) {
  const manager = startScript('__test__/fixtures/notified.py', { node: 'python3', args: [address] });
  await manager.waitForLine(/^listening$/);
  // What it is to keep is another matter.
  return { manager, told: () => manager.stdout.slice(1).filter((line) => !line.startsWith('FDSTORE')) };
}

const ARGS = ['-i', '2', '--settle-time', '100ms'];

describeWith('python3')('sd_notify', () => {
  test.each([
    ['a path', () => path.join(temporaryFolder(), 'notify')],
    ['an abstract name', () => `@rcluster-test-${process.pid}-${Date.now()}`],
  ])('ready, reloading, stopping, to %s', async (_, name) => {
    const address = name();
    const { manager, told } = await startManager(address);
    const command = startCommand([...ARGS, writeScript(pidServer)], { env: { NOTIFY_SOCKET: address } });
    await manager.waitForLine(/^READY=1 STATUS=2 workers serve$/);
    expect(told().length).toBe(1);
    process.kill(command.pid, 'SIGHUP');
    const [, time] = await manager.waitForLine(/^RELOADING=1 MONOTONIC_USEC=(\d+)$/);
    expect(Number(time) / 1e6).toBeLessThanOrEqual(Number(fs.readFileSync('/proc/uptime', 'utf8').split(' ')[0]) + 1);
    await manager.waitForLine(/^READY=1 STATUS=reloaded$/);
    expect(await command.stop()).toEqual({ code: 0, signal: null });
    expect(told().at(-1)).toBe('STOPPING=1 EXTEND_TIMEOUT_USEC=15000000');
    expect(told().length).toBe(4);
  });

  test('a reload that fails leaves it ready', async () => {
    const address = path.join(temporaryFolder(), 'notify');
    const { manager } = await startManager(address);
    const file = writeScript(pidServer);
    const command = startCommand([...ARGS, file], { env: { NOTIFY_SOCKET: address } });
    await manager.waitForLine(/^READY=1/);
    writeScript(() => process.exit(1), file);
    process.kill(command.pid, 'SIGHUP');
    await manager.waitForLine(/^READY=1 STATUS=the last reload failed, the old version serves$/);
  });

  test('a stop during a reload is the last that is told', async () => {
    const address = path.join(temporaryFolder(), 'notify');
    const { manager, told } = await startManager(address);
    const command = startCommand([...ARGS, '--settle-time', '20s', writeScript(pidServer)], { env: { NOTIFY_SOCKET: address } });
    await manager.waitForLine(/^READY=1/);
    process.kill(command.pid, 'SIGHUP');
    await manager.waitForLine(/^RELOADING=1/);
    expect(await command.stop()).toEqual({ code: 0, signal: null });
    expect(told().at(-1)).toBe('STOPPING=1 EXTEND_TIMEOUT_USEC=15000000');
  });

  test('a watchdog is fed twice as often as it wants', async () => {
    const address = path.join(temporaryFolder(), 'notify');
    const { told } = await startManager(address);
    const env = { NOTIFY_SOCKET: address, WATCHDOG_USEC: '200000' };
    startCommand(['-i', '1', writeScript(pidServer)], { env });
    await waitFor(() => told().filter((line) => line === 'WATCHDOG=1').length >= 5);
  });

  test('not the watchdog of another process', async () => {
    const address = path.join(temporaryFolder(), 'notify');
    const { manager, told } = await startManager(address);
    const env = { NOTIFY_SOCKET: address, WATCHDOG_USEC: '20000', WATCHDOG_PID: '1' };
    const command = startCommand(['-i', '1', writeScript(pidServer)], { env });
    await manager.waitForLine(/^READY=1/);
    await command.stop();
    expect(told().filter((line) => line === 'WATCHDOG=1')).toEqual([]);
  });

  test('workers hear nothing of it', async () => {
    const address = path.join(temporaryFolder(), 'notify');
    await startManager(address);
    function tells() {
      const names = Object.keys(process.env).filter((name) => /NOTIFY|WATCHDOG|LISTEN_/.test(name));
      const server = require('node:http').createServer((asked, response) => response.end(JSON.stringify(names)));
      server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
    }
    const env = { NOTIFY_SOCKET: address, WATCHDOG_USEC: '1000000', LISTEN_FDS: '1', LISTEN_PID: '1', LISTEN_FDNAMES: 'x' };
    const command = startCommand(['-i', '1', writeScript(tells)], { env });
    const [, port] = await command.waitForLine(/^port (\d+)$/);
    expect(JSON.parse((await request(port)).body)).toEqual([]);
  });
});

test('nobody listens at the socket: the service runs all the same', async () => {
  const env = { NOTIFY_SOCKET: path.join(temporaryFolder(), 'nobody') };
  const command = startCommand(['-i', '1', writeScript(pidServer)], { env });
  await command.waitForLine(/1 worker is ready/);
  expect(await command.stop()).toEqual({ code: 0, signal: null });
});
