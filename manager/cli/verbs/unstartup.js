'use strict';

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Not there yet: undoes startup.',
  usage: '',
  needsDaemon: false,
  run() {
    throw new Error('unstartup is not there yet: until then let your service manager run "rcluster resurrect" when the machine starts');
  },
};
