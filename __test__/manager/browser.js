'use strict';

// Debian's Chromium for tests, and plain requests to the page.

const http = require('node:http');
const { once } = require('node:events');
const path = require('node:path');
const { find } = require('../helpers/programs');

const executablePath = find('chromium');

/** @type {Set<import('puppeteer-core').Browser>} */
const browsers = new Set();
let launched = 0;

/**
 * A browser that ends with the test.
 *
 * @param {import('./home').Home} home
 * @param {string[]} [args]
 */
async function launch(home, args = []) {
  const puppeteer = require('puppeteer-core');
  const browser = await puppeteer.launch({
    executablePath, headless: true, defaultViewport: { width: 1200, height: 800 },
    // Each has a profile of its own: one that is closing would take over the next one's windows. The first page is nobody's: tests open their own.
    userDataDir: path.join(home.folder, `chromium-${launched++}`), waitForInitialPage: false,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking', ...args],
  });
  browsers.add(browser);
  return browser;
}

afterEach(async () => {
  for (const browser of browsers) await browser.close();
  browsers.clear();
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

module.exports = { ask, launch };
