'use strict';

// Sticky behind proxies: the address that a trusted sender names decides which worker a connection goes to.

const path = require('node:path');
const { RawClient, binary, line, seer } = require('../helpers/proxied');
const { waitFor } = require('../helpers/run');
const { startService, temporaryFolder } = require('../helpers/service');
const { upgrade } = require('../helpers/upgrade');

const BEHIND = { proxyProtocol: ['127.0.0.0/8'], policy: 'sticky', workers: 3 };
const V4 = Array.from({ length: 24 }, (_, index) => `192.0.2.${index}`);
const V6 = Array.from({ length: 8 }, (_, index) => `2001:db8::${index}`);

/** @param {string} address */
const binaryOf = (address) => binary({ body: Buffer.from([...address.split('.').map(Number), 198, 51, 100, 9, 1, 1, 1, 187]) });

/** The headers of many clients, some of each version. */
const HEADERS = [...V4.map((address, index) => (index % 2 ? line(address) : binaryOf(address))), ...V6.map((address) => line(address))];

/**
 * The instance that serves each of them, on a connection of its own.
 *
 * @param {ConstructorParameters<typeof RawClient>[0]} where
 * @param {(Buffer | string)[][]} sent
 */
async function seatsOf(where, sent) {
  const seen = await Promise.all(sent.map(async (parts) => {
    const client = new RawClient(where);
    const answer = await client.ask(...parts);
    client.socket.destroy();
    return answer.seat;
  }));
  return seen;
}

const whole = HEADERS.map((header) => [header]);
const cut = HEADERS.map((header) => [header.subarray(0, 7), header.subarray(7, 20), header.subarray(20)]);

test('each client has one seat, over reloads and an upgrade', async () => {
  const service = await startService({ worker: seer, options: BEHIND });
  const first = await seatsOf(service.port, whole);
  expect(new Set(first)).toEqual(new Set([0, 1, 2]));
  expect(await seatsOf(service.port, cut)).toEqual(first);
  // The other version of the header.
  expect(await seatsOf(service.port, V4.map((address, index) => [index % 2 ? binaryOf(address) : line(address)]))).toEqual(first.slice(0, V4.length));
  const kept = new RawClient(service.port);
  const { seat } = await kept.ask(line(V4[1]));
  expect(seat).toBe(first[1]);
  await service.call('reload');
  expect(await seatsOf(service.port, whole)).toEqual(first);
  expect((await kept.ask()).seat).toBe(seat);
  const { report } = await upgrade(service);
  expect(report.newPid).not.toBe(service.pid);
  expect(await seatsOf(service.port, whole)).toEqual(first);
  expect(await seatsOf(service.port, cut)).toEqual(first);
  // A connection that has moved twice, and crossed the bridge.
  expect((await kept.ask()).seat).toBe(seat);
});

test('who is not believed does not choose its seat, nor does one that speaks for itself', async () => {
  const { port } = await startService({
    worker() {
      require('node:net').createServer((socket) => socket.on('error', () => {}).resume().end(`HTTP/1.1 200 OK\r\n\r\n{"seat":${process.env.NODE_APP_INSTANCE}}`)).listen(0, '127.0.0.1');
    },
    options: { ...BEHIND, proxyProtocol: ['10.0.0.0/8'] },
  });
  expect(new Set(await seatsOf(port, whole)).size).toBe(1);
  const trusting = await startService({ worker: seer, options: BEHIND });
  const itself = ['PROXY UNKNOWN\r\n', binary({ command: 0x20 }), binary({ family: 0, body: Buffer.alloc(0) })];
  expect(new Set(await seatsOf(trusting.port, [...itself, ...itself, ...itself].map((header) => [header]))).size).toBe(1);
});

test('on Unix sockets as well, where a header comes after its connection', async () => {
  const WHERE = path.join(temporaryFolder(), 'app.sock');
  const service = await startService({ worker: seer, options: { ...BEHIND, proxyProtocol: ['unix'] }, env: { WHERE } });
  const first = await seatsOf(WHERE, whole);
  expect(new Set(first)).toEqual(new Set([0, 1, 2]));
  expect(await seatsOf(WHERE, cut)).toEqual(first);
  await service.call('reload');
  expect(await seatsOf(WHERE, cut)).toEqual(first);
});

test('a flood of those who do not say it holds nobody up', async () => {
  const service = await startService({ worker: seer, options: { ...BEHIND, workers: 2 } });
  const first = await seatsOf(service.port, whole);
  const crowd = [];
  for (let index = 0; index < 1100; index++) crowd.push(await new RawClient(service.port).send('P'));
  await waitFor(() => crowd.filter(({ closed }) => closed).length >= 76);
  expect(await seatsOf(service.port, whole)).toEqual(first);
  expect(await seatsOf(service.port, cut)).toEqual(first);
  await Promise.all(crowd.map((client) => client.waitForEnd()));
}, 60_000);
