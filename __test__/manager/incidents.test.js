'use strict';

// What somebody may have to see to: told by `rcluster events`, to the command of on_event, and to a webhook.

const { spawn } = require('node:child_process');
const { createHmac } = require('node:crypto');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');

const { certificate } = require('../ecosystem/helpers/certificate');
const { describe: described, ofFolder } = require('../helpers/leftovers');
const { waitFor } = require('../helpers/run');
const { Home } = require('./home');
const { receiver } = require('./receiver');

const SECRET = 'a secret that nobody sees';
/** Crashes as often as it is started, but for the last time. */
const crashing = (/** @type {number} */ times) => `
  const fs = require('node:fs');
  const count = fs.existsSync('count') ? Number(fs.readFileSync('count', 'utf8')) : 0;
  fs.writeFileSync('count', String(count + 1));
  if (count < ${times}) process.exit(3);
  setInterval(() => {}, 1e6);`;

/** @param {Home} home @param {object} app */
const config = (home, app) => home.write('ecosystem.config.json', JSON.stringify({ apps: [{ name: 'a', script: 'a.js', ...app }] }));

test('a command has the event on standard input and in variables, one after the other, and what it writes is in the log', async () => {
  const home = new Home();
  home.write('a.js', crashing(2));
  const { code } = await home.run('start', 'a.js', '--on-event', 'cat >> got; echo "it was $RCLUSTER_EVENT of $RCLUSTER_EVENT_APP: $RCLUSTER_EVENT_MESSAGE"');
  expect(code).toBe(0);
  const file = path.join(home.folder, 'got');
  const got = () => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line)) : []);
  await waitFor(() => got().length === 2);
  expect(got()[0]).toEqual({ event: 'incident', kind: 'crash', app: 'a', namespace: 'default', instance: 0, message: 'ended with code 3', at: expect.any(Number) });
  await waitFor(() => home.log('a-out.log').split('it was crash of a: ended with code 3').length === 3);
});

test('one that hangs holds up nothing, and one that fails is said once', async () => {
  const home = new Home();
  home.write('a.js', crashing(3));
  const { code } = await home.run('start', 'a.js', '--on-event', 'cat > /dev/null; echo ran; [ -e hangs ] && { sleep 1000; }; exit 7');
  expect(code).toBe(0);
  await waitFor(() => home.log('a-out.log') === 'ran\n'.repeat(3));
  await waitFor(() => /\[rcluster\] on_event: ended with code 7\n/.test(home.log('a-error.log')));
  home.write('hangs', '');
  home.write('count', '2');
  await home.run('restart', 'a');
  await waitFor(() => home.log('a-out.log') === 'ran\n'.repeat(4));
  // It hangs by now, and the app has been started anew.
  await waitFor(async () => (await home.json('list'))[0].processes[0].state === 'online');
  expect((await home.run('stop', 'a')).code).toBe(0);
  expect(home.log('a-error.log').match(/on_event/g)).toHaveLength(1);
  // After its time it is ended, with what it has started.
  const hanging = () => ofFolder(home.folder).map(described).filter((line) => line.endsWith(': sleep 1000'));
  expect(hanging()).toHaveLength(1);
  await waitFor(() => hanging().length === 0, { timeout: 40_000 });
}, 90_000);

test('a program that is given up, and one that grows too large, are told of as well', async () => {
  const home = new Home();
  home.write('a.js', crashing(100));
  home.write('b.js', 'const all = []; setInterval(() => all.length < 60 && all.push(Buffer.alloc(4 << 20, 1)), 20)');
  await home.run('start', 'a.js', '--max-restarts', '2', '--on-event', 'echo "$RCLUSTER_EVENT"');
  await waitFor(() => home.log('a-out.log') === 'crash\ncrash\ncrash-loop\n');
  await home.run('start', 'b.js', '--max-memory-restart', '150M', '--on-event', 'echo "$RCLUSTER_EVENT"');
  await waitFor(() => home.log('b-out.log').startsWith('memory\n'));
}, 40_000);

