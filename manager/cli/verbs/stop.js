'use strict';

const { simple } = require('../act.js');

module.exports = simple('stop', 'Stops apps; they stay listed.', [['--watch', "PM2's: does nothing here, as what is stopped is not watched"]]);
