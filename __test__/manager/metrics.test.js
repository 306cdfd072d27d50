'use strict';

// What the daemon tells Prometheus, and what is read from the boards of workers: as Prometheus' own tools see it.

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { text } = require('node:stream/consumers');

const { Home } = require('./home');
const { freePort } = require('../helpers/free_port');
const dashboard = require('../../examples/deploy/grafana.json');
const { testWith } = require('../helpers/needs');
const { endWithTest, waitFor: waitForCondition } = require('../helpers/run');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });

const SERVER = `
  require('node:http').createServer((request, response) => {
    if (request.url === '/block') { const end = Date.now() + 60_000; while (Date.now() < end); }
    response.statusCode = request.url === '/bad' ? 500 : 200;
    response.end(process.env.NODE_APP_INSTANCE);
  }).listen(Number(process.env.PORT), '127.0.0.1');`;

/** @param {Home} home */
async function startServer(home) {
  home.write('server.js', SERVER);
  home.write('idle.js', 'setInterval(() => {}, 1e6)');
  const port = await freePort();
  const app = { name: 'web', script: 'server.js', cwd: home.folder, env: { ...process.env, PORT: `${port}` } };
  await home.manager.start([
    { ...app, mode: 'cluster', instances: 2, clusterArgs: ['--count-requests'] },
    { ...app, name: 'idle', mode: 'program', script: 'idle.js', instances: 2 },
  ]);
  return port;
}

/** @param {number} port @param {string} [url] @param {http.Agent | false} [agent] */
async function get(port, url = '/', agent = false) {
  const request = http.get({ port, host: '127.0.0.1', path: url, agent });
  const [response] = await once(request, 'response');
  return text(response);
}

/** @param {Home} home @param {string} [accept] */
async function metrics(home, accept) {
  const request = http.get({ socketPath: path.join(home.path, 'daemon.sock'), path: '/metrics', headers: accept ? { accept } : {}, agent: false });
  const [response] = await once(request, 'response');
  return { status: response.statusCode, type: response.headers['content-type'], text: await text(response) };
}

/** The values of a metric, by instance. @param {string} all @param {string} name @param {string} [app] */
const values = (all, name, app = 'web') =>
  Object.fromEntries([...all.matchAll(new RegExp(`^${name}{app="${app}",instance="(\\w+)"} (\\S+)$`, 'gm'))].map(([, instance, value]) => [instance, Number(value)]));
const sum = (/** @type {Record<string, number>} */ all) => Object.values(all).reduce((a, b) => a + b, 0);

/** @param {Home} home */
const workersOf = async (home) => (await home.manager.list()).find(({ name }) => name === 'web').workers;

