'use strict';

// Real proxies, from the machine's packages, in front of a service of a test.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { text } = require('node:stream/consumers');
const { testWith } = require('../../helpers/needs');
const { endWithTest, waitFor } = require('../../helpers/run');

const STREAM = process.env.NGINX_STREAM_MODULE ?? '/usr/lib/nginx/modules/ngx_stream_module.so';

const ifHaproxy = testWith('haproxy');
const ifNginx = testWith('nginx', STREAM);

/** @param {string} program @param {string[]} args @param {number} port where it is to listen */
async function startProxy(program, args, port) {
  const child = endWithTest(spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } }));
  let said = '';
  child.stderr.on('data', (chunk) => (said += chunk));
  const listens = () =>
    new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
  await waitFor(async () => child.exitCode !== null || (await listens()), { message: () => said });
  expect({ code: child.exitCode, said }).toMatchObject({ code: null });
}

/**
 * What HAProxy thinks of its servers, such as `UP 1/2 INI`: its state, and what its last check has found.
 *
 * @param {string} socket of its statistics
 */
async function serversOf(socket) {
  const asked = net.connect(socket).end('show stat\n');
  const [first, ...lines] = (await text(asked)).trim().replace(/^# /, '').split('\n').map((line) => line.split(','));
  const of = (/** @type {string[]} */ line, /** @type {string} */ column) => line[first.indexOf(column)];
  return lines.filter((line) => !/^(FRONT|BACK)END$/.test(of(line, 'svname'))).map((line) => `${of(line, 'status')} ${of(line, 'check_status')}`);
}

/**
 * Starts HAProxy in one process, in the foreground. Each of its servers that it checks has passed a check by then: until that it counts as up, and the
 * first one that is late, as on a busy machine, takes it down.
 *
 * @param {string} folder a temporary one
 * @param {string} config
 * @param {number} port where it is to listen
 */
async function startHaproxy(folder, config, port) {
  const [file, socket] = ['haproxy.cfg', 'haproxy.sock'].map((name) => path.join(folder, name));
  fs.writeFileSync(file, `global\n    stats socket ${socket}\n${config}`);
  await startProxy('haproxy', ['-db', '-q', '-f', file], port);
  let servers = /** @type {string[]} */ ([]);
  await waitFor(async () => (servers = await serversOf(socket)).every((one) => /^UP L7OK$|^no check /.test(one)), { message: () => servers.join(', ') });
}

/**
 * Starts nginx in one process, in the foreground, with all that it writes below the folder.
 *
 * @param {string} folder a temporary one
 * @param {string} config but for what concerns the process
 * @param {number} port where it is to listen
 */
function startNginx(folder, config, port) {
  const file = path.join(folder, 'nginx.conf');
  fs.writeFileSync(file, `
load_module ${STREAM};
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1; daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 256; }
${config}`);
  return startProxy('nginx', ['-p', folder, '-e', path.join(folder, 'error.log'), '-c', file], port);
}

module.exports = { ifHaproxy, ifNginx, startHaproxy, startNginx };
