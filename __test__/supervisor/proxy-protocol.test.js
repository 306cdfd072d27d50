'use strict';

// Behind a proxy that speaks the PROXY protocol: whom the worker sees, and what becomes of headers that are none.

const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { RawClient, REQUEST, binary, line, seer, tlv } = require('../helpers/proxied');
const { waitFor } = require('../helpers/run');
const { startService, temporaryFolder } = require('../helpers/service');
const { upgrade } = require('../helpers/upgrade');

const TRUSTED = { proxyProtocol: ['127.0.0.0/8'] };
const CLIENT = { remoteAddress: '192.0.2.7', remotePort: 4711, remoteFamily: 'IPv4', localAddress: '198.51.100.9', localPort: 443 };

/** @param {RawClient} client */
const real = ({ socket }) => ({ remoteAddress: '127.0.0.1', remotePort: socket.localPort, remoteFamily: 'IPv4', localPort: socket.remotePort });

/** What a process has had of the processors, in ticks of 10 ms. @param {number} pid */
function cpuTicks(pid) {
  const [user, system] = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13);
  return Number(user) + Number(system);
}

describe('the client is who the proxy says', () => {
  test('version 1, version 2, over IPv6, byte by byte, and with nothing behind it yet', async () => {
    const { port } = await startService({ worker: seer, options: TRUSTED });
    expect(await new RawClient(port).ask(line())).toMatchObject(CLIENT);
    expect(await new RawClient(port).ask(binary())).toMatchObject(CLIENT);
    expect(await new RawClient(port).ask(Buffer.concat([line('2001:db8::7', 5), Buffer.from(REQUEST)]))).toMatchObject({
      remoteAddress: '2001:db8::7', remotePort: 5, remoteFamily: 'IPv6', localAddress: '2001:db8::9',
    });
    for (const header of [line(), binary()]) {
      const bytes = [...header].map((byte) => Buffer.from([byte]));
      const client = new RawClient(port);
      expect(await client.ask(...bytes)).toMatchObject(CLIENT);
      // The next request on it.
      expect(await client.ask()).toMatchObject(CLIENT);
    }
  });

  test('what a proxy says of itself, or of nobody, leaves the real addresses', async () => {
    const { port } = await startService({ worker: seer, options: TRUSTED });
    for (const [header, command, version] of [
      ['PROXY UNKNOWN\r\n', 'PROXY', 1],
      [binary({ command: 0x20, family: 0, body: Buffer.alloc(0) }), 'LOCAL', 2],
      [binary({ command: 0x20 }), 'LOCAL', 2],
      [binary({ family: 0, body: Buffer.alloc(0) }), 'PROXY', 2],
      [binary({ family: 0x31, body: Buffer.alloc(216) }), 'PROXY', 2],
    ]) {
      const client = new RawClient(port);
      const seen = await client.ask(header);
      expect(seen).toMatchObject({ ...real(client), proxyHeader: { command, version } });
      expect(seen.proxyHeader.source).toBeUndefined();
    }
  });

  test('what else it says is at socket.proxyHeader', async () => {
    const { port } = await startService({ worker: seer, options: TRUSTED });
    const ofTls = Buffer.concat([Buffer.from([1 | 2, 0, 0, 0, 0]), tlv(0x21, 'TLSv1.3'), tlv(0x22, 'somebody'), tlv(0x23, 'TLS_AES_128_GCM_SHA256')]);
    const rest = Buffer.concat([tlv(1, 'h2'), tlv(2, 'example.org'), tlv(5, 'xyz'), tlv(0x20, ofTls), tlv(0x30, 'blue'), tlv(0xee, 'own')]);
    const { proxyHeader } = await new RawClient(port).ask(binary({ rest }));
    expect(proxyHeader).toMatchObject({
      version: 2,
      command: 'PROXY',
      source: { address: '192.0.2.7', family: 'IPv4', port: 4711 },
      destination: { address: '198.51.100.9', family: 'IPv4', port: 443 },
      alpn: 'h2',
      authority: 'example.org',
      uniqueId: { type: 'Buffer', data: [...Buffer.from('xyz')] },
      netns: 'blue',
      tls: { encrypted: true, hasCertificate: true, verified: true, version: 'TLSv1.3', commonName: 'somebody', cipher: 'TLS_AES_128_GCM_SHA256' },
    });
    expect(proxyHeader.tlvs.map(({ type }) => type)).toEqual([1, 2, 5, 0x20, 0x30, 0xee]);
    expect(Buffer.from(proxyHeader.tlvs[5].value.data).toString()).toBe('own');
  });

  test('from others nothing is read', async () => {
    const { port } = await startService({ worker: seer, options: { proxyProtocol: '10.0.0.0/8, ::1' } });
    const client = new RawClient(port);
    const seen = await client.ask();
    expect(seen).toMatchObject(real(client));
    expect(seen.proxyHeader).toBeUndefined();
    // For its HTTP server that is no request.
    const forger = await new RawClient(port).send(line(), REQUEST);
    await forger.waitForEnd();
    expect(forger.text).toMatch(/^HTTP\/1.1 400 /);
  });
});

