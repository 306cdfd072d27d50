'use strict';

// The unit of systemd that starts the daemon with the machine: a service of the system for root, of the user's own manager for anybody else.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/**
 * Whose unit it is, and where.
 *
 * @typedef {object} Unit
 * @property {string} name With `.service`.
 * @property {string} folder
 * @property {string} home The manager's.
 * @property {string} [user] Of a unit of the system: whom the daemon runs as.
 * @property {string} executable
 */

/**
 * @param {{ uid: number, user?: string, hp?: string, serviceName?: string, executable: string, env?: NodeJS.ProcessEnv, passwd?: string }} given
 * @returns {Unit}
 */
function unitOf({ uid, user, hp, serviceName, executable, env = process.env, passwd }) {
  const isRoot = uid === 0;
  const me = os.userInfo().username;
  if (!isRoot && user !== undefined && user !== me) throw new Error(`--user ${user}: only root may do that for others: sudo rcluster startup --user ${user}`);
  if (serviceName !== undefined && !/^[\w@:.-]+$/.test(serviceName)) throw new Error(`--service-name must be letters, digits and any of _-@:. Received ${JSON.stringify(serviceName)}`);
  const whom = user ?? me;
  const homeOf = hp ?? (whom === me ? env.HOME || os.homedir() : homeFolder(whom, passwd));
  const home = whom === me && hp === undefined && env.RCLUSTER_HOME ? path.resolve(env.RCLUSTER_HOME) : path.join(path.resolve(homeOf), '.rcluster');
  const folder = isRoot ? '/etc/systemd/system' : path.join(env.XDG_CONFIG_HOME || path.join(homeOf, '.config'), 'systemd', 'user');
  const name = `${(serviceName ?? (isRoot ? `rcluster-${whom}` : 'rcluster')).replace(/\.service$/, '')}.service`;
  return { name, folder, home, executable, ...(isRoot && { user: whom }) };
}

/**
 * Where a user is at home.
 *
 * @param {string} user
 * @param {string} [passwd]
 */
function homeFolder(user, passwd = fs.readFileSync('/etc/passwd', 'utf8')) {
  const found = passwd.split('\n').map((line) => line.split(':')).find(([name]) => name === user)?.[5];
  if (!found) throw new Error(`--user must be a user of this machine. Received ${JSON.stringify(user)}`);
  return found;
}

/**
 * A word of a command, as systemd reads it: `%` and `$` mean something there.
 *
 * @param {string} word
 */
function quoted(word) {
  return `"${word.replace(/[\\"]/g, '\\$&').replace(/%/g, '%%').replace(/\$/g, '$$$$')}"`;
}

/**
 * The file's text. Programs are ended by their keepers and not by systemd: `systemctl stop` and a crash of the daemon leave them running, and the
 * next daemon finds them.
 *
 * @param {Unit} unit
 */
function textOf({ user, home, executable }) {
  return `# Written by rcluster startup; rcluster unstartup removes it.
[Unit]
Description=rcluster: keeps programs running${user === undefined ? '' : ` (${user.replace(/%/g, '%%')})`}
${user === undefined ? '' : 'After=network.target\n'}
[Service]
Type=notify
NotifyAccess=main
${user === undefined ? '' : `User=${user.replace(/%/g, '%%')}\n`}ExecStart=${quoted(executable)} daemon --home ${quoted(home)} --foreground --resurrect
Restart=on-failure
TimeoutStartSec=90
TimeoutStopSec=90
KillMode=process
Delegate=yes
OOMPolicy=continue
LimitNOFILE=infinity
TasksMax=infinity

[Install]
WantedBy=${user === undefined ? 'default.target' : 'multi-user.target'}
`;
}

module.exports = { textOf, unitOf };
