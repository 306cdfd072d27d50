'use strict';

const { simple } = require('../act.js');

module.exports = simple('reset', 'Sets the counts of restarts to 0.');
