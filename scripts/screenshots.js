'use strict';

// Makes the pictures of the README: some apps in a home of their own, looked at for a while, in Debian's Chromium.
//   node scripts/screenshots.js [minutes]     (needs Chromium, tmux, and npm run build:manager)

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { Manager } = require('../manager/client.js');

const IMAGES = path.join(__dirname, '..', 'docs', 'images');

/** A server that works in waves, and says what it answers. */
const SHOP = `
const http = require('node:http');
const server = http.createServer((request, response) => {
  const began = Date.now();
  while (Date.now() - began < 3);
  const status = request.url === '/checkout' && Math.random() < 0.03 ? 503 : 200;
  console.log(request.method, request.url, status, Date.now() - began + ' ms');
  response.writeHead(status).end('ok');
});
server.listen(Number(process.env.PORT), '127.0.0.1');
const paths = ['/', '/cart', '/products/42', '/products?page=2', '/checkout', '/login'];
let turn = 0;
const ask = () => {
  turn++;
  const pause = 60 + 55 * Math.sin(turn / 400) + Math.random() * 40;
  http.get({ port: process.env.PORT, host: '127.0.0.1', path: paths[turn % paths.length] }, (response) => response.resume()).on('error', () => {});
  setTimeout(ask, pause);
};
ask();
`;
const MAILER = `
const kept = [];
setInterval(() => {
  for (let i = 0; i < 2e6 * Math.random(); i++);
  kept.push(Buffer.alloc(40_000, 1));
  if (kept.length > 400) kept.splice(0);
  console.log('sent', Math.ceil(Math.random() * 20), 'mails');
}, 400);
`;
const REPORTS = "setInterval(() => { for (let i = 0; i < 4e7 * Math.random(); i++); console.log('report written in', (Math.random() * 900).toFixed(0), 'ms') }, 700)";
const IMPORTER = "console.error('Error: connect ECONNREFUSED 10.0.0.5:5432'); setTimeout(() => process.exit(1), 50)";

/** The terminal's sixteen colours, as this picture has them. */
const COLOURS = ['#1f1c19', '#ff8f84', '#7fc592', '#e2b95c', '#8fb4e8', '#d7a0d0', '#7cc7c7', '#e9e4db', '#8b8378', '#ff8f84', '#7fc592', '#e2b95c', '#8fb4e8', '#d7a0d0', '#7cc7c7', '#ffffff'];

