'use strict';

// What an app counts itself with prom-client, of all workers together, at the health endpoint.

const fs = require('node:fs');
const path = require('node:path');
const { request } = require('../helpers/run');
const { startCommand } = require('../helpers/command');
const { temporaryFolder } = require('../helpers/service');

/** A server whose workers count, and do something else instead when they are told so. */
function server() {
  const client = require('prom-client');
  const asked = new client.Counter({ name: 'asked_total', help: 'How often "it" was asked\nby path', labelNames: ['path'] });
  const times = new client.Histogram({ name: 'times_seconds', help: 'x', buckets: [1, 2] });
  new client.Gauge({ name: 'workers', help: 'x', aggregator: 'max' }).set(Number(process.env.NODE_APP_INSTANCE) + 1);
  const { register } = client;
  const one = { name: 'fine', help: 'x', type: 'gauge', aggregator: 'sum', values: [{ value: 1, labels: {} }] };
  const lies = {
    hang: () => new Promise(() => {}),
    fail: () => Promise.reject(new Error('no')),
    large: async () => [{ ...one, help: 'x'.repeat(2 << 20) }],
    many: async () => [{ ...one, values: Array.from({ length: 25_000 }, () => ({ value: 1, labels: {} })) }],
    garbage: async () => [
      one, 7, null, { ...one, name: 'a b' }, { ...one, name: 'x\nrcluster_up 1' }, { ...one, type: 'thing' }, { ...one, aggregator: 'constructor' },
      { ...one, values: [{ value: 'x', labels: {} }] }, { ...one, values: [{ value: 1, labels: { 'a}': '' } }] }, { ...one, values: [{ value: 1, labels: {}, metricName: 'other' }] },
      { ...one, name: 'rcluster_up' },
    ],
  };
  require('node:http').createServer((incoming, response) => {
    const [, lie] = incoming.url.split('/lie/');
    if (lie) register.getMetricsAsJSON = lies[lie];
    else asked.inc({ path: incoming.url });
    times.observe(1.5);
    response.end(process.env.NODE_APP_INSTANCE);
  }).listen(0, '127.0.0.1', function told() {
    console.log(`port ${this.address().port}`);
  });
}

/** @param {string[]} options @param {Function} [script] @param {boolean} [hasClient] */
async function start(options, script = server, hasClient = true) {
  const folder = temporaryFolder();
  if (hasClient) {
    fs.mkdirSync(path.join(folder, 'node_modules'));
    fs.symlinkSync(path.dirname(require.resolve('prom-client')), path.join(folder, 'node_modules', 'prom-client'));
  }
  const file = path.join(folder, 'server.js');
  fs.writeFileSync(file, `(${script})()`);
  const command = startCommand(['--settle-time', '0', '--health', '127.0.0.1:0', ...options, file]);
  const [, place] = await command.waitForLine(/^rcluster: \/live and \/ready are answered on 127\.0\.0\.1:(\d+)$/);
  const [, port] = await command.waitForLine(/^port (\d+)$/);
  await command.waitForLine(/^rcluster: \d+ workers? (?:is|are) ready$/);
  const metrics = async () => (await request(place, { path: '/metrics' })).body.split('\n');
  return { command, place, port, metrics };
}

test('counters, gauges and histograms of all workers are put together', async () => {
  const { place, port, metrics } = await start(['-i', '2', '--app-metrics']);
  for (const url of ['/a', '/a', '/b', '/a']) await request(port, { path: url });
  const lines = await metrics();
  for (const line of [
    '# HELP asked_total How often "it" was asked\\nby path', '# TYPE asked_total counter', 'asked_total{path="/a"} 3', 'asked_total{path="/b"} 1',
    'times_seconds_bucket{le="1"} 0', 'times_seconds_bucket{le="+Inf"} 4', 'times_seconds_sum 6', 'workers 2',
  ]) expect(lines).toContain(line);
  expect(lines.filter((line) => line.includes('dropped'))).toEqual([]);
  const { headers } = await request(place, { path: '/metrics' });
  expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
  // Several at once are answered with the same.
  const answers = await Promise.all(Array.from({ length: 4 }, metrics));
  for (const answer of answers) expect(answer).toEqual(lines);
});

test.each([['hang', 'late', 1], ['fail', 'failed', 1], ['large', 'too-large', 1], ['many', 'too-large', 1], ['garbage', 'malformed', 9]])(
  'of a worker that does not tell what it should (%s) nothing is told, and the others are',
  async (lie, reason, count) => {
    const { port, metrics, place } = await start(['-i', '2', '--app-metrics']);
    await request(port, { path: '/a' });
    await request(port, { path: `/lie/${lie}` });
    const lines = await metrics();
    // Each of the two was asked once: one of them lies.
    expect(lines.filter((line) => /^times_seconds_count/.test(line))).toEqual(['times_seconds_count 1']);
    expect(lines).toContain(`rcluster_app_metrics_dropped_total{reason="${reason}"} ${count}`);
    expect(lines.includes('fine 1')).toBe(lie === 'garbage');
    if (lie === 'garbage') expect(lines).toContain('rcluster_app_metrics_dropped_total{reason="reserved-name"} 1');
    expect(lines.filter((line) => line.startsWith('rcluster_up'))).toEqual([]);
    // The service takes no notice.
    expect((await request(place, { path: '/ready' })).status).toBe(200);
  },
);

test('an app without prom-client has none', async () => {
  const plain = () => {
    require('node:http').createServer((_, response) => response.end()).listen(0, '127.0.0.1', function told() {
      console.log(`port ${this.address().port}`);
    });
  };
  const { metrics, place } = await start(['-i', '1', '--app-metrics'], plain, false);
  expect([await metrics(), (await request(place, { path: '/metrics' })).status]).toEqual([[''], 200]);
});
