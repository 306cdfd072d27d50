'use strict';

// The images of examples/deploy/docker/: no engine runs here, so what their files say is done by hand.

const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');

const { testUnless } = require('../helpers/needs');
const { ROOT, waitFor: waitForCondition } = require('../helpers/run');
const { execute, firstOf, forbidden, startContainer } = require('./container');
const { Home } = require('./home');
const { freePort } = require('../helpers/free_port');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });
const testIfPermitted = testUnless(forbidden, 'unshare');

const IMAGES = path.join(ROOT, 'examples', 'deploy', 'docker');

/**
 * What the last stage of a Dockerfile says.
 *
 * @param {string} name
 */
function read(name) {
  const text = fs.readFileSync(path.join(IMAGES, name, 'Dockerfile'), 'utf8');
  const stage = text.slice(text.lastIndexOf('\nFROM '));
  const of = (/** @type {string} */ word) => new RegExp(`^${word} (.*)$`, 'm').exec(stage)?.[1] ?? '';
  const env = Object.fromEntries(of('ENV').split(' ').map((pair) => pair.split('=')));
  // Only the form that is a list: with any other a shell would be process 1.
  return { command: JSON.parse(of('CMD')), health: JSON.parse(of('HEALTHCHECK').split(' CMD ')[1]), env, user: of('USER') };
}

/** The folder as `npm install` leaves it. @param {Home} home @param {string} name */
function install(home, name) {
  const app = path.join(home.folder, 'app');
  fs.cpSync(path.join(IMAGES, name), app, { recursive: true });
  fs.mkdirSync(path.join(app, 'node_modules', '.bin'), { recursive: true });
  fs.symlinkSync(ROOT, path.join(app, 'node_modules', 'rcluster'));
  fs.symlinkSync('../rcluster/bin/rcluster.js', path.join(app, 'node_modules', '.bin', 'rcluster'));
  return app;
}

for (const [name, writable] of /** @type {[string, string[]][]} */ ([['one', []], ['several', ['/tmp']]])) {
  testIfPermitted(`${name}: read-only, as its user, it serves, is healthy, and ends when it is told to`, async () => {
    const home = new Home();
    const { command, health, env, user } = read(name);
    const port = await freePort();
    // Its port of health is the machine's as well, here.
    const healthPort = await freePort();
    const here = (/** @type {string[]} */ words) => words.map((word) => word.replace('9000', healthPort));
    const [uid] = user.split(':');
    const child = startContainer(home, here(command), { app: install(home, name), env: { ...env, PORT: port }, user, writable });
    const said = { out: '', error: '' };
    child.stdout?.on('data', (data) => (said.out += data));
    child.stderr?.on('data', (data) => (said.error += data));
    await waitFor('its workers', () => /workers? (?:is|are) ready/.test(said.error));
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toMatch(/^from worker \d+\n$/);
    let answer = { code: /** @type {number | null} */ (null), stdout: '', stderr: '' };
    await waitFor('its health', async () => {
      answer = await execute(child, here(health).map((word) => word.replace('node_modules', '/app/node_modules')), uid);
      return answer.code === 0;
    });
    expect(answer.stdout).toMatch(name === 'one' ? /^200 / : /^web: 2 of 2 workers ready\nqueue: 1 of 1 online\n$/);
    process.kill(firstOf(child), 'SIGTERM');
    expect((await once(child, 'close'))[0]).toBe(0);
    if (name === 'several') expect(said.out).toMatch(/^0\|queue \| no more jobs$/m);
  });
}

testIfPermitted('an image that is not well says so', async () => {
  const home = new Home();
  const { health, env, user } = read('several');
  const app = install(home, 'several');
  fs.writeFileSync(path.join(app, 'queue.js'), 'process.exit(5)');
  const child = startContainer(home, [...read('several').command], { app, env: { ...env, PORT: await freePort() }, user });
  let error = '';
  child.stderr?.on('data', (data) => (error += data));
  await waitFor('its crash loop', () => error.includes('rcluster: queue: ended too soon 16 times in a row'));
  const answer = await execute(child, health.map((/** @type {string} */ word) => word.replace('node_modules', '/app/node_modules')), user.split(':')[0]);
  expect([answer.code, answer.stdout]).toEqual([1, expect.stringContaining('queue: 0 of 1 online')]);
  process.kill(firstOf(child), 'SIGTERM');
  expect((await once(child, 'close'))[0]).toBe(5);
});
