'use strict';

// The page in a browser: what is to be seen and done there, and what the pages of others cannot do.

const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const { once } = require('node:events');
const path = require('node:path');

const { testWith } = require('../helpers/needs');
const { waitFor: waitForCondition } = require('../helpers/run');
// Its windows are closed before homes are.
const { ask, openWindows, startBrowser } = require('./browser');
const { Home } = require('./home');
const { keepAsking, startCluster } = require('./traffic');

const testInBrowser = testWith('chromium');

/** @typedef {import('puppeteer-core').Page} Page */

startBrowser();

/** @param {string} message @param {() => any} condition */
const waitFor = (message, condition) => waitForCondition(condition, { message });

/** What can be read on the page. @param {Page} page @param {string} [selector] @returns {Promise<string>} */
const textOf = (page, selector = 'body') => page.$eval(selector, (element) => /** @type {HTMLElement} */ (element).innerText);

/** @param {Page} page @param {RegExp} pattern @param {string} [selector] */
async function see(page, pattern, selector = 'body') {
  let text = '';
  await waitForCondition(async () => pattern.test((text = await textOf(page, selector).catch(() => ''))), { message: () => `${pattern} in\n${text}` });
  return text;
}

/** Two programs, one of which writes. @param {Home} home */
async function startTwo(home) {
  home.write('chat.js', "let n = 0; setInterval(() => console.log('line', ++n, '<b>bold</b>'), 50); console.error('\\u001b[31mtrouble\\u001b[0m')");
  home.write('quiet.js', 'setInterval(() => {}, 1e6)');
  await home.manager.start(['quiet', 'chat'].map((name) => ({ name, script: `${name}.js`, cwd: home.folder, env: { SECRET: 'hidden-value' } })));
}

/** @param {Home} home @param {string} name */
async function processOf(home, name) {
  const app = (await home.manager.list()).find((one) => one.name === name);
  return /** @type {import('../../manager/client').AppStatus['processes'][0]} */ (app?.processes[0]);
}

/**
 * The page, with a session. What it loads and complains about is gathered.
 *
 * @param {Home} home
 */
async function openPage(home) {
  const windows = await openWindows();
  const { url } = await home.manager.openWeb({ listen: '127.0.0.1:0' });
  const page = await windows.newPage();
  /** @type {string[]} */
  const complaints = [];
  /** @type {Set<string>} */
  const hosts = new Set();
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => hosts.add(new URL(request.url()).host));
  await page.goto(url);
  await see(page, /quiet/, '#apps');
  return { windows, page, url, complaints, hosts };
}

testInBrowser('looking: apps, figures, logs that are followed and searched; nothing from elsewhere', async () => {
  const home = new Home();
  await startTwo(home);
  const { page, url, complaints, hosts } = await openPage(home);
  await see(page, /2\s+apps/, '#summary');
  await see(page, /live/, '#connection');
  await see(page, /chat\s+online\s+[\d.]+ %\s+[\d.]+ MB/, '#apps');
  // The token is neither in the address nor in the history, and no script sees the cookie.
  expect([page.url(), await page.evaluate(() => document.cookie)]).toEqual([`${new URL(url).origin}/`, '']);
  await page.click('#apps tbody tr:nth-child(2)');
  await see(page, /chat[^]*line \d+ <b>bold<\/b>/, '#detail');
  const last = async () => Number(/.*line (\d+)/s.exec(await textOf(page, '.logs ol'))?.[1]);
  const at = await last();
  await waitFor('more lines', async () => (await last()) > at + 5);
  expect(await page.$('.logs b b, .logs span b')).toBeNull();
  expect(await page.$$eval('.plot canvas', (all) => all.length)).toBe(2);
  // The daemon searches.
  await page.type('.bar input', 'tr.uble');
  await waitFor('the line that was searched for', async () => (await page.$$eval('.logs li span', (all) => all.map((one) => one.textContent).join())) === 'trouble');
  expect(await page.$$eval('mark', (all) => all.map((one) => one.textContent))).toEqual(['trouble']);
  await page.type('.bar input', '(');
  await see(page, /"grep" must be a regular expression/, '.logs');
  // Somebody else does something.
  expect((await home.run('stop', 'quiet')).code).toBe(0);
  await see(page, /quiet\s+stopped/, '#apps');
  expect(await page.content()).not.toMatch(/hidden-value|SECRET/);
  expect([...hosts]).toEqual([new URL(url).host]);
  // But for the pattern that makes no sense.
  expect(complaints.filter((text) => !/400/.test(text))).toEqual([]);
});