/** A window of tmux as HTML. @param {string} text With its escape sequences. */
function drawn(text) {
  const style = { fg: COLOURS[7], isBold: false, isReversed: false };
  const escaped = (/** @type {string} */ part) => part.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const pieces = text.split(String.fromCharCode(27)).map((piece, index) => {
    const [whole, codes] = (index > 0 && /^\[([\d;]*)m/.exec(piece)) || ['', undefined];
    const all = codes === undefined ? [] : codes.split(';').map(Number);
    for (let at = 0; at < all.length; at++) {
      const code = all[at];
      if (code === 0) Object.assign(style, { fg: COLOURS[7], isBold: false, isReversed: false });
      else if (code === 1) style.isBold = true;
      else if (code === 7) style.isReversed = true;
      else if (code === 27) style.isReversed = false;
      else if (code === 22) style.isBold = false;
      else if (code === 39) style.fg = COLOURS[7];
      else if (code === 38) style.fg = COLOURS[all[(at += 2)]];
      else if (code >= 30 && code < 38) style.fg = COLOURS[code - 30];
      else if (code >= 90 && code < 98) style.fg = COLOURS[code - 82];
    }
    const colours = style.isReversed ? `color:${COLOURS[0]};background:${style.fg}` : `color:${style.fg}`;
    return `<span style="${colours};${style.isBold ? 'font-weight:bold' : ''}">${escaped(piece.slice(whole.length))}</span>`;
  });
  return `<body style="margin:0;background:${COLOURS[0]}"><pre style="margin:0;padding:14px 18px;font:14px/1.3 'DejaVu Sans Mono',monospace;display:inline-block">${pieces.join('')}</pre>`;
}

/**
 * @param {import('puppeteer-core').Browser} browser
 * @param {string} folder
 * @param {string} home
 */
async function shootTerminal(browser, folder, home) {
  const tmux = (/** @type {string[]} */ ...words) => execFileSync('tmux', ['-S', path.join(folder, 'tmux'), ...words], { encoding: 'utf8', env: { ...process.env, RCLUSTER_HOME: home } });
  tmux('-f', '/dev/null', 'new-session', '-d', '-x', '96', '-y', '26', `${process.execPath} ${path.join(__dirname, '..', 'bin', 'rcluster.js')} monit`);
  await sleep(5000);
  const page = await browser.newPage();
  await page.setViewport({ width: 860, height: 510 });
  await page.setContent(drawn(tmux('capture-pane', '-e', '-p')));
  await page.screenshot({ path: /** @type {`${string}.png`} */ (path.join(IMAGES, 'monit.png')), fullPage: true });
  await page.close();
  tmux('kill-server');
}

async function main() {
  const minutes = Number(process.argv[2] ?? 8);
  const puppeteer = require('puppeteer-core');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-shots-'));
  const manager = new Manager({ home: path.join(folder, 'home') });
  // To be seen in the pictures.
  const cwd = path.join(os.tmpdir(), 'shop');
  fs.mkdirSync(cwd, { recursive: true });
  for (const [name, text] of Object.entries({ 'api.js': SHOP, 'mailer.js': MAILER, 'reports.js': REPORTS, 'importer.js': IMPORTER, 'idle.js': 'setInterval(() => {}, 1e6)' })) fs.writeFileSync(path.join(cwd, name), text);
  const env = { ...process.env, PORT: '18473' };
  try {
    const { url } = await manager.openWeb({ listen: '127.0.0.1:0' });
    await manager.start([
      { name: 'api', script: 'api.js', mode: 'cluster', instances: 2, clusterArgs: ['--count-requests'], cwd, env },
      { name: 'mailer', script: 'mailer.js', instances: 2, cwd, env },
      { name: 'reports', script: 'reports.js', cwd, env },
      { name: 'importer', script: 'importer.js', restartDelay: 20_000, cwd, env },
      { name: 'scheduler', script: 'idle.js', cwd, env },
      { name: 'staging-api', namespace: 'staging', script: 'idle.js', cwd, env },
    ]);
    await manager.stop('staging:staging-api');
    await sleep(minutes * 60_000);
    const browser = await puppeteer.launch({ executablePath: '/usr/bin/chromium', headless: true, userDataDir: path.join(folder, 'chromium'), args: ['--no-sandbox', '--disable-gpu'] });
    fs.mkdirSync(IMAGES, { recursive: true });
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitForSelector('#apps tbody tr');
    /**
     * @param {string} name
     * @param {'light' | 'dark'} scheme
     * @param {string} hash
     * @param {{ width: number, height: number, deviceScaleFactor?: number, isMobile?: boolean }} viewport
     */
    const shoot = async (name, scheme, hash, viewport) => {
      await page.setViewport(viewport);
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      // Charts have the colours that they were made with.
      await page.goto(`${new URL(url).origin}/${hash}`);
      await page.reload();
      await page.waitForSelector(hash === '' ? '#apps tbody tr' : '.logs li');
      await sleep(3000);
      await page.screenshot({ path: /** @type {`${string}.png`} */ (path.join(IMAGES, `${name}.png`)) });
    };
    await shoot('web-list', 'light', '', { width: 1200, height: 430 });
    await shoot('web-light', 'light', '#app=default%3Aapi', { width: 1200, height: 760 });
    await shoot('web-dark', 'dark', '#app=default%3Amailer', { width: 1200, height: 760 });
    await shoot('web-phone', 'light', '#app=default%3Aapi', { width: 360, height: 740, deviceScaleFactor: 1, isMobile: true });
    await shootTerminal(browser, folder, manager.home);
    await browser.close();
  } finally {
    await manager.kill();
    manager.close();
    for (const one of [folder, cwd]) fs.rmSync(one, { recursive: true });
  }
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
