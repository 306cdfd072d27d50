'use strict';

// The API is what its description says: every route is asked, and every answer has the shape that is described.

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');

const Ajv = require('ajv/dist/2020').default;

const description = require('../../manager/src/daemon/api/openapi.json');
const { waitFor: waitForCondition } = require('../helpers/run');
const { Home } = require('./home');

const waitFor = (/** @type {string} */ message, /** @type {() => any} */ condition) => waitForCondition(condition, { message });

const ajv = new Ajv({ strict: false, allErrors: true });
ajv.addSchema(description, 'api');

/**
 * @param {Home} home
 * @param {string} method
 * @param {string} url
 * @param {string | Buffer} [body]
 * @returns {Promise<{ status: number, headers: http.IncomingHttpHeaders, body: any }>}
 */
async function raw(home, method, url, body) {
  const request = http.request({ socketPath: path.join(home.path, 'daemon.sock'), method, path: url, agent: false });
  request.end(body);
  const [response] = /** @type {[http.IncomingMessage]} */ (await once(request, 'response'));
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: /** @type {number} */ (response.statusCode), headers: response.headers, body: JSON.parse(text) };
}

/** Which routes a test has had an answer of. @type {Set<string>} */
const asked = new Set();

/**
 * Asks, and holds the answer against the description.
 *
 * @param {Home} home
 * @param {string} method
 * @param {string} route As the description has it.
 * @param {{ target?: string, body?: any }} [options]
 */
async function ask(home, method, route, { target = 'a', body } = {}) {
  const answer = await raw(home, method, route.replace('{target}', encodeURIComponent(target)), body === undefined ? undefined : JSON.stringify(body));
  const { responses } = /** @type {any} */ (description.paths)[route][method.toLowerCase()];
  const described = responses[answer.status];
  expect([method, route, answer.status, described === undefined && answer.body]).toEqual([method, route, answer.status, false]);
  const place = described.$ref ?? `#/paths/${route.replaceAll('/', '~1')}/${method.toLowerCase()}/responses/${answer.status}`;
  const validate = ajv.getSchema(`api${encodeURI(place)}/content/application~1json/schema`) ?? ajv.compile({ $ref: `api${encodeURI(place)}/content/application~1json/schema` });
  expect([method, route, validate(answer.body) || validate.errors]).toEqual([method, route, true]);
  asked.add(`${method} ${route}`);
  return answer;
}

test('every route answers as it is described', async () => {
  const home = new Home();
  home.write('a.js', 'process.on("message", () => {}); setInterval(() => {}, 1e6)');
  home.write('server.js', 'require("http").createServer(() => {}).listen(0, "127.0.0.1")');
  await home.manager.ensureDaemon();
  const app = { name: 'a', mode: 'program', script: 'a.js', cwd: home.folder, env: process.env };
  const cluster = { ...app, name: 'c', mode: 'cluster', script: 'server.js' };
  await ask(home, 'GET', '/v1/ping');
  await ask(home, 'GET', '/v1/version');
  expect((await ask(home, 'GET', '/v1/openapi.json')).body).toEqual(description);
  await ask(home, 'POST', '/v1/apps', { body: { apps: [app, cluster], options: { dryRun: true } } });
  await ask(home, 'POST', '/v1/apps', { body: { apps: [app, cluster] } });
  await ask(home, 'POST', '/v1/apps', { body: { apps: [{ ...app, args: ['x'] }], options: { dryRun: true, prune: true } } });
  await ask(home, 'GET', '/v1/apps');
  for (const route of ['/v1/apps/{target}', '/v1/apps/{target}/env']) {
    await ask(home, 'GET', route);
    await ask(home, 'GET', route, { target: 'nothing' });
    await ask(home, 'GET', route, { target: '/(/' });
  }
  /** @type {[string, any?][]} */
  const operations = [['stop'], ['start'], ['restart', { env: { B: '1' } }], ['reload', {}], ['scale', { count: 2 }], ['reset'], ['signal', { signal: 'SIGWINCH' }], ['send', { message: null }], ['stdin', { text: 'x\n' }], ['flush'], ['reopen']];
  for (const [operation, body] of operations) {
    const route = `/v1/apps/{target}/${operation}`;
    expect((await ask(home, 'POST', route, { body })).status).toBe(200);
    expect((await ask(home, 'POST', route, { target: 'nothing', body })).status).toBe(404);
    expect((await ask(home, 'POST', route, { body: { nonsense: 1 } })).status).toBe(400);
  }
  await ask(home, 'POST', '/v1/apps/{target}/reload', { target: 'c' });
  const upgrades = [['c', 200], ['a', 400], ['nothing', 404]];
  for (const [target, status] of upgrades) expect((await ask(home, 'POST', '/v1/apps/{target}/upgrade', { target })).status).toBe(status);
  await ask(home, 'POST', '/v1/save');
  await ask(home, 'POST', '/v1/resurrect');
  await ask(home, 'DELETE', '/v1/dump');
  await ask(home, 'POST', '/v1/web', { body: { listen: '127.0.0.1:0' } });
  expect((await ask(home, 'POST', '/v1/web', { body: { listen: 'x' } })).status).toBe(400);
  expect((await ask(home, 'POST', '/v1/web', { body: { listen: '127.0.0.1:1' } })).status).toBe(409);
  await ask(home, 'GET', '/v1/web');
  await ask(home, 'DELETE', '/v1/web');
  expect((await ask(home, 'POST', '/v1/update', { body: { executable: '/bin/true' } })).status).toBe(409);
  await ask(home, 'DELETE', '/v1/apps/{target}', { target: 'c' });
  await ask(home, 'POST', '/v1/kill');
  const described = Object.entries(description.paths).flatMap(([route, methods]) => Object.keys(methods).filter((key) => key !== 'parameters').map((method) => `${method.toUpperCase()} ${route}`));
  expect(described.filter((route) => !asked.has(route))).toEqual(['GET /metrics', 'GET /v1/events', 'GET /v1/logs', 'POST /v1/update'].filter((route) => !asked.has(route)));
});

