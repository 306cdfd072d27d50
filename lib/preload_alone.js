'use strict';

// What a worker loads before anything else when it may load no addons (`--no-addons`, or `--permission` without
// `--allow-addons`): ours has to be. So the worker is started as if it might, and what Node would refuse is refused here,
// in its threads as well.

require('./preload.js');
const { hideAllowance } = require('./environment.js');
const { coded } = require('./errors.js');

hideAllowance();

process.dlopen = function dlopen() {
  throw coded(Error, 'ERR_DLOPEN_DISABLED', 'Cannot load native addon because loading addons is disabled.');
};