test('a webhook that fails twice gets it the third time, signed, and the secret is shown nowhere', async () => {
  const home = new Home();
  /** @type {number[]} */
  const times = [];
  const { got, url } = await receiver((index) => {
    times.push(performance.now());
    return index < 2 ? 500 : 200;
  });
  home.write('a.js', crashing(1));
  config(home, { webhook: { url, secret: SECRET } });
  expect((await home.run('start')).code).toBe(0);
  await waitFor(() => got.length === 3);
  // A second and two, of which chance takes half at most.
  expect(times[1] - times[0]).toBeGreaterThan(490);
  expect(times[2] - times[1]).toBeGreaterThan(990);
  for (const { headers, body } of got) {
    const [, time, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['rcluster-signature'])) ?? [];
    expect(signature).toBe(createHmac('sha256', SECRET).update(`${time}.${body}`).digest('hex'));
    expect(Math.abs(Number(time) - Date.now() / 1000)).toBeLessThan(60);
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'rcluster-event': 'crash', 'rcluster-delivery': got[0].headers['rcluster-delivery'] });
  }
  expect(JSON.parse(got[2].body)).toMatchObject({ event: 'incident', kind: 'crash', app: 'a', message: 'ended with code 3' });
  // It is known, and told to nobody.
  const shown = [await home.run('describe', 'a'), await home.run('describe', 'a', '--json'), await home.run('list', '--json'), await home.run('jlist'), await home.run('env', 'a', '--json')];
  shown.push({ code: 0, stderr: '', stdout: JSON.stringify(await home.manager.request('GET', '/v1/apps/a/env')) });
  expect(shown.map(({ code, stdout }) => [code, stdout.includes(SECRET)])).toEqual(Array(6).fill([0, false]));
  expect(shown[1].stdout).toContain('"secret":"(hidden)"');
  config(home, { webhook: { url, secret: `${SECRET}, another` } });
  const { stdout } = await home.run('apply', '--dry-run');
  expect(stdout).toMatch(/would be kept by other rules\n {2}webhook: /);
  expect(stdout).not.toContain(SECRET);
  expect(fs.statSync(path.join(home.path, 'state.json')).mode & 0o777).toBe(0o600);
  // Whoever changes something else, or the name, means the same secret.
  home.write('count', '0');
  await home.run('restart', 'a', '--name', 'b', '--kill-timeout', '2000');
  await waitFor(() => got.length === 4);
  const [, time, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(got[3].headers['rcluster-signature'])) ?? [];
  expect(signature).toBe(createHmac('sha256', SECRET).update(`${time}.${got[3].body}`).digest('hex'));
}, 60_000);

test.each([[408, 2], [429, 2], [500, 2], [301, 1], [400, 1], [404, 1]])('a webhook that answers %i gets an event %i times at most where it takes the second one', async (status, tries) => {
  const { got, url } = await receiver((index) => (index === 0 ? status : 204));
  const child = spawn(process.execPath, [path.join(__dirname, '..', '..', 'manager', 'webhook.js')]);
  child.stdin.end(JSON.stringify({ webhook: { url }, event: { kind: 'crash' } }));
  const [code] = await once(child, 'close');
  expect([got.length, code]).toEqual([tries, tries === 2 ? 0 : 1]);
  // The receiver knows that it is the same one.
  expect(new Set(got.map(({ headers }) => headers['rcluster-delivery'])).size).toBe(1);
});

test('what is preloaded into an app is not loaded by what sends its webhook', async () => {
  const home = new Home();
  const { got, url } = await receiver(() => 200);
  home.write('a.js', crashing(1));
  const preload = home.write('preload.js', "require('node:fs').appendFileSync(require('node:path').join(__dirname, 'loaded'), `${process.argv[1]}\\n`)");
  config(home, { webhook: { url }, env: { NODE_OPTIONS: `--require=${preload}` } });
  expect((await home.run('start')).code).toBe(0);
  await waitFor(() => got.length === 1);
  expect([...new Set(fs.readFileSync(path.join(home.folder, 'loaded'), 'utf8').trim().split('\n'))]).toEqual([path.join(home.folder, 'a.js')]);
});

test('by HTTPS: whoever certifies the server is trusted when the app names it, and else nothing is sent, which is said at once', async () => {
  const home = new Home();
  const tls = await certificate(home.folder, [{ type: 7, ip: '127.0.0.1' }]);
  const { got, url } = await receiver(() => 204, tls);
  home.write('a.js', 'setTimeout(() => process.exit(3), 100)');
  home.write('strange.js', crashing(2));
  const apps = [
    { name: 'known', script: 'a.js', max_restarts: 1, webhook: { url, secret: SECRET }, env: { NODE_EXTRA_CA_CERTS: tls.certFile } },
    { name: 'strange', script: 'strange.js', webhook: url },
  ];
  home.write('ecosystem.config.json', JSON.stringify({ apps }));
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  expect((await home.runWith({ env: { ...env, NODE_EXTRA_CA_CERTS: undefined } }, 'start')).code).toBe(0);
  await waitFor(() => got.some(({ body }) => JSON.parse(body).kind === 'crash-loop'));
  expect(got[0].headers['rcluster-signature']).toMatch(/^t=\d+,v1=[0-9a-f]{64}$/);
  const host = new URL(url).host;
  // It will not be another one in a second: there is one try.
  await waitFor(() => home.log('strange-error.log').endsWith(`[rcluster] webhook: ${host} has a certificate that is not trusted (self-signed certificate), after 1 try: events are left out until it can be reached\n`));
  await waitFor(async () => (await home.json('list')).find((/** @type {any} */ { name }) => name === 'strange').processes[0].restarts === 2);
  expect(new Set(got.map(({ body }) => JSON.parse(body).app))).toEqual(new Set(['known']));
}, 60_000);

