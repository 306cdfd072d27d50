'use strict';

// Writes BENCH_LINES lines as fast as it can; when it began is in the file BENCH_BEGAN (milliseconds).

const fs = require('node:fs');
const { performance } = require('node:perf_hooks');

const count = Number(process.env.BENCH_LINES);
fs.writeFileSync(process.env.BENCH_BEGAN ?? '', String(performance.timeOrigin + performance.now()));
for (let i = 0; i < count; i++) console.log(`line ${i} of a program that writes as fast as it can, and ends`);
