'use strict';

// The programs that tests start, and the Debian packages that bring them. `.ci/run` installs what is missing:
//   node __test__/helpers/programs.js             prints the packages that are missing, one a line
//   node __test__/helpers/programs.js --programs  prints the programs that are missing

const fs = require('node:fs');
const path = require('node:path');

/** A program, or the path of a file. @type {Record<string, string>} */
const PACKAGES = {
  'apt-get': 'apt',
  cc: 'gcc',
  'c++': 'g++',
  chromium: 'chromium',
  'dpkg-source': 'dpkg-dev',
  haproxy: 'haproxy',
  nginx: 'nginx-light',
  nsenter: 'util-linux',
  prlimit: 'util-linux',
  prometheus: 'prometheus',
  promtool: 'prometheus',
  python3: 'python3',
  script: 'bsdutils',
  ss: 'iproute2',
  strace: 'strace',
  'systemd-analyze': 'systemd',
  'systemd-socket-activate': 'systemd',
  tmux: 'tmux',
  unshare: 'util-linux',
  xz: 'xz-utils',
  '/usr/share/zoneinfo/Asia/Kolkata': 'tzdata',
  [process.env.NGINX_STREAM_MODULE ?? '/usr/lib/nginx/modules/ngx_stream_module.so']: 'libnginx-mod-stream',
};

/** A user's PATH may lack the folders of an administrator. */
const ADMINISTRATOR = ['/usr/sbin', '/sbin'];

/** @param {string} file */
function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * @param {string} program one of the table
 * @returns {string | undefined} its path
 */
function find(program) {
  if (!(program in PACKAGES)) throw new Error(`__test__/helpers/programs.js does not know which package brings ${program}`);
  if (path.isAbsolute(program)) return fs.existsSync(program) ? program : undefined;
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), ...ADMINISTRATOR];
  return folders.filter(Boolean).map((folder) => path.join(folder, program)).find(isExecutable);
}

module.exports = { PACKAGES, find };

if (require.main === module) {
  const missing = Object.keys(PACKAGES).filter((program) => find(program) === undefined);
  const lines = process.argv[2] === '--programs' ? missing : [...new Set(missing.map((program) => PACKAGES[program]))];
  for (const line of lines) console.log(line);
}
