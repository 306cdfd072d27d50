'use strict';

// What a container is: a process that is number 1 of its own, with a root file system of its own that may not be written to. It needs root, and no
// engine: namespaces alone. Nothing of this machine is written to but the test's own folder.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { namespaces } = require('../helpers/rights');
const { ROOT } = require('../helpers/run');

const NAMESPACES = ['--mount', '--pid', '--ipc', '--fork', '--kill-child', '--propagation', 'private'];

/** Why this machine does not let us make one. */
const forbidden = process.getuid?.() === 0 ? namespaces(NAMESPACES) : 'root alone may make a root file system';

/** Folders of this machine that a program needs to run at all. */
const SYSTEM = ['/usr', '/lib', '/lib64', '/bin', '/sbin', '/etc/alternatives', '/etc/ssl'];

/** The first words of the shell that makes a root file system and goes into it: `$1` the folder, `$2` user and group, then the command. */
const ENTER = `
  set -e
  root=$1 user=$2; shift 2
  mount -t tmpfs -o mode=755 none "$root"
  cd "$root"
  mkdir -p proc dev tmp etc app
  mount -t proc none proc
  for file in null zero urandom; do : > dev/$file; mount --bind /dev/$file dev/$file; done
  ln -s /proc/self/fd/1 dev/stdout; ln -s /proc/self/fd/2 dev/stderr
  bind() {
    if [ -L "$1" ]; then mkdir -p ".$(dirname "$1")"; ln -s "$(readlink "$1")" ".$1"
    elif [ -e "$1" ]; then mkdir -p ".$2"; mount --rbind "$1" ".$2"; mount -o remount,bind,ro ".$2"; fi
  }
  for place in $SYSTEM; do bind $place $place; done
  # The package may be below one of them.
  for place in $WRITABLE; do mkdir -p .$place; mount -t tmpfs -o mode=1777 none .$place; done
  bind "$PACKAGE" "$PACKAGE"
  bind "$APP" /app
  [ -n "$IS_WRITABLE" ] || mount -o remount,ro "$root"
  exec chroot --userspec="$user" "$root" /usr/bin/env -C /app -i PATH=/usr/local/bin:/usr/bin:/bin $VARIABLES "$@"`;

/**
 * @typedef {object} Options
 * @property {string[]} [writable] Folders that may be written to: `['/tmp']` by default.
 * @property {boolean} [isWritable] Whether the root file system is.
 * @property {string} [user] Number of the user and of the group; one that has no name.
 * @property {Record<string, string>} [env] All of its environment, but for the PATH.
 * @property {string} [app] The folder that is /app: that of the home by default.
 * @property {any} [stdio]
 */

/**
 * Starts a container. Its process 1 is the child's child.
 *
 * @param {import('./home').Home} home
 * @param {string[]} command
 * @param {Options} [options]
 */
function startContainer(home, command, { writable = ['/tmp'], isWritable = false, user = '4321:4321', env = {}, app = home.folder, stdio } = {}) {
  const root = fs.mkdtempSync(path.join(home.folder, 'root-'));
  // Another user has to get there.
  fs.chmodSync(home.folder, 0o755);
  const variables = {
    SYSTEM: SYSTEM.join(' '), PACKAGE: ROOT, APP: app, WRITABLE: writable.join(' '), IS_WRITABLE: isWritable ? '1' : '',
    VARIABLES: Object.entries(env).map(([name, value]) => `${name}=${value}`).join(' '),
  };
  const child = spawn('unshare', [...NAMESPACES, 'sh', '-c', ENTER, 'sh', root, user, ...command], { env: { ...process.env, ...variables }, stdio });
  home.children.add(child);
  child.on('close', () => home.children.delete(child));
  return child;
}

/** The number, outside, of a container's process 1. @param {import('node:child_process').ChildProcess} child */
function firstOf(child) {
  const pids = fs.readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ').map(Number);
  return pids[0];
}

/**
 * Runs a command in a container that runs, as `docker exec` does.
 *
 * @param {import('node:child_process').ChildProcess} child
 * @param {string[]} command
 * @param {string} [user]
 */
function execute(child, command, user = '4321') {
  const words = ['--target', String(firstOf(child)), '--mount', '--pid', '--root', '--wd', '--setuid', user, '--setgid', user, '/usr/bin/env', '-i', 'PATH=/usr/local/bin:/usr/bin:/bin', ...command];
  return new Promise((/** @type {(result: { code: number | null, stdout: string, stderr: string }) => void} */ resolve) => {
    const inside = spawn('nsenter', words, { stdio: ['ignore', 'pipe', 'pipe'] });
    const result = { stdout: '', stderr: '' };
    inside.stdout.on('data', (data) => (result.stdout += data));
    inside.stderr.on('data', (data) => (result.stderr += data));
    inside.on('close', (code) => resolve({ code, ...result }));
  });
}

module.exports = { execute, firstOf, forbidden, startContainer };
