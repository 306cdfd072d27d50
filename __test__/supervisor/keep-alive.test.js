'use strict';

// --keep-alive-timeout: what servers say of themselves in their answers.

const http = require('node:http');
const { request, waitFor } = require('../helpers/run');
const { startCommand } = require('../helpers/command');
const { writeScript } = require('../helpers/service');

/** Servers that say nothing, that say it before and after they listen, and one with a socket of its own. */
function servers() {
  const { createServer } = require('node:http');
  const make = () => createServer((asked, response) => response.end(`${process.pid}`));
  const listen = (name, server, how) => server.listen({ port: 0, host: '127.0.0.1', ...how }, () => {
    if (name === 'after') server.keepAliveTimeout = 8000;
    console.log(`${name} ${server.address().port}`);
  });
  listen('silent', make());
  listen('before', Object.assign(make(), { keepAliveTimeout: 7000 }));
  listen('after', make());
  listen('own', make(), { exclusive: true });
  // When the others have made it ready long since.
  if (process.env.LATER) setTimeout(() => listen('later', make(), { exclusive: true }), 500);
}

/** @param {import('../helpers/run').Script} command @param {string} name */
async function said(command, name) {
  const lines = [...command.stdout].reverse();
  const line = lines.find((text) => text.startsWith(`${name} `));
  const agent = new http.Agent({ keepAlive: true });
  const { headers } = await request(`${line}`.split(' ')[1], { agent });
  agent.destroy();
  return headers['keep-alive'];
}

test('those that say nothing have it, also with sockets of their own and after a reload; what the program says holds', async () => {
  const command = startCommand(['-i', '1', '--settle-time', '0', '--keep-alive-timeout', '61s', writeScript(servers)]);
  await command.waitForLine(/^rcluster: 1 worker is ready$/);
  for (const name of ['silent', 'before', 'after', 'own']) await command.waitForLine(new RegExp(`^${name} `));
  expect(await said(command, 'silent')).toBe('timeout=61');
  expect(await said(command, 'before')).toBe('timeout=7');
  expect(await said(command, 'after')).toBe('timeout=8');
  await waitFor(async () => (await said(command, 'own')) === 'timeout=61');
  process.kill(command.pid, 'SIGHUP');
  await command.waitForLine(/replaced 1 workers/);
  expect(await said(command, 'silent')).toBe('timeout=61');
});

test('one with a socket of its own has it though it listens later than those that have made the worker ready', async () => {
  const command = startCommand(['-i', '1', '--settle-time', '0', '--keep-alive-timeout', '61s', writeScript(servers)], { env: { LATER: '1' } });
  await command.waitForLine(/^rcluster: 1 worker is ready$/);
  await command.waitForLine(/^later /);
  await waitFor(async () => (await said(command, 'later')) === 'timeout=61');
});

test('without the option all have what Node gives them', async () => {
  const command = startCommand(['-i', '1', writeScript(servers)]);
  await command.waitForLine(/^rcluster: 1 worker is ready$/);
  await command.waitForLine(/^silent /);
  expect(await said(command, 'silent')).toBe(`timeout=${http.createServer().keepAliveTimeout / 1000}`);
});