testInBrowser('what boards of workers say, in the list, of each worker, and over time', async () => {
  const home = new Home();
  await startTwo(home);
  const port = await startCluster(home);
  const { page, complaints } = await openPage(home);
  let isOver = false;
  const asking = keepAsking(port, () => isOver);
  try {
    // Requests each second, waiting time, loop; nothing of programs that are no clusters.
    await see(page, /web2\/2\s+online\s+[\d.]+ %\s+[\d.]+ MB\s+[1-9][\d.]*k?\s+[\d.]+ m?s\s+[1-9]\d* %/, '#apps');
    expect(await page.$eval('#apps tbody tr:nth-child(2)', (row) => [...row.querySelectorAll('.board')].map((cell) => cell.textContent))).toEqual(['', '', '']);
    await page.goto(`${page.url()}#app=default%3Aweb`);
    await see(page, /Requests\s+Errors\s+New\s+Open\s+Waiting\s+Loop\s+Delay/, '.instances');
    await see(page, /^0\s+ready.*?\s[1-9][\d.]*k?\s+[1-9][\d.]*k?\s+[1-9][\d.]*k?\s+\d+\s+[\d.]+ m?s\s+\d+ %\s+[\d.]+ m?s$/m, '.instances');
    // Of each there is a chart as soon as the next figure is kept.
    await see(page, /Requests each second\s*[1-9][^]*Waiting, 99 of 100\s*[\d.]+ m?s[^]*Event loop running\s*[1-9]\d* %/, '.charts');
    expect(await page.$$eval('.plot canvas', (all) => all.length)).toBe(8);
    // What they are of is to be read whole; it is not read out whenever a figure comes.
    for (const width of [1440, 1200, 1000]) {
      await page.setViewport({ width, height: 800 });
      const cut = await page.$$eval('figcaption span', (all) => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent));
      expect([width, cut]).toEqual([width, []]);
      if (width >= 1200) expect(await page.$eval('.instances', (table) => table.scrollWidth - table.clientWidth)).toBe(0);
    }
    expect(await page.$$eval('figcaption output', (all) => all.filter((one) => one.getAttribute('aria-live') !== 'off').length)).toBe(0);
  } finally {
    isOver = true;
    await asking;
  }
  expect(complaints).toEqual([]);
});

testInBrowser('a link leads to an app that is far down in a long list, whose head stays to be seen', async () => {
  const home = new Home();
  await startTwo(home);
  await home.manager.start(Array.from({ length: 60 }, (_, index) => ({ name: `app-${index}`, script: 'quiet.js', cwd: home.folder, autostart: false })));
  const { page } = await openPage(home);
  await page.goto(`${page.url()}#app=default%3Aapp-57`);
  await see(page, /^app-57/, '#detail h2');
  const place = (/** @type {string} */ selector) => page.$eval(selector, (element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return { top, bottom, seen: document.elementFromPoint(element.getBoundingClientRect().left + 20, (top + bottom) / 2)?.closest('tr') === element.closest('tr') };
  });
  await waitFor('the line of the app', async () => (await place('tr[aria-current]')).seen);
  expect(await textOf(page, 'tr[aria-current]')).toMatch(/^app-57/);
  expect((await place('#apps thead th')).seen).toBe(true);
  expect(await page.evaluate(() => scrollY)).toBe(0);
  // With keys: what has the focus is not below the head.
  for (let i = 0; i < 40; i++) await page.keyboard.press('k');
  expect((await place('#apps a:focus')).top).toBeGreaterThanOrEqual((await place('#apps thead th')).bottom - 1);
});

