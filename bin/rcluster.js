#!/usr/bin/env node
'use strict';

// The command. With a verb it asks the process manager; without one it runs a script itself.

const { verbIn } = require('../manager/cli/verbs.js');

const verb = verbIn(process.argv.slice(2));
if (verb) void require('../lib/bundle.js').requireOfCommand('cli/main.js').run(verb);
else require('./foreground.js');
