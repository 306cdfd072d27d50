'use strict';

/**
 * How far one accepting thread goes on machines that nobody here has: a simulation, fed with what this benchmark has measured on two
 * processors (model/costs.js).
 *
 *   node bench/model.js [--processors 2,4,8,16,32,64,128] [--work 0,100,250,1000]
 *
 * Each line is one machine with 32 clients for each processor, who connect again as soon as they are served: how many per second it serves with one, two and four accepting
 * threads, with one per eight processors, and when workers accept for themselves. `work` is what the program needs per connection, in µs.
 */

const { parseArgs } = require('node:util');
const { simulate } = require('./model/simulate.js');
const costs = require('./model/costs.js');

const { values } = parseArgs({
  options: {
    processors: { type: 'string', default: '2,4,8,16,32,64,128' },
    work: { type: 'string', default: '0,100,250,1000' },
  },
});

/** One thread is enough when more of them serve no more than so many times as much. */
const PAYS = 1.1;
/** Connections that are simulated for a figure. */
const CONNECTIONS = 60_000;

/** @param {string | undefined} list @param {string} name */
function numbers(list, name) {
  const all = `${list}`.split(',').map(Number);
  if (all.some((number) => !Number.isInteger(number) || number < 0)) throw new TypeError(`--${name} must be whole numbers with commas, got '${list}'`);
  return all;
}

/** Of each processor. */
const CLIENTS = 32;

/** @param {number} processors @param {number} work @param {number} acceptors */
function most(processors, work, acceptors) {
  const rate = (processors * 1e6) / (costs.server + costs.kernel + work);
  return simulate({ processors, work, acceptors }, { clients: CLIENTS * processors }, CONNECTIONS / rate);
}

function main() {
  const sizes = numbers(values.processors, 'processors');
  for (const work of numbers(values.work, 'work')) {
    console.log(`\n${work} µs of the program's own work per connection; connections per second, and p99 of waiting at 70 % of what one thread serves`);
    console.log('processors   1 thread   2 threads   4 threads   1 per 8   own sockets   p99: 1 thread, 1 per 8, own sockets (ms)');
    let limit = 'more than were tried';
    for (const processors of sizes) {
      const several = [...new Set([1, 2, 4, Math.max(1, Math.ceil(processors / 8))])];
      const served = new Map([0, ...several].map((acceptors) => [acceptors, most(processors, work, acceptors).perSecond]));
      const of = (/** @type {number} */ acceptors) => Math.round(served.get(acceptors) ?? 0);
      const rate = 0.7 * of(1);
      const waits = [1, Math.max(1, Math.ceil(processors / 8)), 0].map((acceptors) =>
        (simulate({ processors, work, acceptors }, { rate }, CONNECTIONS / rate).p99 / 1000).toFixed(2),
      );
      const best = Math.max(...several.map(of));
      if (best > PAYS * of(1) && limit.startsWith('more')) limit = `${processors}`;
      const cells = [of(1), of(2), of(4), of(Math.max(1, Math.ceil(processors / 8))), of(0)].map((number) => `${number}`.padStart(11));
      console.log(`${`${processors}`.padStart(10)}${cells.join('')}   ${waits.join(', ')}`);
    }
    console.log(`More accepting threads serve ${Math.round((PAYS - 1) * 100)} % more from this many processors on: ${limit}`);
  }
}

main();