test('events: what happens to apps and processes, and what programs say', async () => {
  const home = new Home();
  home.write('a.js', 'process.on("message", (message) => process.send({ back: message })); setInterval(() => {}, 1e6)');
  await home.manager.ensureDaemon();
  const validate = ajv.compile({ $ref: 'api#/components/schemas/Event' });
  /** @type {any[]} */
  const heard = [];
  const listening = (async () => {
    for await (const event of home.manager.events()) heard.push(event);
  })();
  await waitFor('hello', () => heard.length > 0);
  await home.run('start', 'a.js');
  await home.manager.send('a', 'hey');
  await waitFor('its answer', () => heard.some(({ event }) => event === 'message'));
  await home.run('delete', 'a');
  await waitFor('the end', () => heard.some(({ change }) => change === 'deleted'));
  expect(heard.map((event) => validate(event) || validate.errors)).toEqual(heard.map(() => true));
  const [hello, ...rest] = heard;
  expect(hello).toMatchObject({ event: 'hello', pid: home.daemonPid() });
  const states = rest.filter(({ event }) => event === 'process').map(({ state }) => state);
  const first = (/** @type {string} */ state) => states.indexOf(state);
  expect([first('launching') >= 0, first('online') > first('launching'), states.at(-1)]).toEqual([true, true, 'stopped']);
  expect(rest.find(({ event }) => event === 'message')).toMatchObject({ app: 'a', namespace: 'default', instance: 0, message: { back: 'hey' } });
  // The daemon ends, and so does the loop.
  await home.manager.kill();
  await listening;
});

const app = { name: 'a', mode: 'program', script: 'a.js', cwd: '/' };

test.each([
  ['POST', '/v1/apps', '{', 400, 'the body is no JSON: EOF while parsing an object at line 1 column 1'],
  ['POST', '/v1/apps', '\xff\xfe', 400, 'the body is no JSON: expected value at line 1 column 1'],
  ['POST', '/v1/apps', '['.repeat(1e5), 400, expect.stringContaining('recursion limit exceeded')],
  ['POST', '/v1/apps', '5', 400, 'the body must be an object. Received 5'],
  ['POST', '/v1/apps', '', 400, 'missing field `apps`'],
  ['POST', '/v1/apps', '{"apps":5}', 400, 'apps: invalid type: integer `5`, expected a sequence'],
  ['POST', '/v1/apps', '{"apps":[{}]}', 400, 'apps[0]: missing field `name`'],
  ['POST', '/v1/apps', JSON.stringify({ apps: [{ ...app, instances: 'two' }] }), 400, 'apps[0].instances: invalid type: string "two", expected u32'],
  ['POST', '/v1/apps', JSON.stringify({ apps: [{ ...app, instnces: 2 }] }), 400, 'apps[0].instnces: unknown field `instnces`'],
  ['POST', '/v1/apps', JSON.stringify({ apps: [{ ...app, instances: 5000 }] }), 400, 'apps[0] ("a"): "instances" must be a whole number from 1 to 1024. Received 5000'],
  ['POST', '/v1/apps', JSON.stringify({ apps: [{ ...app, name: 'x'.repeat(300) }] }), 400, expect.stringContaining('"name" must be 200 bytes at most')],
  ['POST', '/v1/apps', JSON.stringify({ apps: [{ ...app, env: { 'A=B': '1' } }] }), 400, 'apps[0] ("a"): "env" must have names without "=". Received "A=B"'],
  ['POST', '/v1/apps', JSON.stringify({ apps: [{ ...app, sockets: [''] }] }), 400, 'apps[0] ("a"): "sockets" must be such as tcp:3000, udp:127.0.0.1:53 or unix:app.sock. Received ""'],
  ['POST', '/v1/apps', JSON.stringify({ apps: [{ ...app, sockets: [`unix:${'x'.repeat(107)}`] }] }), 400, expect.stringContaining('"sockets" must have paths of at most 107 bytes')],
  ['POST', '/v1/apps', JSON.stringify({ apps: [{ ...app, outFile: 'a\0' }] }), 400, 'apps[0] ("a"): "outFile" must have no zero byte. Received "a\\u0000"'],
  ['POST', '/v1/apps', JSON.stringify({ apps: [{ ...app, instanceVar: 'A=B' }] }), 400, 'apps[0] ("a"): "instanceVar" must be a name without "=". Received "A=B"'],
  ['POST', '/v1/apps', JSON.stringify({ apps: [app, app] }), 400, 'two apps are called "a"'],
  ['POST', '/v1/apps', JSON.stringify({ apps: [], options: { known: 'what' } }), 400, expect.stringContaining('options.known: unknown variant `what`')],
  ['GET', '/v1/nothing', undefined, 404, 'there is no /v1/nothing'],
  ['GET', '/apps', undefined, 404, 'there is no /apps: the API begins with /v1'],
  ['PUT', '/v1/apps', '{}', 405, 'there is no PUT /v1/apps, only GET and POST'],
  ['GET', '/v1/apps/x', undefined, 404, 'there is no app, number or namespace "x"'],
  ['POST', '/v1/kill', '{"now":true}', 400, expect.stringContaining('unknown field `now`')],
])('what is wrong with a request is said (%#: %s %s)', async (method, url, body, status, message) => {
  const home = new Home();
  await home.manager.ensureDaemon();
  const answer = await raw(home, method, url, body === undefined ? undefined : Buffer.from(body, 'latin1'));
  expect([answer.status, answer.body.error.message]).toEqual([status, message]);
  expect(answer.body.error.code).toMatch(/^ERR_RCLUSTER_/);
  expect((await raw(home, 'GET', '/v1/apps')).body).toEqual([]);
  if (status === 405) expect(answer.headers.allow).toBe('GET, POST');
});

