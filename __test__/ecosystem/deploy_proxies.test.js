'use strict';

// The configurations of nginx and HAProxy in examples/deploy, with the real programs: only addresses and ports are others here.

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { once } = require('node:events');
const { json } = require('node:stream/consumers');
const { setTimeout: sleep } = require('node:timers/promises');
const { freePorts } = require('../helpers/free_ports');
const { ROOT, waitFor } = require('../helpers/run');
const { startService, temporaryFolder } = require('../helpers/service');
const { ifHaproxy, ifNginx, startHaproxy, startNginx } = require('./helpers/front');

/** @type {Set<http.Agent>} */
const agents = new Set();
/** @type {Set<{ isOver: boolean }>} */
const running = new Set();
afterEach(() => {
  for (const one of running) one.isOver = true;
  running.clear();
  for (const agent of agents) agent.destroy();
  agents.clear();
});

/**
 * The text of an example, with this test's addresses.
 *
 * @param {string} name
 * @param {[string, string | number][]} replaced each has to be there
 */
function example(name, replaced) {
  let text = fs.readFileSync(path.join(ROOT, 'examples', 'deploy', name), 'utf8');
  for (const [from, to] of replaced) {
    expect(text).toContain(from);
    text = text.replaceAll(from, `${to}`);
  }
  return text;
}

/** A worker: each answer is which seat it has, and whom it sees. */
function server() {
  require('node:http').createServer((asked, response) => {
    const { remoteAddress: address, remotePort: port } = asked.socket;
    response.end(JSON.stringify({ pid: process.pid, seat: Number(process.env.NODE_APP_INSTANCE), machine: process.env.MACHINE, address, port }));
  }).listen(0, '127.0.0.1');
}

/** Somebody with one connection that is kept, an address and the cookies that he was given. */
class Visitor {
  cookie = '';
  #port;
  #localAddress;
  #agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

