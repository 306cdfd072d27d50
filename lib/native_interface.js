'use strict';

// Stands for all that the native part exports: it is made of lib/native-types.d.ts by scripts/native-types.js, and the native part has it built in.
module.exports = { INTERFACE: '4de1f5e567609209' };
