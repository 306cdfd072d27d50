'use strict';

// `require('rcluster')` is `require('cluster')`: the same object, with its members replaced by ours where that is
// possible (see lib/load.js), and as it is where not.

module.exports = require('./lib/load.js');
