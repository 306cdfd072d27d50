'use strict';

// Who is upgraded: a cluster of the process manager, or a proxy in front of one Node that runs the same service.

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { Manager } = require('../../../manager/client.js');
const { freePort, untilListening } = require('../proxies/fronts.js');
const { childrenOf } = require('../supervision/subjects.js');

/** @typedef {{ plain: number, tls: number, two: number }} Ports Where clients go: HTTP/1, HTTPS, and HTTP/2 without TLS. */

/**
 * @typedef {object} Subject
 * @property {string} name
 * @property {() => string | undefined} missing What is not there, if anything.
 * @property {(ports: Ports) => Promise<void>} begin
 * @property {() => Promise<{ time: number, moved?: number, finished?: number, cut?: number }>} upgrade Until nothing of the old one is left; ms, and connections.
 * @property {() => number} pid With all that it has started, it is what is upgraded.
 * @property {() => Promise<string | undefined>} wrong What should not have become of it.
 * @property {() => Promise<void>} end
 */

const APP = path.join(__dirname, 'app.js');
/** What has begun before an upgrade may take so long (s): as `drainTimeout`. */
const DRAIN = 10;
const LOOK = 10;
const PATIENCE = 30_000;

/** @param {number} pid */
function lives(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^ [ZX]/.test(stat.slice(stat.lastIndexOf(')') + 1));
  } catch {
    return false;
  }
}

/** @param {() => boolean} isSo @param {string} what */
async function until(isSo, what) {
  for (const deadline = Date.now() + PATIENCE; !isSo(); await sleep(LOOK)) if (Date.now() > deadline) throw new Error(`${what}: not within ${PATIENCE / 1000} s`);
}

/** @param {string} folder @param {{ KEY_FILE: string, CERT_FILE: string }} keys @returns {Subject} */
function rcluster(folder, keys) {
  const manager = new Manager({ home: path.join(folder, 'home') });
  let keeper = 0;
  return {
    name: 'rcluster',
    missing: () => undefined,
    async begin({ plain, tls, two }) {
      const env = { ...keys, PATH: process.env.PATH ?? '', PORT: `${plain}`, TLS: `${tls}`, TWO: `${two}` };
      await manager.ensureDaemon();
      await manager.start([{ name: 'app', mode: 'cluster', script: APP, cwd: __dirname, instances: 2, env }]);
      keeper = Number((await manager.list())[0].keeper);
    },
    async upgrade() {
      const [{ report }] = await manager.upgrade('app');
      return /** @type {any} */ (report);
    },
    pid: () => keeper,
    async wrong() {
      const [{ processes: [{ restarts }], keeper: now }] = await manager.list();
      return restarts > 0 || now !== keeper ? `${restarts} restarts, keeper ${keeper} is ${now}` : undefined;
    },
    async end() {
      if (await manager.isRunning()) await manager.kill();
      manager.close();
    },
  };
}

/**
 * A proxy in front of one Node.
 *
 * @param {string} name
 * @param {string} folder
 * @param {{ KEY_FILE: string, CERT_FILE: string }} keys
 * @param {(ports: Ports, service: number) => string[]} configure Returns what starts it, in the background.
 * @param {(pid: () => number) => Promise<void>} upgrade
 * @returns {Subject}
 */
function proxy(name, folder, keys, configure, upgrade) {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let node;
  /** Of all that were its main process. @type {Set<number>} */
  const pids = new Set();
  const file = path.join(folder, 'proxy.pid');
  /** 0 while one is replaced by the next, which renames the file and then writes its own. */
  const pid = () => {
    let now = 0;
    try {
      now = Number(fs.readFileSync(file, 'utf8'));
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error;
    }
    if (now > 0) pids.add(now);
    return now;
  };
  return {
    name: `${name}, before one Node`,
    missing: () => (spawnSync(name.toLowerCase(), ['-v']).error ? `${name} is not installed` : undefined),
    async begin(ports) {
      const service = await freePort();
      const env = { ...process.env, ...keys, PORT: `${service}`, TLS: `${await freePort()}`, TWO: `${await freePort()}` };
      node = spawn(process.execPath, [APP], { env, stdio: 'inherit' });
      await untilListening(service, node);
      const [program, ...args] = configure(ports, service);
      const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
      if (status !== 0) throw new Error(stderr);
      await untilListening(ports.two, node);
      pid();
    },
    async upgrade() {
      const began = performance.now();
      await upgrade(pid);
      return { time: Math.round(performance.now() - began) };
    },
    pid,
    wrong: async () => undefined,
    async end() {
      for (const one of [...pids].filter(lives)) {
        // Not gracefully: clients are still there.
        process.kill(one, 'SIGTERM');
        await until(() => !lives(one), `${name} ends`);
      }
      if (!node || node.exitCode !== null) return;
      const exited = once(node, 'exit');
      node.kill('SIGKILL');
      await exited;
    },
  };
}

