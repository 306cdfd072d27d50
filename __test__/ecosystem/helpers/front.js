'use strict';

// Real proxies, from the machine's packages, in front of a service of a test.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { testWith } = require('../../helpers/needs');
const { endWithTest, waitFor } = require('../../helpers/run');

const STREAM = process.env.NGINX_STREAM_MODULE ?? '/usr/lib/nginx/modules/ngx_stream_module.so';

const ifHaproxy = testWith('haproxy');
const ifNginx = testWith('nginx', STREAM);

/** @param {string} program @param {string[]} args @param {number} port where it is to listen */
async function startProxy(program, args, port) {
  const child = endWithTest(spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } }));
  let said = '';
  child.stderr.on('data', (text) => (said += text));
  const listens = () =>
    new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
  await waitFor(async () => child.exitCode !== null || (await listens()), { message: () => said });
  expect({ code: child.exitCode, said }).toMatchObject({ code: null });
}

/**
 * Starts HAProxy in one process, in the foreground.
 *
 * @param {string} folder a temporary one
 * @param {string} text of its configuration
 * @param {number} port where it is to listen
 */
function startHaproxy(folder, text, port) {
  const file = path.join(folder, 'haproxy.cfg');
  fs.writeFileSync(file, text);
  return startProxy('haproxy', ['-db', '-q', '-f', file], port);
}

/**
 * Starts nginx in one process, in the foreground, with all that it writes below the folder.
 *
 * @param {string} folder a temporary one
 * @param {string} text of its configuration, but for what concerns the process
 * @param {number} port where it is to listen
 */
function startNginx(folder, text, port) {
  const file = path.join(folder, 'nginx.conf');
  fs.writeFileSync(file, `
load_module ${STREAM};
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1; daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 256; }
${text}`);
  return startProxy('nginx', ['-p', folder, '-e', path.join(folder, 'error.log'), '-c', file], port);
}

module.exports = { ifHaproxy, ifNginx, startHaproxy, startNginx };
