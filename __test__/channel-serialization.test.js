'use strict';

// What a value is when it has gone to a worker and come back, with either serialization.

const { compare, echo } = require('./helpers/scenario');

/** Expressions for values, all sent in one cluster. */
const VALUES = {
  null: 'null',
  number: '[1.5, -0, NaN, Infinity, 2 ** 60]',
  text: "'ß€😀\\0\\u2028\\ud800 lone'",
  boolean: 'false',
  'nested array': '[1, , [[]], undefined]',
  object: '{ a: { b: [{ c: 1 }] }, u: undefined, n: null }',
  date: 'new Date(1e12)',
  map: 'new Map([[{ a: 1 }, new Set([1, "2"])]])',
  bigint: '{ big: 10n ** 30n }',
  buffer: "Buffer.from('Hello!')",
  'typed arrays': '[new Uint8Array([1, 2]), new Float64Array([Math.PI]), new BigInt64Array([-1n])]',
  'part of a buffer': 'new Uint8Array(new ArrayBuffer(100), 10, 5)',
  'array buffer': 'new ArrayBuffer(3)',
  'data view': 'new DataView(new ArrayBuffer(8), 2, 3)',
  regexp: '/x+/gi',
  error: "Object.assign(new RangeError('too far'), { stack: 'stack' })",
  'error with a cause': "Object.assign(new Error('a', { cause: 'b' }), { stack: 'stack' })",
  boxed: "[new Number(1), new String('s'), new Boolean(false)]",
  'instance of a class': 'new (class Point { x = 1; get y() { return 2; } })()',
  'null prototype': 'Object.assign(Object.create(null), { a: 1 })',
  '__proto__ as a key': 'JSON.parse(\'{"__proto__": {"x": 1}}\')',
  toJSON: "{ toJSON() { return 'as json'; } }",
  getter: '{ get got() { return 5; } }',
  'symbol as a key': '{ [Symbol("s")]: 1, t: 2 }',
  'sparse array': 'Object.assign([], { 5: 1, extra: 2 })',
  'array with properties': "/(?<first>a)b/.exec('ab')",
  'array with a toJSON': 'Object.assign([1], { toJSON() { return 2; } })',
  'array of another class': 'new (class List extends Array {})(1, 2, 3)',
  'arguments': '(function () { return arguments; })(1, 2)',
  'proxy': "new Proxy({ a: 1 }, {})",
  'own tag': "{ [Symbol.toStringTag]: 'Own', a: 1 }",
  'error in disguise': "Object.setPrototypeOf(new Error('hidden'), Object.prototype)",
  'minus zero': '{ zero: -0 }',
  'map in disguise': "Object.defineProperty(new Map([[1, 2]]), Symbol.toStringTag, { value: 'Object' })",
  'small and plain': "{ a: [1, -1.5, 'x', true, null, { b: {} }], '': 0, 10: 'ten', 9: '\\u2028' }",
  'many values': 'Array.from({ length: 200 }, (_, i) => ({ i }))',
  'one object twice': '(() => { const one = {}; return [one, one]; })()',
  'an object of Node': "new URL('http://a/b')",
  'function within': '{ call() {} }',
  'symbol within': "{ symbol: Symbol('s') }",
  'promise within': '{ promise: Promise.resolve() }',
  'long text': "'a'.repeat(70_000)",
  'long text of two bytes': "'ä€'.repeat(70_000)",
  'object with long texts': "{ a: 1, text: 'a'.repeat(70_000), b: '\"', wide: 'ä€😀'.repeat(20_000), z: [1] }",
  'undefined beside a long text': "{ text: 'a'.repeat(20_000), u: undefined }",
  'long lone surrogates': "{ text: '\\ud800'.repeat(20_000) }",
  'long text as __proto__': "JSON.parse(JSON.stringify({ proto: 'a'.repeat(20_000) }).replace('proto', '__proto__'))",
  'long text and toJSON': "{ text: 'a'.repeat(20_000), toJSON() { return 1; } }",
  'long text in a class': "new (class { text = 'a'.repeat(20_000); toJSON() { return 2; } })()",
  'forty long texts': "Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`text${i}`, 'x'.repeat(17_000 + i)]))",
  'long text beside what JSON does not know': "{ text: 'a'.repeat(20_000), when: new Date(1e12), map: new Map([[1, -0]]), big: 1n }",
  'long text beside itself': "(() => { const ring = { text: 'a'.repeat(20_000) }; ring.ring = ring; return ring; })()",
  'long text beside one object twice': "(() => { const one = {}; return { text: 'a'.repeat(20_000), one, two: one }; })()",
  'long text in a map in disguise':
    "Object.assign(Object.setPrototypeOf(new Map([[1, 2]]), Object.prototype), { text: 'a'.repeat(20_000) })",
  'long text beside a function': "{ text: 'a'.repeat(20_000), call() {} }",
  'big buffer': 'Buffer.alloc(300_000, 7)',
  'big buffers': "[Buffer.alloc(300_000, 7), { big: new Uint16Array(100_000).fill(770) }, Buffer.alloc(70_000, 'ab')]",
  'buffer of more than 4 MiB': "Buffer.alloc((4 << 20) + 1, 'abc')",
  circular: '(() => { const ring = {}; ring.ring = ring; return ring; })()',
};

