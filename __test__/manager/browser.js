'use strict';

// Debian's Chromium for tests, and plain requests to the page.

const http = require('node:http');
const { once } = require('node:events');
const { find } = require('../helpers/programs');

const executablePath = find('chromium');

/** ms: how long its start may take where the machine is busy, which reads some hundred megabytes for it. */
const STARTING = 120_000;

/** @type {import('puppeteer-core').Browser | undefined} */
let browser;
/** @type {Set<import('puppeteer-core').BrowserContext>} */
const contexts = new Set();

/** Starts one browser for all tests of a file, if there is one: to start one for each would take most of their time. */
function startBrowser() {
  beforeAll(async () => {
    if (!executablePath) return;
    browser = await require('puppeteer-core').launch({
      executablePath, timeout: STARTING, headless: true, defaultViewport: { width: 1200, height: 800 },
      // The first page is nobody's: tests open their own.
      waitForInitialPage: false,
      // A name of an attacker's, that leads to this machine.
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking', '--host-resolver-rules=MAP evil.example 127.0.0.1'],
    });
  }, STARTING);
  afterAll(() => browser?.close());
}

/** Windows with cookies and storage of their own, which end with the test. */
async function openWindows() {
  if (!browser) throw new Error('startBrowser() has not been called');
  const context = await browser.createBrowserContext();
  contexts.add(context);
  return context;
}

afterEach(async () => {
  for (const context of contexts) await context.close();
  contexts.clear();
});

/**
 * One request, as something else than a browser would make it.
 *
 * @param {string} url
 * @param {{ method?: string, headers?: Record<string, string>, body?: any, socketPath?: string }} [options]
 * @returns {Promise<{ status: number | undefined, headers: http.IncomingHttpHeaders, text: string }>}
 */
async function ask(url, { method = 'GET', headers = {}, body, socketPath } = {}) {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const request = http.request(url, { method, headers, agent: false, ...(socketPath && { socketPath }) });
  request.end(text);
  const [response] = /** @type {[http.IncomingMessage]} */ (await once(request, 'response'));
  let answer = '';
  for await (const chunk of response.setEncoding('utf8')) answer += chunk;
  return { status: response.statusCode, headers: response.headers, text: answer };
}

module.exports = { ask, openWindows, startBrowser };
