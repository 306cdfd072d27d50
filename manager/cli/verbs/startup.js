'use strict';

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Not there yet: starts the daemon when the machine starts.',
  usage: '',
  needsDaemon: false,
  run() {
    throw new Error('startup is not there yet: until then let your service manager run "rcluster resurrect" when the machine starts');
  },
};
