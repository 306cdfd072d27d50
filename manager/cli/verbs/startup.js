'use strict';

const fs = require('node:fs');
const os = require('node:os');
const { setTimeout: sleep } = require('node:timers/promises');

const { executable } = require('../../home.js');
const { print } = require('../say.js');
const { textOf, unitOf } = require('../unit.js');
const { usage } = require('../words.js');

/** How often (ms) it is looked whether a daemon has gone that was told to, and for how long. */
const LOOK = 10;
const GOING = 5000;

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Has the machine start the daemon and what it keeps, with a unit of systemd.',
  usage: '[options]',
  flags: [
    ['-u, --user <name>', 'as root: whose apps they are'],
    ['--hp <folder>', "where that user is at home, if it is not what the system says"],
    ['--service-name <name>', 'what the unit is called'],
    ['--print', 'shows the unit, and changes nothing'],
  ],
  needsDaemon: false,
  async run(manager, words, options) {
    if (words.length > 0 && (words.length > 1 || words[0] !== 'systemd')) throw usage(`startup: there are units of systemd alone. Received '${words.join(' ')}'`);
    const unit = unitOf({ uid: os.userInfo().uid, executable: executable(), ...options });
    if (options.print) return process.stdout.write(`# ${unit.folder}/${unit.name}\n${textOf(unit)}`);
    const { install, isThere, lingers } = require('../boot.js');
    if (!isThere()) throw new Error('systemd does not run here: --print shows the unit; in a container rcluster run <config> is the first process');
    if (!fs.existsSync(executable())) await require('../../../scripts/build-manager.js').buildManager();
    const { Manager } = require('../../client.js');
    const other = new Manager({ home: unit.home, autostart: false });
    await makeRoom(other);
    print(`${install(unit)}: the daemon is started now, and with the machine. rcluster save keeps the list of apps for that; rcluster unstartup takes this back`);
    const me = os.userInfo().username;
    if (unit.user === undefined && !lingers(me)) print(`It begins when ${me} logs in, and ends with the last session. To begin with the machine: sudo loginctl enable-linger ${me}`);
    return undefined;
  },
};

/**
 * There is one daemon for each home: one that runs already goes, and its programs do not notice.
 *
 * @param {import('../../client.js').Manager} manager
 */
async function makeRoom(manager) {
  if (!(await manager.isRunning())) return;
  process.kill((await manager.ping()).pid, 'SIGTERM');
  for (const deadline = Date.now() + GOING; await manager.isRunning(); await sleep(LOOK)) {
    if (Date.now() > deadline) throw new Error('the daemon that runs already does not end');
  }
}