test('workers of a cluster have numbers of their own, which the status and the metrics have', async () => {
  const home = new Home();
  const port = await startServer(home);
  // How many each has answered: that they take turns strictly is not said of a busy machine, where one does not take its own in time.
  const answered = { 0: 0, 1: 0 };
  const ask = async (/** @type {string} */ where) => void answered[/** @type {'0' | '1'} */ (await get(port, where))]++;
  await waitFor('answers of both', async () => {
    await ask('/');
    return answered[0] > 1 && answered[1] > 1;
  });
  await ask('/bad');
  await waitFor('all that was counted', async () => sum(values((await metrics(home)).text, 'rcluster_http_response_seconds_count')) === sum(answered));
  const { text, type, status } = await metrics(home);
  expect({ status, type }).toEqual({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8' });
  expect(values(text, 'rcluster_connections_total')).toEqual(answered);
  expect(sum(values(text, 'rcluster_http_errors_total'))).toBe(1);
  expect(values(text, 'rcluster_connection_wait_seconds_count')).toEqual(answered);
  expect(values(text, 'rcluster_up')).toEqual({ primary: 1, 0: 1, 1: 1 });
  expect(values(text, 'rcluster_up', 'idle')).toEqual({ 0: 1, 1: 1 });
  for (const [name, least] of [['resident_memory_bytes', 20e6], ['threads', 5], ['open_fds', 10], ['start_time_seconds', 1.7e9]]) {
    for (const value of Object.values(values(text, `rcluster_process_${name}`, 'idle'))) expect(value).toBeGreaterThan(least);
  }
  const [worker] = await workersOf(home);
  expect(worker.stats).toMatchObject({ connections: { total: answered[0], queued: 0 }, waiting: { count: answered[0] }, http: { requests: answered[0] } });
  expect(worker.descriptors).toBeGreaterThan(10);
  // Who looks again and again leaves away what was counted since the start.
  const [{ workers: [short] }] = await home.manager.request('GET', '/v1/apps?stats=false');
  expect([short.pid, short.stats, short.recent]).toEqual([worker.pid, null, expect.objectContaining({ utilization: expect.any(Number) })]);
  await expect(home.manager.request('GET', '/v1/apps?stats=maybe')).rejects.toThrow('a listing is asked for with stats=true or stats=false. Received "stats=maybe"');
  const open = await metrics(home, 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5');
  expect(open.type).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
  expect(open.text).toMatch(/# EOF\n$/);
  expect(open.text).toContain('# TYPE rcluster_http_requests counter');
});

test('they are read also when the primary and a worker hang; the next worker has a board of its own', async () => {
  const home = new Home();
  const port = await startServer(home);
  const [{ processes }] = await home.manager.list();
  const primary = processes[0].pid;
  http.get({ port, host: '127.0.0.1', path: '/block', agent: false }).on('error', () => {});
  const blocked = await waitFor('the request that blocks', async () => (await workersOf(home)).find(({ stats }) => stats.http.requests === 1));
  // Whose connection this is: the other one's.
  const agent = new http.Agent({ keepAlive: true });
  expect(await get(port, '/', agent)).toBe(`${1 - blocked.seat}`);
  process.kill(primary, 'SIGSTOP');
  try {
    await get(port, '/', agent);
    await waitFor('what the other one has served', async () => sum(values((await metrics(home)).text, 'rcluster_http_requests_total')) === 3);
  } finally {
    process.kill(primary, 'SIGCONT');
    agent.destroy();
  }
  process.kill(blocked.pid, 'SIGKILL');
  await waitFor('the next worker', async () => {
    const worker = (await workersOf(home))[blocked.seat];
    return worker.pid !== blocked.pid && worker.stats?.http?.requests === 0;
  });
});

test('the next daemon finds the boards, and a killed primary leaves none', async () => {
  const home = new Home();
  const port = await startServer(home);
  await get(port);
  process.kill(home.daemonPid(), 'SIGKILL');
  await waitFor('the numbers', async () => {
    await home.manager.ensureDaemon();
    return sum(values((await metrics(home)).text, 'rcluster_connections_total')) === 1;
  });
  const [{ processes, workers: before }] = await home.manager.list();
  process.kill(processes[0].pid, 'SIGKILL');
  await waitFor('the next primary', async () => {
    const after = await workersOf(home);
    return after.length === 2 && after.every(({ pid, stats }) => stats?.connections.total === 0 && !before.some((one) => one.pid === pid));
  });
});

/** A cluster that counts with its own prom-client. @param {Home} home @param {string} name */
async function startCounting(home, name) {
  home.write('counting.js', `
    const client = require('prom-client');
    const asked = new client.Counter({ name: 'asked_total', help: 'Asked', labelNames: ['app'] });
    // Some of these are not called as promtool wants it.
    if (process.env.DEFAULTS) client.collectDefaultMetrics();
    require('node:http').createServer((request, response) => {
      if (request.url === '/hang') client.register.getMetricsAsJSON = () => new Promise(() => {});
      asked.inc({ app: 'inner' });
      response.end();
    }).listen(Number(process.env.PORT), '127.0.0.1');`);
  const modules = path.join(home.folder, 'node_modules');
  fs.mkdirSync(modules, { recursive: true });
  if (!fs.existsSync(path.join(modules, 'prom-client'))) fs.symlinkSync(path.dirname(require.resolve('prom-client')), path.join(modules, 'prom-client'));
  const port = await freePort();
  home.write(`${name}.config.js`, `module.exports = { apps: [{ name: '${name}', script: 'counting.js', exec_mode: 'cluster', instances: 2, app_metrics: true, env: { PORT: ${port}, DEFAULTS: '${name === 'one' ? '1' : ''}' } }] }`);
  expect(await home.run('start', `${name}.config.js`)).toMatchObject({ code: 0 });
  return port;
}

test('what apps count themselves is there with their names, also when one of them hangs', async () => {
  const home = new Home();
  const [one, two] = [await startCounting(home, 'one'), await startCounting(home, 'two')];
  for (const port of [one, one, one, two, two]) await get(port);
  const plain = (await metrics(home)).text.split('\n');
  expect(plain.filter((line) => /asked_total/.test(line))).toEqual([
    '# HELP asked_total Asked', '# TYPE asked_total counter',
    'asked_total{app="one",exported_app="inner"} 3', 'asked_total{app="two",exported_app="inner"} 2',
  ]);
  expect(plain).toContainEqual(expect.stringMatching(/^nodejs_heap_size_used_bytes\{app="one"\} [1-9]\d{6,}$/));
  expect((await metrics(home, 'application/openmetrics-text')).text).toMatch(/^# TYPE asked counter\n(?:asked_total.*\n){2}[^]*# EOF\n$/m);
  // A worker that does not answer; and a primary that cannot.
  await get(one, '/hang');
  await waitFor('the worker that hangs is counted', async () => (await metrics(home)).text.includes('rcluster_app_metrics_dropped_total{app="one",reason="late"} 1'));
  const primary = (await home.manager.list()).find(({ name }) => name === 'one').processes[0].pid;
  process.kill(primary, 'SIGSTOP');
  try {
    for (let i = 0; i < 2; i++) {
      const began = Date.now();
      const { text, status } = await metrics(home);
      expect([status, Date.now() - began < 10_000]).toEqual([200, true]);
      expect(text).toContain('asked_total{app="two",exported_app="inner"} 2\n');
      // Each time is one more, and what the primary had told stays told.
      expect(text).toContain(`rcluster_app_metrics_dropped_total{app="one",reason="no-answer"} ${i + 1}\n`);
      expect(text).toMatch(/^rcluster_app_metrics_dropped_total\{app="one",reason="late"\} [1-9]/m);
      expect(values(text, 'rcluster_up', 'one')).toEqual({ primary: 1, 0: 1, 1: 1 });
    }
  } finally {
    process.kill(primary, 'SIGCONT');
  }
  await waitFor('its own metrics again, and nothing forgotten', async () => {
    const { text } = await metrics(home);
    return text.includes('asked_total{app="one"') && /reason="no-answer"\} [2-9]/.test(text);
  });
});

testWith('promtool')('promtool has nothing against them', async () => {
  const home = new Home();
  await get(await startServer(home));
  await get(await startCounting(home, 'counting'));
  const { text } = await metrics(home);
  expect(text).toContain('asked_total{');
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
});

testWith('prometheus')('a real Prometheus scrapes them', async () => {
  const home = new Home();
  await get(await startServer(home));
  const { metrics: address } = await home.manager.openWeb({ listen: '127.0.0.1:0', metrics: true });
  const own = await freePort();
  const file = home.write('prometheus.yml', `
global: { scrape_interval: 200ms, scrape_timeout: 200ms }
scrape_configs: [{ job_name: rcluster, static_configs: [{ targets: ['${new URL(`${address}`).host}'] }] }]
`);
  const prometheus = endWithTest(spawn('prometheus', [`--config.file=${file}`, `--storage.tsdb.path=${path.join(home.folder, 'data')}`, `--web.listen-address=127.0.0.1:${own}`], { stdio: ['ignore', 'ignore', fs.openSync(path.join(home.folder, 'prometheus.log'), 'w')] }));
  const ended = once(prometheus, 'exit');
  try {
    const query = async (/** @type {string} */ text) => {
      const answer = await fetch(`http://127.0.0.1:${own}/api/v1/query?query=${encodeURIComponent(text)}`).then((response) => (response.ok ? response.json() : undefined), () => undefined);
      return answer?.data?.result.map(({ value: [, value] }) => value);
    };
    await waitFor('its first look', async () => (await query('sum(rcluster_http_requests_total)'))?.[0] === '1');
    expect(await query('count(rcluster_up == 1)')).toEqual(['5']);
    expect(await query('scrape_samples_scraped > 100')).toHaveLength(1);
    expect(await query('histogram_quantile(1, sum by (le) (rcluster_connection_wait_seconds_bucket)) <= 10')).toHaveLength(1);
    // What the dashboard asks for can be answered, and only of things that there are.
    for (const { title, targets: [{ expr }] } of dashboard.panels) {
      const plain = expr.replaceAll('$__rate_interval', '1m').replaceAll('$app', '.*');
      expect([title, await query(plain)]).toEqual([title, expect.any(Array)]);
      for (const [name] of plain.matchAll(/rcluster_\w+/g)) expect([name, (await query(name)).length > 0]).toEqual([name, true]);
    }
  } finally {
    prometheus.kill();
    await ended;
  }
});
