'use strict';

// What a client may meet before the service: nothing, or a proxy with a configuration of its own in a temporary folder.

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const { root } = require('../../lib/sources.js');

/**
 * @typedef {object} Front
 * @property {string} name
 * @property {'ab' | 'http' | 'https' | 'http10'} clients
 * @property {string[]} [abOptions]
 * @property {() => string | undefined} missing What is not there, if anything.
 * @property {(folder: string, port: number, service: number) => string[]} [command] What is started, to listen on `port`.
 */

/** @param {string} program */
const without = (program) => () => (spawnSync(program, ['-v']).error ? `${program} is not installed` : undefined);

/**
 * @param {string} upstream
 * @param {string} location
 */
const nginx = (upstream, location) => (/** @type {string} */ folder, /** @type {number} */ port, /** @type {number} */ service) => {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
  fs.writeFileSync(path.join(folder, 'nginx.conf'), `
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    worker_processes 1; daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
    events { worker_connections 4096; }
    http {
      access_log off; keepalive_requests 1000000; ${temporary}
      upstream service { server 127.0.0.1:${service}; ${upstream} }
      server { listen 127.0.0.1:${port}; location / { proxy_pass http://service; proxy_next_upstream off; ${location} } }
    }`);
  return ['nginx', '-e', path.join(folder, 'error.log'), '-c', path.join(folder, 'nginx.conf')];
};

/** @param {(service: number) => string} backend Its lines. */
const haproxy = (backend) => (/** @type {string} */ folder, /** @type {number} */ port, /** @type {number} */ service) => {
  fs.writeFileSync(path.join(folder, 'haproxy.cfg'), `
defaults
  mode http
  retries 0
  timeout connect 5s
  timeout client 120s
  timeout server 30s
  http-reuse always
frontend front
  bind 127.0.0.1:${port}
  default_backend service
backend service
  ${backend(service)}
`);
  return ['haproxy', '-db', '-q', '-f', path.join(folder, 'haproxy.cfg')];
};

const nothing = () => undefined;

/** @type {Front[]} */
const FRONTS = [
  { name: 'ab -n', clients: 'ab', missing: without('ab') },
  { name: 'ab -n -k', clients: 'ab', abOptions: ['-k'], missing: without('ab') },
  { name: 'HTTP/1.0 clients', clients: 'http10', missing: nothing },
  { name: 'keep-alive clients', clients: 'http', missing: nothing },
  { name: 'nginx', clients: 'http', missing: without('nginx'), command: nginx('', '') },
  {
    name: 'nginx, upstream keep-alive',
    clients: 'http',
    missing: without('nginx'),
    command: nginx('keepalive 64;', 'proxy_http_version 1.1; proxy_set_header Connection "";'),
  },
  { name: 'HAProxy', clients: 'http', missing: without('haproxy'), command: haproxy((service) => `server one 127.0.0.1:${service}`) },
  {
    name: 'http-proxy behind TLS',
    clients: 'https',
    missing: () => {
      const there = fs.existsSync(path.join(root, '__test__', 'ecosystem', 'node_modules', 'http-proxy'));
      return there ? undefined : 'http-proxy is not installed: `npm run test:jest` does it';
    },
    command: (folder, port, service) => [process.execPath, path.join(__dirname, 'tls_proxy.js'), `${port}`, `${service}`],
  },
];

/** Ports that no client is given for its side of a connection: see ip_local_port_range in ip(7). */
const PORTS = { from: 10_000, to: 32_000 };

/** @returns {Promise<number>} */
function freePort() {
  const wanted = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(freePort()));
    server.listen(wanted, '127.0.0.1', () => server.close(() => resolve(wanted)));
  });
}

/**
 * @param {number} port
 * @param {import('node:child_process').ChildProcess} child Whoever is to listen there.
 */
async function untilListening(port, child) {
  for (let tries = 0; tries < 400; tries++) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} has ended with code ${child.exitCode}`);
    const listens = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (listens) return;
    await sleep(25);
  }
  throw new Error(`${child.spawnfile} does not listen`);
}

/**
 * @param {Front} front
 * @param {string} folder
 * @param {number} service The port of the service.
 * @returns {Promise<{ port: number, lead(service: number): void, stop(): Promise<void> }>} Where clients go; `lead` makes nginx lead to another service.
 */
async function startFront(front, folder, service) {
  if (!front.command) return { port: service, lead: () => {}, stop: async () => {} };
  const { command } = front;
  const port = await freePort();
  const [program, ...args] = command(folder, port, service);
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((resolve) => {
    child.once('close', resolve);
    child.once('error', resolve);
  });
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  try {
    await untilListening(port, child);
  } catch (error) {
    await stop();
    throw error;
  }
  const lead = (/** @type {number} */ other) => {
    command(folder, port, other);
    child.kill('SIGHUP');
  };
  return { port, lead, stop };
}

module.exports = { FRONTS, freePort, haproxy, startFront, untilListening };
