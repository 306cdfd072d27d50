#!/usr/bin/env node
'use strict';

// The command. With a verb it asks the process manager; without one it runs a script itself.

const { isVerb, run } = require('../manager/cli/main.js');

if (isVerb(process.argv[2])) void run(process.argv.slice(2));
else require('./foreground.js');
