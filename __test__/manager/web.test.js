'use strict';

// The page without a browser: who may ask it what, where it may be, and what is said where it cannot be there.

const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { once } = require('node:events');
const path = require('node:path');

const { waitFor } = require('../helpers/run');
const { ask } = require('./browser');
const { Home } = require('./home');

/** @param {Home} home */
async function startOne(home) {
  home.write('quiet.js', 'setInterval(() => {}, 1e6)');
  const [app] = await home.manager.start([{ name: 'quiet', script: 'quiet.js', cwd: home.folder, env: { SECRET: 'hidden-value' } }]);
  return app;
}

/** A session: what each request of the page has. @param {Home} home */
async function session(home) {
  const { url } = await home.manager.openWeb({ listen: '127.0.0.1:0' });
  const { origin, hash } = new URL(url);
  const { headers, text } = await ask(`${origin}/api/enter`, { method: 'POST', headers: { origin }, body: { token: hash.slice('#token='.length) } });
  const [cookie] = /** @type {string[]} */ (headers['set-cookie']);
  return { origin, cookie, own: { origin, cookie: cookie.split(';')[0], 'x-rcluster-key': JSON.parse(text).key } };
}

/** The first piece of an answer that goes on. @param {string} url @param {Record<string, string>} headers */
async function first(url, headers) {
  const request = http.get(url, { headers, agent: false });
  const [response] = /** @type {[http.IncomingMessage]} */ (await once(request, 'response'));
  const [piece] = await once(response, 'data');
  request.destroy();
  return String(piece);
}

test('a link is good once, and begins a session whose cookie no script and no other site gets', async () => {
  const home = new Home();
  await startOne(home);
  const { url } = await home.manager.openWeb({ listen: '127.0.0.1:0' });
  const { origin, hash } = new URL(url);
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#token=[\da-f]{64}$/);
  const enter = () => ask(`${origin}/api/enter`, { method: 'POST', headers: { origin }, body: { token: hash.slice('#token='.length) } });
  const { status, headers, text } = await enter();
  expect(status).toBe(200);
  expect(headers['set-cookie']).toEqual([expect.stringMatching(/^rcluster_\d+=[\da-f]{64}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/)]);
  expect(JSON.parse(text)).toEqual({ key: expect.stringMatching(/^[\da-f]{64}$/) });
  expect((await enter()).status).toBe(401);
  // Every link is another one, of the same page.
  const again = await home.manager.openWeb();
  expect([again.address, again.url === url]).toEqual([new URL(url).host, false]);
});

