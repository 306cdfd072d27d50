'use strict';

// Values that differ between JSON and V8's format, both ways, with what is refused and how.

const cluster = require('node:cluster');
const { inspect } = require('node:util');

const holes = [1, , 3]; // eslint-disable-line no-sparse-arrays
holes.named = 'x';
const loop = { name: 'loop' };
loop.self = loop;
class Point { #hidden = 1; x = 1; get y() { return this.#hidden; } }
const make = () => [
  holes, -0, NaN, Infinity, [undefined], { a: undefined, [Symbol('s')]: 1 }, new Map([[1, { a: new Set([1]) }]]), new Date(NaN), new Date(0),
  new Error('m', { cause: new RangeError('c') }), /x/gi, new Uint8Array([1, 2]), Buffer.from('abc').subarray(1), new BigInt64Array(2), new Point(),
  Object.create({ inherited: 1 }), Object(5), Object('s'), Object(1n), [[[[]]]], { toJSON: 5 }, { toJSON: () => 'j' }, '\ud800', { __proto__: null, a: 1 },
  new (class extends Array {})(3), new Array(5), Object.assign(() => {}, { a: 1 }), Symbol('no'), 1n, [1n], { f() {} }, loop, new WeakMap(), Promise.resolve(),
  new Proxy({ a: 1 }, {}), new Proxy([1], {}), (function () { return arguments; })(1, 2), globalThis.URL && new URL('http://a/'),
  { get thrown() { throw new TypeError('getter'); } }, 'x'.repeat(17_000), { a: 'y'.repeat(17_000), b: -0, c: [NaN] },
];
const show = (value) => inspect(value, { depth: 6, breakLength: Infinity, maxStringLength: 20 }).replace(/\n[^]*/, '');
const sendAll = (send) => {
  for (const [index, value] of make().entries()) {
    try {
      send({ index, value });
      send(value);
    } catch (error) {
      send(`${index} ${error.name} ${error.code} ${error.message.split('\n')[0].replace('"message" argument has no JSON form', '"message" argument must be specified')}`);
    }
  }
  send('end');
};

if (cluster.isPrimary) {
  const results = [];
  for (const serialization of ['json', 'advanced']) {
    cluster.setupPrimary({ serialization });
    const seen = [];
    const worker = cluster.fork();
    worker.on('message', (message) => {
      seen.push(show(message));
      if (message === 'end') sendAll((value) => worker.send(value));
      if (message !== 'over') return;
      results.push(`${serialization}\n${seen.join('\n')}`);
      if (results.length === 2) console.log(results.sort().join('\n'));
      worker.disconnect();
    });
  }
} else {
  const seen = [];
  process.on('message', (message) => {
    seen.push(show(message));
    if (message !== 'end') return;
    process.send(seen.join('\n'));
    process.send('over');
  });
  sendAll((value) => process.send(value));
}