describe('from a trusted sender a header must come', () => {
  test.each([
    ['a request without one', Buffer.from(REQUEST)],
    ['another version', binary({ command: 0x31 })],
    ['a command that there is not', binary({ command: 0x22 })],
    ['a family that there is not', binary({ family: 0x41 })],
    ['addresses that are not whole', binary({ length: 11 })],
    ['a length of more than there may be', binary({ length: 0xffff })],
    ['an extension that is longer than the header', binary({ rest: Buffer.from([1, 0, 9, 1]) })],
    ['a checksum that is another', binary({ rest: tlv(3, Buffer.from([1, 2, 3, 4])) })],
    ['a line without end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(94)}`)],
    ['a line with an address that is none', Buffer.from('PROXY TCP4 192.0.2.256 198.51.100.9 1 2\r\n')],
    ['half of one, and its end', undefined],
  ])('%s: the connection ends at once, and the server never has it', async (_, bytes) => {
    const service = await startService({ worker: seer, options: { ...TRUSTED, workers: 1 } });
    const client = new RawClient(service.port);
    const start = performance.now();
    if (bytes) await client.send(bytes);
    else (await client.send(line().subarray(0, 20))).socket.end();
    await client.waitForEnd();
    expect(performance.now() - start).toBeLessThan(4000);
    expect(client.text).toBe('');
    await service.waitForConnections(0);
    expect(await new RawClient(service.port).ask(line())).toMatchObject(CLIENT);
  });

  test('who says nothing, or says it too slowly, is waited for 5 s; others are served meanwhile', async () => {
    const service = await startService({ worker: seer, options: { ...TRUSTED, workers: 1 } });
    const silent = await new RawClient(service.port).connected();
    const slow = await new RawClient(service.port).connected();
    const start = performance.now();
    let sent = 0;
    const timer = setInterval(() => slow.socket.write(line().subarray(sent, ++sent)), 300).unref();
    expect(await new RawClient(service.port).ask(line())).toMatchObject(CLIENT);
    await Promise.all([silent.waitForEnd(), slow.waitForEnd()]);
    clearInterval(timer);
    expect(performance.now() - start).toBeGreaterThan(4500);
    expect(performance.now() - start).toBeLessThan(9000);
    await service.waitForConnections(0);
  });

  test('more than 1024 that wait: those that have waited longest end, and nobody spins', async () => {
    const service = await startService({ worker: seer, options: { ...TRUSTED, workers: 1 } });
    const [{ pid }] = (await service.call('status')).workers;
    const crowd = [];
    for (let index = 0; index < 1100; index++) {
      const client = await new RawClient(service.port).connected();
      await client.send('P');
      crowd.push(client);
    }
    await waitFor(() => crowd.filter(({ closed }) => closed).length >= 76);
    const before = cpuTicks(pid);
    expect(await new RawClient(service.port).ask(line())).toMatchObject(CLIENT);
    await sleep(1000);
    expect(cpuTicks(pid) - before).toBeLessThan(60);
    const last = crowd.at(-1);
    expect(last.closed).toBe(false);
    expect(await last.ask(line().subarray(1))).toMatchObject(CLIENT);
  }, 60_000);
});

/**
 * How the kernel has the end of a connection that belongs to the service: 1 when it can be accepted, 3 before.
 *
 * @param {RawClient} client
 */
function stateOf({ socket }) {
  const hex = (/** @type {number | undefined} */ port) => Number(port).toString(16).toUpperCase().padStart(4, '0');
  const line = fs.readFileSync('/proc/net/tcp', 'utf8').split('\n').map((text) => text.trim().split(/\s+/))
    .find(([, local, remote]) => local?.endsWith(`:${hex(socket.remotePort)}`) && remote?.endsWith(`:${hex(socket.localPort)}`));
  return line && parseInt(line[3], 16);
}

describe('who has said nothing', () => {
  const greeter = () => {
    require('node:net').createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
  };

  test('is not accepted at once, and is after a second: a server that speaks first is heard by those who are not believed', async () => {
    const { port } = await startService({ worker: greeter, options: { proxyProtocol: '10.0.0.0/8' } });
    const clients = [];
    // On a busy machine a second may be over before we look.
    await waitFor(async () => {
      clients.push(await new RawClient(port).connected());
      return stateOf(clients.at(-1)) === 3;
    });
    await Promise.all(clients.map((client) => client.waitForEnd()));
    expect(clients.map(({ text }) => text)).toEqual(clients.map(() => 'hello'));
  });

  test.each([
    ['without the option', {}],
    ['on sockets that end with a worker', { ...TRUSTED, policy: 'reuseport' }],
  ])('%s: is accepted at once', async (_, options) => {
    const { port } = await startService({ worker: greeter, options });
    for (let index = 0; index < 8; index++) expect(stateOf(await new RawClient(port).connected())).not.toBe(3);
  });
});

describe('whoever accepts', () => {
  test.each(['rr', 'none', 'least', 'reuseport', 'sticky'])('policy %s: the client is who the proxy says, also after a reload', async (policy) => {
    const service = await startService({ worker: seer, options: { ...TRUSTED, policy } });
    const clients = Array.from({ length: 8 }, () => new RawClient(service.port));
    const before = await Promise.all(clients.map((client, index) => client.ask(index % 2 ? line() : binary({ rest: tlv(2, 'example.org') }))));
    for (const seen of before) expect(seen).toMatchObject(CLIENT);
    // A part of it: it may come to the next worker. With `sticky` it waits in the primary.
    const others = Array.from({ length: policy === 'sticky' ? 0 : 4 }, () => new RawClient(service.port));
    for (const one of others) await (await one.connected()).send(line().subarray(0, 12));
    const report = await service.call('reload');
    expect(report.workers.reduce((sum, { moved }) => sum + moved, 0)).toBeGreaterThanOrEqual(8);
    const pids = new Set(await service.pids());
    for (const [index, client] of clients.entries()) {
      const seen = await client.ask();
      expect(seen).toMatchObject({ ...CLIENT, proxyHeader: { version: index % 2 ? 1 : 2 } });
      if (index % 2 === 0) expect(seen.proxyHeader.authority).toBe('example.org');
      expect(pids.has(seen.pid)).toBe(true);
    }
    for (const one of others) expect(await one.ask(line().subarray(12))).toMatchObject(CLIENT);
  });

  test('the client is who the proxy says also at the primary of an upgrade', async () => {
    const service = await startService({ worker: seer, options: TRUSTED });
    const clients = Array.from({ length: 8 }, () => new RawClient(service.port));
    for (const [index, client] of clients.entries()) expect(await client.ask(index % 2 ? line() : binary({ rest: tlv(2, 'example.org') }))).toMatchObject(CLIENT);
    const half = await new RawClient(service.port).connected();
    await half.send(line().subarray(0, 12));
    const { report, next } = await upgrade(service);
    expect(report.moved).toBeGreaterThanOrEqual(8);
    const pids = await next.pids();
    for (const [index, client] of clients.entries()) {
      const seen = await client.ask();
      expect(seen).toMatchObject({ ...CLIENT, proxyHeader: { version: index % 2 ? 1 : 2 } });
      if (index % 2 === 0) expect(seen.proxyHeader.authority).toBe('example.org');
      expect(pids).toContain(seen.pid);
    }
    expect(await half.ask(line().subarray(12))).toMatchObject(CLIENT);
  });

  test('servers with sockets of their own', async () => {
    const service = await startService({
      worker() {
        const server = require('node:http').createServer((asked, response) => {
          response.setHeader('Content-Length', 33);
          response.end(JSON.stringify({ remoteAddress: asked.socket.remoteAddress }).padEnd(33));
        });
        server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, () => console.log(`own ${server.address().port}`));
      },
      options: { ...TRUSTED, workers: 1 },
    });
    const [, port] = await service.script.waitForLine(/^own (\d+)/);
    expect(await new RawClient(Number(port)).ask(line())).toEqual({ remoteAddress: '192.0.2.7' });
  });

  test('Unix sockets, if "unix" is trusted', async () => {
    const WHERE = path.join(temporaryFolder(), 'app.sock');
    const trusting = await startService({ worker: seer, options: { proxyProtocol: ['unix'] }, env: { WHERE } });
    expect(await new RawClient(WHERE).ask(line())).toMatchObject(CLIENT);
    const local = await new RawClient(WHERE).ask('PROXY UNKNOWN\r\n');
    expect(local.remoteAddress).toBeUndefined();
    expect(local.proxyHeader).toMatchObject({ version: 1 });
    const mover = new RawClient(WHERE);
    const { pid } = await mover.ask(binary());
    await trusting.call('reload');
    const after = await mover.ask();
    expect(after).toMatchObject(CLIENT);
    expect(after.pid).not.toBe(pid);
  });

  test('a header that waits goes with its connection when the server is full or closes', async () => {
    const service = await startService({
      worker() {
        const server = require('node:http').createServer((asked, response) => {
          if (asked.url === '/close') server.close();
          const body = JSON.stringify({ pid: process.pid, remoteAddress: asked.socket.remoteAddress });
          response.setHeader('Content-Length', Buffer.byteLength(body));
          response.end(body);
        });
        server.maxConnections = 1;
        server.listen(0, '127.0.0.1');
      },
      options: TRUSTED,
    });
    const waiting = [];
    for (let index = 0; index < 2; index++) waiting.push(await (await new RawClient(service.port).connected()).send('PROXY '));
    // They wait in both workers, of which one is full now.
    const first = await new RawClient(service.port).ask(line());
    const rest = line().subarray(6);
    const second = await Promise.race(waiting.map((client) => client.ask(rest)));
    expect(second.remoteAddress).toBe('192.0.2.7');
    expect(second.pid).not.toBe(first.pid);
  });
});

test('a listener of IPv4 and IPv6: an address of IPv4 is trusted as such', async () => {
  const service = await startService({
    worker() {
      require('node:net').createServer((socket) => socket.end(`${JSON.stringify({ a: socket.remoteAddress, s: socket.proxyHeader.source.address })}`)).listen(0, '::');
    },
    options: TRUSTED,
  });
  const client = await new RawClient(service.port).send(line());
  await client.waitForEnd();
  expect(JSON.parse(client.text)).toEqual({ a: '192.0.2.7', s: '192.0.2.7' });
});

test('without the option nothing is read, and sockets have no proxyHeader', async () => {
  const service = await startService({
    worker() {
      require('node:net').createServer((socket) => {
        socket.once('data', (data) => socket.end(JSON.stringify({ data: `${data}`, has: 'proxyHeader' in socket })));
      }).listen(0, '127.0.0.1');
    },
  });
  const client = await new RawClient(service.port).send('PROXY UNKNOWN\r\n');
  await client.waitForEnd();
  expect(JSON.parse(client.text)).toEqual({ data: 'PROXY UNKNOWN\r\n', has: false });
});