test('64 may be connected; whoever comes then is sent away, until one of them goes', async () => {
  const home = new Home();
  const { address } = await home.manager.openWeb({ listen: '127.0.0.1:0' });
  const [host, port] = address.split(':');
  /** Whether it is answered, or sent away without a word. @param {net.Socket} socket @returns {Promise<boolean>} */
  const isAnswered = (socket) => new Promise((resolve) => {
    socket.on('data', () => resolve(true)).on('close', () => resolve(false)).on('error', () => resolve(false));
    socket.write(`GET / HTTP/1.1\r\nhost: ${address}\r\n\r\n`);
  });
  const connect = () => net.connect(Number(port), host);
  const sockets = Array.from({ length: 64 }, connect);
  try {
    expect(await Promise.all(sockets.map(isAnswered))).toEqual(sockets.map(() => true));
    expect(await isAnswered(connect())).toBe(false);
    sockets[0].destroy();
    await waitFor(async () => {
      const socket = connect();
      const is = await isAnswered(socket);
      sockets.push(socket);
      return is;
    }, { message: 'a place' });
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

test('nothing is told without both halves of a session, and no environment with them', async () => {
  const home = new Home();
  await startOne(home);
  const { origin, own } = await session(home);
  for (const route of ['live', 'history', 'logs?target=quiet']) {
    for (const missing of ['cookie', 'x-rcluster-key']) {
      const headers = Object.fromEntries(Object.entries(own).filter(([name]) => name !== missing));
      expect([route, missing, (await ask(`${origin}/api/${route}`, { headers })).status]).toEqual([route, missing, 401]);
    }
  }
  const told = await first(`${origin}/api/live`, own);
  expect(told).toMatch(/^event: apps\ndata: \{.*"name":"quiet"/);
  const history = (await ask(`${origin}/api/history`, { headers: own })).text;
  expect(Object.keys(JSON.parse(history).apps)).toEqual(['default:quiet']);
  expect(told + history).not.toMatch(/hidden-value|SECRET/);
  expect((await ask(`${origin}/api/apps/quiet/env`, { headers: own })).status).toBe(404);
  await ask(`${origin}/api/leave`, { method: 'POST', headers: own });
  expect((await ask(`${origin}/api/history`, { headers: own })).status).toBe(401);
});

test('it does what it is for, and nothing else of the API', async () => {
  const home = new Home();
  const app = await startOne(home);
  const { origin, own } = await session(home);
  const post = (/** @type {string} */ route, /** @type {any} */ body = {}) => ask(`${origin}/api/${route}`, { method: 'POST', headers: own, body });
  // What could make a program run something else is not heard.
  expect((await post('apps/quiet/restart', { env: { NODE_OPTIONS: '--require=/evil.js' } })).status).toBe(200);
  expect((await home.manager.list())[0].processes[0].pid).not.toBe(app.processes[0].pid);
  expect(await home.manager.env('quiet')).not.toHaveProperty('NODE_OPTIONS');
  expect((await post('apps/quiet/scale', { count: 0 })).text).toMatch(/"count\\" must be a whole number from 1 to 1024/);
  for (const [method, route] of [['POST', 'api/apps'], ['DELETE', 'api/apps/quiet'], ['POST', 'api/apps/quiet/stdin'], ['POST', 'api/apps/quiet/send'], ['POST', 'api/kill'], ['POST', 'v1/kill'], ['GET', 'v1/apps'], ['POST', 'api/update'], ['GET', '../../etc/passwd'], ['GET', 'vendor/']]) {
    expect([method, route, (await ask(`${origin}/${route}`, { method, headers: own, body: {} })).status]).toEqual([method, route, 404]);
  }
  expect((await ask(`${origin}/api/apps/quiet/stop`, { method: 'POST', headers: own, body: 'x'.repeat(70_000) })).status).toBe(400);
  expect((await home.manager.list())[0].processes[0].state).toBe('online');
});

test('other sites and other names are refused, whatever they ask', async () => {
  const home = new Home();
  await startOne(home);
  const { origin, own } = await session(home);
  /** @type {Record<string, string>[]} */
  const strangers = [
    { host: 'evil.example' }, { host: `evil.example:${new URL(origin).port}` }, { origin: 'http://evil.example' }, { origin: 'http://127.0.0.1:1' }, { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' },
  ];
  for (const stranger of strangers) {
    for (const [method, route] of [['POST', 'api/apps/quiet/stop'], ['GET', 'api/live'], ['GET', 'main.js'], ['POST', 'api/enter']]) {
      const { status, headers } = await ask(`${origin}/${route}`, { method, headers: { ...own, ...stranger }, ...(method === 'POST' && { body: {} }) });
      expect([stranger, route, status]).toEqual([stranger, route, 403]);
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
  }
  // A preflight is a question of another site.
  expect((await ask(`${origin}/api/apps/quiet/stop`, { method: 'OPTIONS', headers: { origin: 'http://evil.example' } })).status).toBe(403);
  // One that sends no origin is no browser that changes something.
  const { origin: _, ...without } = own;
  expect((await ask(`${origin}/api/apps/quiet/stop`, { method: 'POST', headers: without, body: {} })).status).toBe(403);
  expect((await home.manager.list())[0].processes[0].state).toBe('online');
});

test('every answer keeps the browser from doing anything else with it', async () => {
  const home = new Home();
  const { url } = await home.manager.openWeb({ listen: '127.0.0.1:0' });
  for (const route of ['', 'main.js', 'style.css', 'vendor/uplot.js', 'api/history', 'nothing']) {
    const { headers } = await ask(new URL(`/${route}`, url).href);
    expect([route, headers]).toEqual([route, expect.objectContaining({
      'content-security-policy': expect.stringMatching(/^default-src 'none'; script-src 'self'; style-src 'self';.*frame-ancestors 'none'$/),
      'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer', 'cache-control': 'no-store',
    })]);
  }
  // Nothing is loaded from elsewhere.
  const folder = path.join(__dirname, '..', '..', 'manager', 'web');
  for (const name of fs.readdirSync(folder).filter((one) => /\.(?:js|css|html)$/.test(one))) {
    expect([name, fs.readFileSync(path.join(folder, name), 'utf8').match(/https?:\/\/(?!www\.w3\.org\/2000\/svg)\S+/g)]).toEqual([name, null]);
  }
});

/** How much light a colour gives: WCAG 2, relative luminance. @param {number[]} colour */
const light = (colour) => colour.map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)).reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
const parts = (/** @type {string} */ hex) => (hex.match(/[0-9a-f]{2}/g) ?? []).map((part) => parseInt(part, 16) / 255);

test.each([['light', 0], ['dark', 1]])('%s: what is written can be read on everything that it stands on', (_, which) => {
  const style = fs.readFileSync(path.join(__dirname, '..', '..', 'manager', 'web', 'style.css'), 'utf8');
  const scheme = [...style.matchAll(/:root \{([^}]*)\}/g)][which][1];
  const colours = Object.fromEntries([...scheme.matchAll(/--([\w-]+): (#[0-9a-f]{6,8})/g)].map(([, name, hex]) => [name, parts(hex)]));
  const [red, green, blue, alpha] = colours['accent-faint'];
  const selected = [red, green, blue].map((part, index) => part * alpha + colours.sheet[index] * (1 - alpha));
  for (const name of ['ink', 'faint', 'accent', 'good', 'bad', 'changing', 'off']) {
    for (const [place, ground] of Object.entries({ paper: colours.paper, sheet: colours.sheet, hover: colours.hover, selected })) {
      const [dark, bright] = [light(colours[name]), light(ground)].sort((a, b) => a - b);
      const contrast = (bright + 0.05) / (dark + 0.05);
      expect([name, place, contrast >= 4.5 || contrast]).toEqual([name, place, true]);
    }
  }
});

test('what is vendored is what the package of that name has', () => {
  const root = path.join(__dirname, '..', '..');
  for (const name of ['uPlot.iife.min.js', 'uPlot.min.css']) {
    expect([name, fs.readFileSync(path.join(root, 'manager/web/vendor', name), 'utf8') === fs.readFileSync(path.join(root, 'node_modules/uplot/dist', name), 'utf8')]).toEqual([name, true]);
  }
});

test('rcluster web prints a link, keeps to this machine, and says in one line why it cannot be there', async () => {
  const home = new Home();
  const taken = net.createServer().unref().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (taken.address());
  home.write('file', 'mine');
  /** @type {[string[], number, RegExp][]} */
  const wrong = [
    [['--listen', String(port)], 1, new RegExp(`^rcluster: the page cannot be at 127\\.0\\.0\\.1:${port}: it is in use by another program: --listen takes another one\n$`)],
    [['--listen', '0.0.0.0:0'], 1, /^rcluster: 0\.0\.0\.0:0 can be reached by other machines, .*: --allow-remote says that this is meant\n$/],
    [['--listen', '192.0.2.1:0', '--allow-remote'], 1, /^rcluster: the page cannot be at 192\.0\.2\.1:0: this machine has no such address\n$/],
    [['--listen', 'somewhere'], 1, /^rcluster: "listen" must be a port, an address such as 127\.0\.0\.1:9616, or the path of a socket\. Received "somewhere"\n$/],
    [['--listen', './file'], 1, /^rcluster: the page cannot be at \/.*\/file: a file is there that is no socket\n$/],
    [['--listen', '0', '--host', 'http://x'], 1, /^rcluster: "hosts" must be names without ports, such as ops\.example\.org\. Received "http:\/\/x"\n$/],
    [['here'], 2, /^rcluster: web takes options alone\. Received 'here'\n$/],
    [['--stop', '--metrics'], 2, /^rcluster: web: --stop goes with no other option\n$/],
    [['--stop', '--listen', '1'], 2, /^rcluster: web: --stop goes with no other option\n$/],
  ];
  for (const [words, code, message] of wrong) {
    const result = await home.run('web', ...words);
    expect([words, result.code, result.stdout]).toEqual([words, code, '']);
    expect(result.stderr).toMatch(message);
  }
  expect(fs.readFileSync(path.join(home.folder, 'file'), 'utf8')).toBe('mine');
  taken.close();
  expect((await home.run('web', '--stop')).stdout).toBe('there was no page\n');
  const { code, stdout, stderr } = await home.run('web', '--listen', '0');
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/#token=[\da-f]{64}\n$/), stderr: expect.stringMatching(/^rcluster: the link is good once, for 10 minutes; .*\n$/) });
  const { origin, host } = new URL(stdout);
  expect(await home.manager.web()).toEqual({ address: host, watchers: 0, metrics: false });
  expect((await home.run('web', '--listen', '1')).stderr).toBe(`rcluster: the page is at ${host} already: rcluster web --stop closes it\n`);
  expect((await home.run('web', '--stop')).stdout).toBe('the page is closed\n');
  await expect(ask(origin)).rejects.toThrow(/ECONNREFUSED/);
});

test('Prometheus reads /metrics there when that was asked for, without a session; other sites do not', async () => {
  const home = new Home();
  await startOne(home);
  const { origin, own } = await session(home);
  const read = (/** @type {Record<string, string>} */ headers = {}) => ask(`${origin}/metrics`, { headers });
  // Not because there is a page.
  expect([(await read()).status, (await read(own)).status]).toEqual([404, 404]);
  const { code, stderr } = await home.run('web', '--metrics');
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining(`Prometheus may scrape ${origin}/metrics: whoever reaches that address may read it\n`) });
  const { status, text, headers } = await read();
  expect({ status, type: headers['content-type'], cache: headers['cache-control'] }).toEqual({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', cache: 'no-store' });
  expect(text).toContain('rcluster_up{app="quiet",instance="0"} 1\n');
  expect(text).not.toMatch(/hidden-value|SECRET/);
  // Nothing else is there without a session, and another link does not take them away.
  expect((await ask(`${origin}/api/history`)).status).toBe(401);
  await home.manager.openWeb();
  expect([(await read()).status, (await home.manager.web()).metrics]).toEqual([200, true]);
  for (const headers of [{ host: 'evil.example' }, { origin: 'http://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) {
    expect([headers, (await read(/** @type {any} */ (headers))).status]).toEqual([headers, 403]);
  }
  const posted = await ask(`${origin}/metrics`, { method: 'POST', headers: { origin } });
  expect(posted.status).toBe(404);
});

test('a Unix socket is for its user alone, and goes with the page', async () => {
  const home = new Home();
  const { stdout, stderr } = await home.run('web', '--listen', './web.sock');
  const file = path.join(home.folder, 'web.sock');
  expect(stderr).toContain(`ssh -L 9616:${file} `);
  expect(fs.statSync(file).mode & 0o777).toBe(0o600);
  expect((await ask(new URL('/', stdout).href, { socketPath: file })).text).toMatch(/<title>rcluster<\/title>/);
  expect((await ask('http://evil.example/', { socketPath: file })).status).toBe(403);
  await home.manager.closeWeb();
  expect(fs.existsSync(file)).toBe(false);
});

test('there are not more connections and watchers than it can bear', async () => {
  const home = new Home();
  await startOne(home);
  const { origin, own } = await session(home);
  const requests = Array.from({ length: 16 }, () => http.get(`${origin}/api/live`, { headers: own, agent: false }));
  for (const request of requests) await once(request, 'response');
  const { status, text } = await ask(`${origin}/api/live`, { headers: own });
  expect([status, text]).toEqual([409, expect.stringContaining('too many look at the page already')]);
  for (const request of requests) request.destroy();
  await waitFor(async () => (await home.manager.web()).watchers === 0);
  const { port } = new URL(origin);
  const sockets = Array.from({ length: 80 }, () => net.connect(Number(port), '127.0.0.1').on('error', () => {}));
  await waitFor(() => sockets.filter((socket) => socket.destroyed || socket.readableEnded || socket.closed).length >= 16);
  for (const socket of sockets) socket.destroy();
  await waitFor(() => ask(`${origin}/`).then(({ status }) => status === 200, () => false));
});