test('what a keeper does not take leaves the app as it was: its sockets, and what is remembered of it', async () => {
  const home = new Home();
  home.write('a.js', 'console.log(process.env.LISTEN_FDNAMES); setInterval(() => {}, 1e6)');
  const other = net.createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const taken = `tcp:127.0.0.1:${/** @type {net.AddressInfo} */ (other.address()).port}`;
  const one = { ...app, cwd: home.folder, env: { PATH: `${process.env.PATH}` }, sockets: ['unix:a.sock'], minUptime: 1 };
  const start = (/** @type {any} */ change, options = {}) => raw(home, 'POST', '/v1/apps', JSON.stringify({ apps: [{ ...one, ...change }], options }));
  try {
    await home.manager.ensureDaemon();
    expect((await start({})).status).toBe(200);
    const [before] = (await raw(home, 'GET', '/v1/apps/a/env')).body;
    const refused = await start({ sockets: ['unix:b.sock', taken], args: ['x'] });
    expect([refused.status, refused.body.error]).toEqual([409, { code: 'ERR_RCLUSTER_SOCKET', message: expect.stringMatching(`^the socket "${taken}" cannot be opened: Address already in use`) }]);
    const bad = await raw(home, 'POST', '/v1/apps/a/restart', JSON.stringify({ env: { 'A=B': 'x' } }));
    expect([bad.status, bad.body.error.message]).toEqual([400, '"env" must have names without "=". Received "A=B"']);
    expect((await raw(home, 'GET', '/v1/apps/a/env')).body).toEqual([before]);
    // Nobody is refused meanwhile.
    const client = net.connect(path.join(home.folder, 'a.sock'));
    await once(client, 'connect');
    client.destroy();
    expect(fs.readdirSync(home.folder).sort()).toEqual(['a.js', 'a.sock', 'home']);
    await home.run('restart', 'a');
    await waitFor('its socket again', () => home.log('a-out.log') === 'unix-a.sock\n'.repeat(2));
  } finally {
    other.close();
  }
  // It is not taken for done.
  const again = await start({ sockets: [taken] }, { dryRun: true });
  expect(again.body[0]).toMatchObject({ action: 'restart', changes: [{ member: 'sockets' }] });
  expect((await start({ sockets: [taken] })).status).toBe(200);
});

test('numbers of instances are given by the daemon alone', async () => {
  const home = new Home();
  home.write('a.js', 'setInterval(() => {}, 1e6)');
  await home.manager.ensureDaemon();
  const one = { ...app, cwd: home.folder, autostart: false };
  // The highest that a number may be would be the last.
  const all = ['a', 'b', 'c'].map((name) => JSON.stringify({ ...one, name, ids: [0] }).replace('[0]', '[18446744073709551615]'));
  for (const text of all) expect((await raw(home, 'POST', '/v1/apps', `{"apps":[${text}]}`)).status).toBe(200);
  expect((await home.manager.list()).map(({ ids }) => ids)).toEqual([[0], [1], [2]]);
});

test('a request that is too long is refused before it is read', async () => {
  const home = new Home();
  await home.manager.ensureDaemon();
  const socket = net.connect(path.join(home.path, 'daemon.sock'));
  socket.write('POST /v1/apps HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n{');
  const [data] = await once(socket, 'data');
  expect(String(data)).toMatch(/^HTTP\/1\.1 413 .*ERR_RCLUSTER_TOO_LARGE/s);
  socket.destroy();
});