testInBrowser(`with keys alone: the list is reached from everywhere, and is told how it is sorted`, async () => {
  const home = new Home();
  await startTwo(home);
  const { page } = await openPage(home);
  const sorted = () => page.$$eval('th[aria-sort]', (all) => all.map((one) => [one.textContent, one.getAttribute('aria-sort')]));
  const names = () => page.$$eval('#apps tbody a', (all) => all.map((one) => one.textContent));
  const press = async (/** @type {string} */ column) => {
    await page.focus(`th[data-order=${column}] button`);
    await page.keyboard.press('Enter');
  };
  await press('name');
  expect([await sorted(), await names()]).toEqual([[['App', 'ascending']], ['chat', 'quiet']]);
  await press('name');
  expect([await sorted(), await names()]).toEqual([[['App', 'descending']], ['quiet', 'chat']]);
  await press('name');
  expect(await sorted()).toEqual([]);
  // Of figures the highest come first.
  await press('restarts');
  expect(await sorted()).toEqual([['Restarts', 'descending']]);
  await page.goto(`${page.url()}#app=default%3Aquiet`);
  await see(page, /^quiet/, '#detail h2');
  await page.focus('.skip');
  await page.keyboard.press('Enter');
  expect([await page.evaluate(() => document.activeElement?.id), await textOf(page, '#detail h2')]).toEqual(['apps', 'quiet']);
  // Shapes are for the eye alone.
  const told = JSON.stringify(await page.accessibility.snapshot({ interestingOnly: false }));
  expect([told.includes('online'), /[●▲◐○↑↓]/.test(told)]).toEqual([true, false]);
});

testInBrowser(`on a phone nothing is wider than the screen, and the logs are near below all charts`, async () => {
  const home = new Home();
  await startTwo(home);
  const port = await startCluster(home);
  const { page } = await openPage(home);
  await page.setViewport({ width: 360, height: 740, isMobile: true });
  const width = () => page.evaluate(() => document.documentElement.scrollWidth);
  expect(await width()).toBe(360);
  await page.goto(`${page.url()}#app=default%3Aweb`);
  let isOver = false;
  const asking = keepAsking(port, () => isOver);
  try {
    await waitFor('all charts', async () => (await page.$$('.plot canvas')).length === 8);
  } finally {
    isOver = true;
    await asking;
  }
  expect(await width()).toBe(360);
  expect(await page.$eval('.logs ol', (element) => element.getBoundingClientRect().top)).toBeLessThan(740);
});

testInBrowser('acting: each after a question, with the mouse and with keys', async () => {
  const home = new Home();
  await startTwo(home);
  const { page } = await openPage(home);
  const before = await processOf(home, 'quiet');
  // Keys alone: filter, go there, restart.
  await page.keyboard.press('/');
  await page.keyboard.type('quiet');
  await waitFor('the filter', async () => (await page.$$('#apps tbody tr')).length === 1);
  await page.keyboard.press('Escape');
  await waitFor('no filter', async () => (await page.$$('#apps tbody tr')).length === 2);
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await see(page, /quiet[^]*Restart/, '#detail');
  await page.keyboard.press('r');
  await see(page, /Restart quiet\?/, '#question');
  // Cancel has the focus.
  await page.keyboard.press('Enter');
  await waitFor('no question', () => page.$eval('#question', (dialog) => !(/** @type {HTMLDialogElement} */ (dialog)).open));
  expect((await processOf(home, 'quiet')).pid).toBe(before.pid);
  await page.keyboard.press('r');
  await waitFor('the question', () => page.$eval('#question', (dialog) => (/** @type {HTMLDialogElement} */ (dialog)).open));
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await see(page, /quiet: restarted/, '#notices');
  expect((await processOf(home, 'quiet')).pid).not.toBe(before.pid);
  const confirm = async (/** @type {string} */ selector) => {
    await page.click(selector);
    await page.click('#question .strong');
  };
  await confirm('[data-op=stop]');
  await see(page, /stopped/, '#detail .head');
  expect((await processOf(home, 'quiet')).state).toBe('stopped');
  await confirm('[data-op=start]');
  await see(page, /online/, '#detail .head');
  await confirm('[aria-label="One more"]');
  await see(page, /2\/2/, '#detail .head');
  // What is refused is said.
  fs.rmSync(path.join(home.folder, 'quiet.js'));
  await confirm('[data-op=restart]');
  await see(page, /errored/, '#detail .head');
  await see(page, /1\s+in trouble/, '#summary');
});