/** @param {string} folder @param {{ KEY_FILE: string, CERT_FILE: string }} keys */
function nginx(folder, keys) {
  const file = path.join(folder, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
  return proxy('nginx', folder, keys, ({ plain, tls, two }, service) => {
    fs.writeFileSync(file, `
      ${process.getuid?.() === 0 ? 'user root;' : ''}
      worker_processes 2; daemon on; pid ${folder}/proxy.pid; error_log ${folder}/error.log; worker_shutdown_timeout ${DRAIN}s;
      events { worker_connections 4096; }
      http {
        access_log off; keepalive_timeout 1h; keepalive_requests 1000000000; ${temporary}
        map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
        upstream service { server 127.0.0.1:${service}; keepalive 128; keepalive_requests 1000000000; }
        proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; proxy_request_buffering off; proxy_read_timeout 1h;
        server { listen 127.0.0.1:${plain}; location / { proxy_pass http://service; } }
        server { listen 127.0.0.1:${tls} ssl; ssl_certificate ${keys.CERT_FILE}; ssl_certificate_key ${keys.KEY_FILE}; location / { proxy_pass http://service; } }
        server { listen 127.0.0.1:${two} http2; location / { proxy_pass http://service; } }
      }`);
    // The next one is started by the name of this one, without a look at PATH.
    return [spawnSync('which', ['nginx'], { encoding: 'utf8' }).stdout.trim(), '-e', path.join(folder, 'error.log'), '-c', file];
  }, async (pid) => {
    const old = pid();
    process.kill(old, 'SIGUSR2');
    const isNew = () => ![0, old].includes(pid()) && childrenOf(pid()).length >= 2;
    await until(isNew, 'the new nginx has workers');
    const workers = childrenOf(old).filter((one) => one !== pid());
    process.kill(old, 'SIGWINCH');
    await until(() => !workers.some(lives), "the old nginx's workers have gone");
    process.kill(old, 'SIGQUIT');
    await until(() => !lives(old), 'the old nginx has gone');
  });
}

/** @param {string} folder @param {{ KEY_FILE: string, CERT_FILE: string }} keys */
function haproxy(folder, keys) {
  const [file, stats, pem] = ['haproxy.cfg', 'stats.sock', 'both.pem'].map((name) => path.join(folder, name));
  const start = ['haproxy', '-D', '-q', '-f', file, '-p', path.join(folder, 'proxy.pid')];
  return proxy('HAProxy', folder, keys, ({ plain, tls, two }, service) => {
    fs.writeFileSync(pem, fs.readFileSync(keys.CERT_FILE, 'utf8') + fs.readFileSync(keys.KEY_FILE, 'utf8'), { mode: 0o600 });
    fs.writeFileSync(file, `
global
  stats socket ${stats} mode 600 level admin expose-fd listeners
  hard-stop-after ${DRAIN}s
  nbthread 2
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
  timeout http-keep-alive 1h
frontend front
  bind 127.0.0.1:${plain}
  bind 127.0.0.1:${tls} ssl crt ${pem}
  bind 127.0.0.1:${two} proto h2
  default_backend service
backend service
  server one 127.0.0.1:${service}
`);
    return start;
  }, async (pid) => {
    const old = pid();
    const child = spawn('haproxy', [...start.slice(1), '-x', stats, '-sf', `${old}`], { stdio: ['ignore', 'ignore', 'inherit'] });
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(`the new HAProxy ended with code ${code}`);
    await until(() => !lives(old), 'the old HAProxy has gone');
    pid();
  });
}

/** @type {Record<string, (folder: string, keys: { KEY_FILE: string, CERT_FILE: string }) => Subject>} */
const SUBJECTS = { rcluster, nginx, haproxy };

module.exports = { SUBJECTS };