test('a webhook that never answers holds up nothing; one that says no is said once, without its path', async () => {
  const home = new Home();
  const silent = await receiver(() => undefined);
  const refusing = await receiver(() => 403);
  home.write('a.js', crashing(3));
  config(home, { webhook: silent.url });
  expect((await home.run('start')).code).toBe(0);
  await waitFor(() => silent.got.length === 1);
  expect(silent.got[0].headers['rcluster-signature']).toBe(undefined);
  await waitFor(async () => (await home.json('list'))[0].processes[0].state === 'online');
  // What is not told by the end of the app has had a little more time.
  expect((await home.run('delete', 'a')).code).toBe(0);
  expect(home.log('a-error.log')).toBe('[rcluster] webhook: 3 events were left out, as the app has ended\n');
  await home.run('flush');
  home.write('count', '0');
  config(home, { webhook: refusing.url });
  await home.run('start');
  // One try each: it will not say otherwise.
  await waitFor(() => refusing.got.length === 3);
  const host = new URL(refusing.url).host;
  await waitFor(() => home.log('a-error.log').includes(`[rcluster] webhook: ${host} answered 403, after 1 try: events are left out until it can be reached\n`));
  expect(home.log('a-error.log').match(/webhook: 127/g)).toHaveLength(1);
}, 60_000);

test('more than waits is left out, and counted in the log', async () => {
  const home = new Home();
  home.write('a.js', crashing(40));
  // The first one holds up all others, until somebody says so.
  const command = 'while [ ! -e go ]; do sleep 0.05; done; echo told';
  expect((await home.run('start', 'a.js', '--max-restarts', '100', '--on-event', command)).code).toBe(0);
  await waitFor(async () => (await home.json('list'))[0].processes[0].restarts === 40, { timeout: 30_000 });
  // Nothing of it was held up.
  expect(home.log('a-out.log')).toBe('');
  expect(home.log('a-error.log')).toBe('[rcluster] on_event: 32 events wait already: what comes meanwhile is left out\n');
  home.write('go', '');
  await waitFor(() => home.log('a-out.log') === 'told\n'.repeat(33));
  expect(home.log('a-error.log').split('\n')[1]).toBe('[rcluster] on_event: works again; 7 events were left out meanwhile');
}, 60_000);

test('what ends a container is told before the container ends', async () => {
  const home = new Home();
  home.write('a.js', 'process.exit(7)');
  const { code } = await home.run('run', 'a.js', '--no-autorestart', '--on-event', 'sleep 0.5; echo "$RCLUSTER_EVENT_MESSAGE" > told');
  expect(code).toBe(7);
  expect(fs.readFileSync(path.join(home.folder, 'told'), 'utf8')).toBe('ended with code 7\n');
}, 30_000);

test('what is in a message is never part of a command', async () => {
  const home = new Home();
  const name = 'x";touch hacked;$(touch hacked)`touch hacked`';
  home.write('a.js', `require('node:fs').existsSync('once') || (require('node:fs').writeFileSync('once', ''), process.exit(5)); setInterval(() => {}, 1e6)`);
  home.write('ecosystem.config.json', JSON.stringify({ apps: [{ name: 'a', namespace: name, script: 'a.js', on_event: 'echo "$RCLUSTER_EVENT_NAMESPACE" > told' }] }));
  const { code, stderr } = await home.run('start');
  expect([code, stderr]).toEqual([0, '']);
  await waitFor(() => fs.existsSync(path.join(home.folder, 'told')) && fs.readFileSync(path.join(home.folder, 'told'), 'utf8') === `${name}\n`);
  expect(fs.existsSync(path.join(home.folder, 'hacked'))).toBe(false);
}, 30_000);

test.each([
  [{ webhook: 'ftp://x/y' }, /"webhook" must be an address such as 'https:\/\/example\.org\/hook', or \{ url, secret \}\. Received "ftp:\/\/x\/y"/],
  [{ webhook: { url: 'https://x/y', secret: 'visible', more: 1 } }, /"webhook" must be .* Received \["url","secret","more"\]/],
  [{ webhook: { url: 'https://x/y', secret: '(hidden)' } }, /the secret of the webhook of "a" is not known: it must be given again/],
  [{ on_event: 7 }, /"on_event" must be a text that is not empty\. Received 7/],
])('%j is refused in one line', async (keys, line) => {
  const home = new Home();
  home.write('a.js', crashing(0));
  config(home, keys);
  const { code, stdout, stderr } = await home.run('start');
  expect([code, stdout, stderr.trim().split('\n').length]).toEqual([1, '', 1]);
  expect(stderr).toMatch(line);
  expect(stderr).not.toContain('visible');
});