testInBrowser('it fits a phone, and goes on when the daemon does', async () => {
  const home = new Home();
  await startTwo(home);
  const { windows, page, url } = await openPage(home);
  await page.setViewport({ width: 360, height: 740, isMobile: true, hasTouch: true });
  // It loads the page anew.
  await see(page, /chat/, '#apps');
  const isWide = () => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  expect(await isWide()).toBe(false);
  await page.tap('#apps tbody tr:nth-child(2)');
  await see(page, /line \d+/, '#detail');
  expect([await isWide(), await page.$eval('#apps', (element) => getComputedStyle(element).display)]).toEqual([false, 'none']);
  await page.tap('.back');
  await waitFor('the list', () => page.$eval('#apps', (element) => getComputedStyle(element).display !== 'none'));
  process.kill(home.daemonPid(), 'SIGKILL');
  await see(page, /no daemon/, '#connection');
  await home.manager.ensureDaemon();
  const next = await home.manager.openWeb({ listen: new URL(url).host });
  // Sessions end with the daemon that knew them.
  // What is hidden can be read as well: this is not.
  await see(page, /not signed in/, '#connection');
  await see(page, /rcluster web/, '#gate');
  // A link that is opened elsewhere is good for this window too.
  const other = await windows.newPage();
  await other.goto(next.url);
  await see(other, /live/, '#connection');
  await waitFor('the page to be loaded anew', () => page.$eval('#gate', (gate) => /** @type {HTMLElement} */ (gate).hidden).catch(() => false));
});