const scenario = {
  async primary({ args, cluster, describe, forkReady, inspect, once, report }) {
    const { isDeepStrictEqual } = require('node:util');
    cluster.setupPrimary({ serialization: args.serialization });
    const worker = await forkReady();
    for (const [name, expression] of Object.entries(args.values)) {
      const value = new Function(`return ${expression}`)();
      try {
        worker.send(value);
      } catch (error) {
        report([name, describe(error)]);
        continue;
      }
      const [back] = await once(worker, 'message');
      // Where a view lies within its memory is nobody's business.
      const shown = back instanceof DataView ? `DataView of ${back.byteLength}` : inspect(back, { depth: 9, showProxy: true });
      const isSame = isDeepStrictEqual(back, value);
      const twins = Array.isArray(back) && back[0] instanceof Object && back[0] === back[1];
      report([name, twins ? 'twins' : isSame ? 'the same' : shown.slice(0, 200)]);
    }
    worker.disconnect();
  },
  worker: echo,
};

const SAME = 'the same';

/** What is large for its size in V8's format, and honest. */
const LARGE = {
  'a million holes': 'new Array(1e6)',
  'one element far away': 'Object.assign([], { 999_999: 1 })',
  'as long as an array may be': 'Object.assign([], { 4_294_967_294: 1 })',
  'ten lists with holes': 'Array.from({ length: 10 }, () => Object.assign([], { 99_999: 1 }))',
  'a long list, and all of it': 'Array.from({ length: 300_000 }, (_, i) => i)',
  'a long list with holes, and most of it': 'Array.from({ length: 300_000 }, (_, i) => i).map((i) => i).concat(new Array(5), 1)',
  'lists in lists': 'Array.from({ length: 300 }, () => Array.from({ length: 300 }, () => []))',
  'empty maps': 'Array.from({ length: 20_000 }, () => new Map([[1, new Set()]]))',
  'numbers as keys': 'new Map(Array.from({ length: 100_000 }, (_, i) => [i * 1000, i]))',
  'numbers in a set': 'new Set(Array.from({ length: 50_000 }, (_, i) => i / 7))',
  'large integers in a set': 'new Set(Array.from({ length: 20_000 }, (_, i) => 10n ** 20n + BigInt(i)))',
  'numbers as names': 'Array.from({ length: 3000 }, (_, i) => ({ 200: i, 404: 1, 500: 2 }))',
  'resizable memory': 'Array.from({ length: 50 }, () => new ArrayBuffer(3, { maxByteLength: 1 << 30 }))',
  'regular expressions': 'Array.from({ length: 100 }, (_, i) => new RegExp(`^[^@\\\\s]+@${i}$`, "u")).concat(new RegExp("word|".repeat(20_000)))',
  'deep': 'Array.from({ length: 300 }).reduce((inner) => ({ inner: [inner] }), {})',
};

test('json', async () => {
  const { primary } = await compare(scenario, { args: { serialization: 'json', values: VALUES } });
  const back = Object.fromEntries(primary);
  expect(Object.keys(back)).toEqual(Object.keys(VALUES));
  expect(back).toMatchObject({
    'null': SAME,
    'text': SAME,
    'long text': SAME,
    'long text of two bytes': SAME,
    '__proto__ as a key': SAME,
    'object with long texts': SAME,
    'long lone surrogates': SAME,
    'long text as __proto__': SAME,
    'forty long texts': SAME,
    'long text and toJSON': '1',
    'long text in a class': '2',
    'number': '[ 1.5, 0, null, null, 1152921504606847000 ]',
    'date': "'2001-09-09T01:46:40.000Z'",
    'map': '{}',
    'error': '{}',
    'toJSON': "'as json'",
    'function within': '{}',
    'bigint': { name: 'TypeError', message: 'Do not know how to serialize a BigInt' },
    'circular': { name: 'TypeError', message: expect.stringContaining('circular structure') },
  });
});

test('advanced', async () => {
  const { primary } = await compare(scenario, { args: { serialization: 'advanced', values: VALUES } });
  const back = Object.fromEntries(primary);
  const different = Object.entries(back).filter(([, shown]) => shown !== SAME).map(([name]) => name);
  expect(different).toEqual([
    'instance of a class',
    'null prototype',
    'toJSON',
    'symbol as a key',
    'array with properties',
    'array with a toJSON',
    'array of another class',
    'arguments',
    'proxy',
    'own tag',
    'error in disguise',
    'map in disguise',
    'one object twice',
    'an object of Node',
    'function within',
    'symbol within',
    'promise within',
    'long text and toJSON',
    'long text in a class',
    'long text in a map in disguise',
    'long text beside a function',
  ]);
  expect(back['one object twice']).toBe('twins');
  expect(back['instance of a class']).toBe('{ x: 1 }');
  expect(back['function within']).toMatchObject({ name: 'Error', message: expect.stringContaining('could not be cloned') });
});

test('what is large for its size arrives', async () => {
  const { primary } = await compare(scenario, { args: { serialization: 'advanced', values: LARGE } });
  expect(primary).toEqual(Object.keys(LARGE).map((name) => [name, SAME]));
});
