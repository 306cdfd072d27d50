'use strict';

const os = require('node:os');

const { executable } = require('../../home.js');
const { print } = require('../say.js');
const { unitOf } = require('../unit.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Undoes startup: what runs goes on, and is not started with the machine any more.',
  usage: '[options]',
  flags: [
    ['-u, --user <name>', 'as root: whose apps they are'],
    ['--hp <folder>', 'as startup was told'],
    ['--service-name <name>', 'as startup was told'],
  ],
  needsDaemon: false,
  run(_manager, _words, options) {
    const unit = unitOf({ uid: os.userInfo().uid, executable: executable(), ...options });
    const file = require('../boot.js').uninstall(unit);
    print(file ? `${file} is gone: nothing is started with the machine, and what runs goes on` : `there is no ${unit.folder}/${unit.name}`);
  },
};