testInBrowser(`a connection that breaks is made anew, and the logs go on`, async () => {
  const home = new Home();
  await startTwo(home);
  const { page, url } = await openPage(home);
  /** @type {Set<net.Socket>} */
  const between = new Set();
  const way = net.createServer((socket) => {
    const on = net.connect(Number(new URL(url).port), '127.0.0.1');
    for (const one of [socket, on]) between.add(one.on('error', () => {}).on('close', () => [socket, on].forEach((end) => end.destroy())));
    socket.pipe(on).pipe(socket);
  }).unref().listen(0, '127.0.0.1');
  await once(way, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (way.address());
  const { url: second } = await home.manager.openWeb({ listen: new URL(url).host });
  await page.goto(`http://127.0.0.1:${port}/${new URL(second).hash}`);
  await see(page, /chat/, '#apps');
  await page.click('#apps tbody tr:nth-child(2)');
  await see(page, /line \d+/, '.logs ol');
  const last = async () => Number(/.*line (\d+)/s.exec(await textOf(page, '.logs ol'))?.[1]);
  for (const socket of between) socket.destroy();
  await see(page, /no daemon/, '#connection');
  const at = await last();
  await see(page, /live/, '#connection');
  await waitFor('more lines', async () => (await last()) > at + 5);
  expect(await page.$eval('.logs .trouble', (element) => /** @type {HTMLElement} */ (element).hidden)).toBe(true);
  way.close();
});

testInBrowser(`an attacker's page cannot see or do anything`, async () => {
  const home = new Home();
  await startTwo(home);
  const { windows, page, url } = await openPage(home);
  const { origin, host } = new URL(url);
  const before = (await home.manager.list()).map(({ processes }) => processes[0].pid);
  // At another port of the same host, which is of the same site for cookies: the worst place.
  /** @type {string[]} */
  const cookies = [];
  const evil = http.createServer((request, response) => {
    cookies.push(request.headers.cookie ?? '');
    response.setHeader('content-type', 'text/html').end('<title>evil</title><body>');
  }).unref().listen(0, '127.0.0.1');
  await once(evil, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (evil.address());
  for (const place of [`http://127.0.0.1:${port}/`, `http://localhost:${port}/`]) {
    const stranger = await windows.newPage();
    /** What may not be shown in a frame. @type {Set<string>} */
    const refused = new Set();
    stranger.on('requestfailed', (request) => {
      if (request.isNavigationRequest() && request.failure()?.errorText === 'net::ERR_BLOCKED_BY_RESPONSE') refused.add(request.url());
    });
    await stranger.goto(place);
    const tried = await stranger.evaluate(async (target) => {
      const results = /** @type {string[]} */ ([]);
      for (const op of ['stop', 'restart', 'reload', 'scale', 'start', 'reset']) {
        for (const mode of /** @type {RequestMode[]} */ (['cors', 'no-cors'])) {
          for (const headers of /** @type {Record<string, string>[]} */ ([{ 'content-type': 'text/plain' }, { 'content-type': 'application/json', 'x-rcluster-key': '0' }])) {
            try {
              const { type, status } = await fetch(`${target}/api/apps/quiet/${op}`, { method: 'POST', mode, headers, credentials: 'include', body: '{"count":5}' });
              results.push(`${op} ${mode} ${type} ${status}`);
            } catch {
              // Refused by the browser.
            }
          }
        }
        const form = document.createElement('form');
        Object.assign(form, { method: 'post', enctype: 'text/plain', action: `${target}/api/apps/quiet/${op}`, target: 'frame' });
        const frame = document.createElement('iframe');
        frame.name = 'frame';
        document.body.append(frame, form);
        form.submit();
      }
      for (const route of ['api/live', 'api/history', 'api/logs?target=chat', 'main.js', '']) {
        try {
          results.push(`read ${(await (await fetch(`${target}/${route}`, { credentials: 'include' })).text()).length}`);
        } catch {
          // Not to be read.
        }
      }
      const loads = (/** @type {string} */ tag, /** @type {string} */ source) => new Promise((resolve) => {
        const element = Object.assign(document.createElement(tag), { onload: () => resolve(true), onerror: () => resolve(false), src: source });
        document.body.append(element);
      });
      results.push(`script ${await loads('script', `${target}/session.js`)}`, `image ${await loads('img', `${target}/icon.svg`)}`);
      const frame = document.createElement('iframe');
      frame.src = `${target}/`;
      const loaded = new Promise((resolve) => {
        frame.onload = resolve;
      });
      document.body.append(frame);
      await loaded;
      return results;
    }, origin);
    // What may not be read is not known to have failed; that nothing was done is looked at below.
    expect([place, tried.filter((one) => !/ no-cors opaque 0$/.test(one))]).toEqual([place, ['script false', 'image false']]);
    // Nothing of ours is in a frame. Who asks a frame that shows an error may wait for ever, as puppeteer loses some of them.
    await waitFor('the frame is refused', () => refused.has(`${origin}/`));
    await stranger.close();
  }
  // It may have got the cookie, as cookies belong to all ports of a host. Alone it is worth nothing.
  const stolen = cookies.find((cookie) => cookie.includes('rcluster_'));
  expect(stolen).toBeDefined();
  expect((await ask(`${origin}/api/apps/quiet/stop`, { method: 'POST', headers: { origin, cookie: String(stolen) }, body: {} })).status).toBe(401);
  expect((await home.manager.list()).map(({ instances, processes }) => [instances, processes[0].state, processes[0].pid])).toEqual(before.map((pid) => [1, 'online', pid]));
  evil.close();
  // The page itself has not noticed.
  await see(page, /live/, '#connection');
  // A name of the attacker's that now leads here (DNS rebinding).
  const victim = await (await openWindows()).newPage();
  const answer = await victim.goto(`http://evil.example:${host.split(':')[1]}/`);
  expect([answer?.status(), await victim.$('#apps')]).toEqual([403, null]);
});
