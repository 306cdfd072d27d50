'use strict';

// What a worker loads before anything else. Its threads load it, too, with the options of their process, and get
// nothing.

const environment = require('./environment.js');

environment.hidePreload();
if (environment.isOurWorker()) require('./which_side.js');