  /** @param {number} port @param {number} [number] of the address */
  constructor(port, number = 1) {
    this.#port = port;
    this.#localAddress = `127.0.0.${number}`;
    agents.add(this.#agent);
  }

  /** @param {http.Agent} [agent] */
  async ask(agent = this.#agent) {
    const headers = this.cookie ? { cookie: this.cookie } : {};
    const asked = http.get({ host: '127.0.0.1', port: this.#port, localAddress: this.#localAddress, agent, headers, timeout: 10_000 });
    const [response] = await once(asked, 'response');
    const set = response.headers['set-cookie'];
    if (set) this.cookie = set.map((/** @type {string} */ one) => one.split(';')[0]).join('; ');
    const { localAddress: address, localPort: port } = response.socket;
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
    return { ...(await json(response)), from: { address, port } };
  }
}

/** Asks on, until it is stopped. @param {() => Promise<any>} ask */
function askOn(ask) {
  const all = { answers: /** @type {any[]} */ ([]), failed: /** @type {string[]} */ ([]), isOver: false };
  running.add(all);
  const done = (async () => {
    while (!all.isOver) await ask().then((one) => all.answers.push(one), (error) => all.failed.push(error.code ?? error.message));
  })();
  return Object.assign(all, { stop: async () => { all.isOver = true; await done; } });
}

/**
 * Each of the visitors has the same seat, and not all have one: also during a reload, and after the death of a worker.
 *
 * @param {any} service
 * @param {Visitor[]} visitors
 */
async function checkSeats(service, visitors) {
  const seats = await Promise.all(visitors.map(async (visitor) => (await visitor.ask()).seat));
  expect(new Set(seats).size).toBeGreaterThan(1);
  const before = await service.pids();
  const asking = visitors.map((visitor) => askOn(() => visitor.ask()));
  await service.call('reload');
  const recent = await service.pids();
  await waitFor(() => asking.every(({ answers }) => recent.includes(answers.at(-1)?.pid)));
  await Promise.all(asking.map((one) => one.stop()));
  for (const [index, { answers, failed }] of asking.entries()) {
    expect(failed).toEqual([]);
    expect(new Set(answers.map(({ seat }) => seat))).toEqual(new Set([seats[index]]));
  }
  for (const pid of before) expect(recent).not.toContain(pid);
  // Nobody asks while it dies; whoever comes while it is missing waits.
  process.kill(recent[0], 'SIGKILL');
  await service.event('restart');
  for (const [index, visitor] of visitors.entries()) expect((await visitor.ask()).seat).toBe(seats[index]);
}

const startBehindNginx = (/** @type {number} */ first, options = {}) =>
  startService({ worker: server, options: { workers: 4, seatListen: `127.0.0.1:${first}+`, keepAliveTimeout: 75_000, ...options } });
const seatPorts = (/** @type {number} */ first) =>
  /** @type {[string, string][]} */ ([0, 1, 2, 3].map((seat) => [`127.0.0.1:${3001 + seat} max_fails`, `127.0.0.1:${first + seat} max_fails`]));
const inHttp = (/** @type {string} */ text) => `http { access_log off;\n${text}\n}`;

ifNginx('nginx, hash.conf: each address has one worker', async () => {
  const [first, front] = [await freePorts(4), await freePorts(1)];
  const service = await startBehindNginx(first);
  await startNginx(temporaryFolder(), inHttp(example('nginx/hash.conf', [['listen 80;', `listen 127.0.0.1:${front};`], ...seatPorts(first)])), front);
  await checkSeats(service, Array.from({ length: 12 }, (_, index) => new Visitor(front, 10 + index)));
});

ifNginx('nginx, sticky.conf: each cookie has one worker, from the first request on', async () => {
  const [first, front] = [await freePorts(4), await freePorts(1)];
  const service = await startBehindNginx(first);
  await startNginx(temporaryFolder(), inHttp(example('nginx/sticky.conf', [['listen 80;', `listen 127.0.0.1:${front};`], ...seatPorts(first)])), front);
  const visitors = Array.from({ length: 12 }, () => new Visitor(front));
  await checkSeats(service, visitors);
  for (const { cookie } of visitors) expect(cookie).toMatch(/^seat=/);
});

ifNginx('nginx, stream.conf: the worker sees each client as it is, and each address has one worker', async () => {
  const [first, front] = [await freePorts(4), await freePorts(1)];
  const service = await startBehindNginx(first, { proxyProtocol: '127.0.0.1' });
  await startNginx(temporaryFolder(), example('nginx/stream.conf', [['listen 443;', `listen 127.0.0.1:${front};`], ...seatPorts(first)]), front);
  const visitors = Array.from({ length: 12 }, (_, index) => new Visitor(front, 10 + index));
  for (const visitor of visitors) {
    const { address, port, from } = await visitor.ask();
    expect({ address, port }).toEqual(from);
  }
  // The proxy's connection to a worker that is killed is the client's.
  for (const visitor of visitors) visitor.ask = visitor.ask.bind(visitor, new http.Agent());
  await checkSeats(service, visitors);
});

describe('HAProxy, haproxy.cfg', () => {
  /** Two machines: here two addresses of one. */
  async function start() {
    const [first, health, front] = [await freePorts(2), await freePorts(1), await freePorts(1)];
    const machine = (/** @type {string} */ name, /** @type {string} */ host) => {
      const options = { workers: 2, seatListen: `${host}:${first}+`, health: `${host}:${health}`, proxyProtocol: '127.0.0.1', stopDelay: 8000, keepAliveTimeout: 75_000, signals: true };
      return startService({ worker: server, options, env: { MACHINE: name } });
    };
    const machines = { a: await machine('a', '127.0.0.1'), b: await machine('b', '127.0.0.2') };
    const text = example('haproxy/haproxy.cfg', [
      ['bind :80', `bind 127.0.0.1:${front}`], ['10.0.0.1', '127.0.0.1'], ['10.0.0.2', '127.0.0.2'], [':3001', `:${first}`], [':3002', `:${first + 1}`], ['port 9000', `port ${health}`],
    ]);
    await startHaproxy(temporaryFolder(), text, front);
    return { front, ...machines };
  }

  ifHaproxy('each cookie has one worker, who sees the client as it is', async () => {
    const { front, a, b } = await start();
    const visitors = Array.from({ length: 8 }, (_, index) => new Visitor(front, 10 + index));
    for (const visitor of visitors) {
      const { address, port, from } = await visitor.ask();
      expect({ address, port }).toEqual(from);
    }
    const places = await Promise.all(visitors.map((visitor) => visitor.ask()));
    const placeOf = ({ machine, seat }) => `${machine}${seat}`;
    expect(new Set(places.map(placeOf))).toEqual(new Set(['a0', 'a1', 'b0', 'b1']));
    const asking = visitors.map((visitor) => askOn(() => visitor.ask()));
    await Promise.all([a.call('reload'), b.call('reload')]);
    const recent = [...await a.pids(), ...await b.pids()];
    await waitFor(() => asking.every(({ answers }) => recent.includes(answers.at(-1)?.pid)));
    await Promise.all(asking.map((one) => one.stop()));
    for (const [index, { answers, failed }] of asking.entries()) {
      expect(failed).toEqual([]);
      expect(new Set(answers.map(placeOf))).toEqual(new Set([placeOf(places[index])]));
    }
  }, 60_000);

  ifHaproxy('a machine that stops gets nobody new, serves those it has, and is missed by none afterwards', async () => {
    const { front, a } = await start();
    const visitors = Array.from({ length: 8 }, (_, index) => new Visitor(front, 10 + index));
    const places = await Promise.all(visitors.map((visitor) => visitor.ask()));
    const ofA = visitors.filter((_, index) => places[index].machine === 'a');
    expect(ofA.length).toBeGreaterThan(0);
    const asking = visitors.map((visitor) => askOn(async () => {
      await sleep(2);
      return visitor.ask();
    }));
    const newcomers = askOn(async () => {
      await sleep(2);
      return new Visitor(front).ask();
    });
    await waitFor(() => newcomers.answers.some(({ machine }) => machine === 'a'));
    process.kill(a.pid, 'SIGTERM');
    // Nobody new, while it still serves: where they take turns, more than two in a row at the other one are all.
    const told = newcomers.answers.length;
    await waitFor(() => newcomers.answers.length > told + 6 && newcomers.answers.slice(-6).every(({ machine }) => machine === 'b'));
    const from = newcomers.answers.length;
    expect((await ofA[0].ask()).machine).toBe('a');
    expect(await a.script.waitForExit()).toMatchObject({ code: 0 });
    const counts = asking.map(({ answers }) => answers.length);
    await waitFor(() => asking.every(({ answers }, index) => answers.length > counts[index] + 10));
    await Promise.all([newcomers, ...asking].map((one) => one.stop()));
    for (const { failed } of [newcomers, ...asking]) expect(failed).toEqual([]);
    expect(new Set(newcomers.answers.slice(from).map(({ machine }) => machine))).toEqual(new Set(['b']));
    for (const { answers } of asking) expect(answers.at(-1).machine).toBe('b');
  }, 60_000);
});
