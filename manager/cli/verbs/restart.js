'use strict';

const { simple } = require('../act.js');

module.exports = simple('restart', 'Ends apps and starts them again.');
