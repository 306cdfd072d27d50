'use strict';

// Nobody is trusted: whatever a worker writes, the primary and the other workers go on serving.

const { testWith } = require('./helpers/needs');
const { runScenario } = require('./helpers/scenario');

/**
 * One good worker and, one after the other, bad ones that each do one thing (`args`: expressions for functions of
 * fixtures/evil.js). After each the primary serves from the good one, and says what it has noticed.
 */
const attacks = {
  async primary({ args, cluster, once, report, until }) {
    const { askMany, forkListening } = require('./serving');
    const { workers: [good], port } = await forkListening(cluster, 1);
    const warnings = [];
    process.on('warning', ({ code }) => warnings.push(code));
    for (const attack of args) {
      const bad = cluster.fork({ ATTACK: attack });
      const noticed = [];
      bad.on('error', ({ code }) => noticed.push(code));
      bad.on('message', (message) => message === 'done' && noticed.push('done'));
      await once(bad, 'listening');
      bad.send('go');
      await until(() => noticed.length > 0);
      const answers = await askMany(port, 20);
      const served = (answers[good.process.pid] ?? 0) + (answers[bad.process.pid] ?? 0);
      bad.process.kill('SIGKILL');
      if (!bad.isDead()) await once(bad, 'exit');
      await until(() => !bad.isConnected());
      report([attack, noticed[0], served, good.isConnected() && !good.isDead()]);
    }
    // The good one has not been thrown out.
    report([(await askMany(port, 20))[good.process.pid], warnings]);
    cluster.disconnect();
  },
  worker() {
    const evil = require('./evil');
    const { ATTACK } = process.env;
    process.on('message', async (message) => {
      if (message !== 'go') return;
      await new Function('require', 'evil', 'fd', 'queue', `return (async () => { ${ATTACK} })()`)(require, evil, process.channel.fd, evil.queueFd());
      process.send('done');
    });
    // When its channel has ended it cannot say that it is done.
    require('node:cluster').worker.on('error', () => {});
    require('./serving').serve();
  },
};

const MALFORMED = 'ERR_RCLUSTER_MALFORMED_MESSAGE';
const LONG = 60_000;

/** Whatever the bad workers do, all is served; `noticed` is what the primary may see of them first. */
async function expectServed(list, ...noticed) {
  const { primary, exit, stderr } = await runScenario(attacks, { args: list, timeout: LONG });
  expect(stderr).toEqual([]);
  expect(exit).toEqual({ code: 0, signal: null });
  expect(primary.at(-1)).toEqual([20, []]);
  const seen = primary.slice(0, -1);
  expect(seen.map(([attack, , ...outcome]) => [attack, ...outcome])).toEqual(list.map((attack) => [attack, 20, true]));
  expect(seen.filter(([, first]) => !noticed.includes(first))).toEqual([]);
}

test('a frame that makes no sense ends the channel of the worker that wrote it', async () => {
  await expectServed([
    "evil.write(fd, Buffer.from('garbage, garbage'))",
    'evil.write(fd, Buffer.alloc(8, 0xff))',
    "evil.write(fd, evil.frame(0, ''))",
    "evil.write(fd, evil.frame(99, 'x'))",
    "evil.write(fd, evil.frame(1, '1', { reserved: 1 }))",
    "evil.write(fd, evil.frame(1, '1', { fds: 1 }))",
    "evil.write(fd, evil.frame(1, '1', { batch: 200 }))",
    "evil.write(fd, evil.frame(3, '{}', { fds: 1 }))",
    "evil.write(fd, evil.frame(4, '[{},1]', { fds: 1 }))",
    "evil.write(fd, evil.frame(6, '{}', { fds: 2 }))",
    "evil.write(fd, evil.frame(1, '{', {}))",
    "evil.write(fd, evil.frame(1, '1],[2', {}))",
    "evil.write(fd, evil.frame(1, '['.repeat(100_000), {}))",
    "evil.write(fd, evil.frame(8, '[[\"a\"],{}]', {}))",
    "evil.write(fd, evil.frame(8, '[5,{}]', {}))",
    "evil.write(fd, Buffer.concat([evil.frame(7, 'text', {}), evil.frame(8, '[[\"a\"],null]', {})]))",
    "for (let i = 0; i < 100; i++) evil.write(fd, evil.frame(7, 'text', {}))",
    "evil.write(fd, evil.frame(2, 'no format of V8', {}))",
    "evil.write(fd, evil.frame(2, '\\xff\\x0f', {}))",
    "evil.write(fd, evil.frame(3, 'no json', {}))",
    "evil.write(fd, evil.frame(3, '7', {}))",
    "evil.write(fd, evil.frame(3, 'null', {}))",
    "evil.write(fd, evil.frame(1, '1', { length: 0xffffffff }))",
  ], MALFORMED);
}, LONG);

test('a control message that makes no sense harms nobody', async () => {
  const messages = [
    '[]',
    '{}',
    '{"act":"__proto__"}',
    '{"__proto__":{"act":"listen"}}',
    '{"act":{"toString":1}}',
    '{"act":"listen"}',
    '{"act":"listen","port":-1,"address":5}',
    '{"act":"listen","port":-1,"address":""}',
    `{"act":"listen","port":-1,"address":"${'x'.repeat(100_000)}"}`,
    '{"act":"listen","port":-1,"address":"/no/such/folder/\\u0000/x"}',
    '{"act":"listen","port":0,"addressType":4,"address":"nonsense"}',
    '{"act":"listen","port":0,"addressType":4,"index":{"toString":1}}',
    `{"act":"listen","port":0,"index":${'['.repeat(5000)}${']'.repeat(5000)}}`,
    '{"act":"listen","port":1e99,"addressType":6,"flags":1e99,"backlog":-1e99}',
    '{"act":"listen","port":0,"addressType":"udp4","address":"::1"}',
    '{"act":"listen","fd":1e9}',
    '{"act":"listen","fd":-5,"port":-5}',
    '{"act":"listen","port":0,"fd":{"valueOf":1}}',
    '{"act":"listening","address":{"toString":1},"port":[]}',
    '{"act":"close","key":{"toString":1}}',
    '{"act":"close","key":"no such"}',
    '{"act":"accepting","key":"no such"}',
    '{"act":"disown","key":"no such"}',
    '{"act":"move","key":"no such"}',
    '{"act":"reply","seq":1}',
    '{"act":"count-sockets","key":"__proto__","question":1}',
    '{"act":"await-sockets","key":"toString","question":{}}',
    '{"act":"socket-answer","question":1,"answer":{"valueOf":1,"toString":1}}',
    '{"act":"drained","moved":{"valueOf":1,"toString":1}}',
    '{"act":"last-words","text":{"toString":1}}',
  ];
  await expectServed(messages.map((message) => `evil.write(fd, evil.frame(3, '${message}'))`), 'done', MALFORMED);
}, LONG);

test('a control message that no worker has to say ends its channel', async () => {
  const messages = [
    '{"act":"no such"}',
    '{"act":"reply","seq":1}',
    '{"act":"drain","timeout":1,"last":true}',
    '{"act":"listen","port":0,"seq":1,"index":[]}',
    '{"act":"close","key":7}',
    '{"act":"move","key":"a"}',
    '{"act":"listening","address":{}}',
    '{"act":"exitedAfterDisconnect"}',
  ];
  const many = 'for (let i = 0; i < 10_001; i++) '
    + 'evil.write(fd, evil.frame(3, `{"act":"listen","seq":${i},"port":0,"addressType":"udp4","address":"127.0.0.1","index":${i}}`))';
  const long = 'evil.writeAll(fd, evil.frame(3, `{"act":"close","key":"${"x".repeat(2_000_000)}"}`))';
  await expectServed([...messages.map((message) => `evil.write(fd, evil.frame(3, '${message}'))`), long, many], MALFORMED);
}, LONG);

test('control messages in an order that makes no sense harm nobody', async () => {
  const say = (...messages) => messages.map((message) => `evil.write(fd, evil.frame(3, '${JSON.stringify(message)}'))`).join('; ');
  const listen = { act: 'listen', seq: 9, port: 0, addressType: 4, address: '127.0.0.1', index: 7 };
  const key = '127.0.0.1:0:4::7';
  await expectServed([
    say({ act: 'online' }, { act: 'online' }),
    say({ act: 'accepting', key }, listen, { act: 'close', key }, { act: 'close', key }, { act: 'accepting', key }, { act: 'disown', key }),
    say(listen, listen, listen, { act: 'accepting', key }, { act: 'accepting', key }, { act: 'close', key }),
    say({ act: 'listening' }, { act: 'listening', address: '__proto__', port: -1, addressType: true, fd: 1e300 }),
    say(...['__proto__', 'constructor', 'toString', ''].flatMap((name) => [{ ...listen, address: name }, { act: 'close', key: name }])),
    say({ ...listen, data: 'x'.repeat(20_000) }, { ...listen, data: [[[{}]]] }),
    say({ act: 'crashing', text: 'x'.repeat(70_000) }, { act: 'drained', moved: 1e300, finished: -1 }, { act: 'asked-to-leave' }),
  ], 'done');
}, LONG);

test('nonsense in the connection queue harms nobody', async () => {
  await expectServed([
    "evil.write(queue, Buffer.from('x'))",
    'evil.write(queue, Buffer.alloc(4096, 0xff))',
    'evil.write(queue, evil.notice(2, 1))',
    'evil.write(queue, evil.notice(1, 1))',
    'evil.write(queue, evil.notice(99, 1))',
    'for (let kind = 0; kind < 8; kind++) for (const id of [0, 1, 7, 0xffffffff]) evil.write(queue, evil.notice(kind, id))',
    'const next = evil.random(1); for (let i = 0; i < 5000; i++) evil.write(queue, Buffer.alloc(next() % 100 + 1, next()))',
    'for (let i = 0; i < 5000; i++) evil.write(queue, evil.notice(3, 1))',
    "require('node:fs').closeSync(queue)",
  ], 'done', MALFORMED);
}, LONG);

testWith('python3')('descriptors that nobody asked for, or that are no connections, harm nobody', async () => {
  const file = "require('node:fs').openSync('/dev/null', 'r+')";
  const packageFile = "require('node:fs').openSync('package.json', 'r')";
  await expectServed([
    // On the queue: given back as full (2) or closed (1), to be given to another worker.
    ...[file, packageFile, 'await evil.aListeningSocket()'].flatMap((attached) => [
      `evil.writeWithDescriptor(queue, evil.notice(2, 1), ${attached})`,
      `evil.writeWithDescriptor(queue, evil.notice(1, 1), ${attached})`,
    ]),
    `evil.writeWithDescriptor(queue, evil.notice(3, 1), ${file})`,
    `evil.writeWithDescriptor(queue, Buffer.from('x'), ${file})`,
    // On the channel: to be moved to another worker, or with a message that has none.
    `evil.writeWithDescriptor(fd, evil.frame(3, '{"act":"move","key":"127.0.0.1:0:4::0"}', { fds: 1 }), ${packageFile})`,
    `evil.writeWithDescriptor(fd, evil.frame(3, '{"act":"move","key":"127.0.0.1:0:4:-1:0"}', { fds: 1 }), ${packageFile})`,
    `evil.writeWithDescriptor(fd, evil.frame(1, '1'), ${file})`,
    `evil.writeWithDescriptor(fd, evil.frame(4, '[{"type":"net.Server"},1]', { fds: 1 }), ${file})`,
    `evil.writeWithDescriptor(fd, evil.frame(4, '[{"type":"net.Socket"},1]', { fds: 1 }), ${packageFile})`,
    `evil.writeWithDescriptor(fd, evil.frame(4, '[{"type":"net.Socket"},1]', { fds: 1 }), await evil.aListeningSocket())`,
    `evil.writeWithDescriptor(fd, evil.frame(4, '[{"type":"dgram.Socket","dgramType":7},1]', { fds: 1 }), await evil.aListeningSocket())`,
    `evil.writeWithDescriptor(fd, evil.frame(4, '[null,1]', { fds: 1 }), ${file})`,
    `evil.writeWithDescriptor(fd, evil.frame(4, '{"no":"array"}', { fds: 1 }), ${file})`,
    `evil.writeWithDescriptor(fd, evil.frame(6, '{}', { fds: 1 }), ${file})`,
  ], 'done', MALFORMED);
}, LONG);

test('lies on the board harm nobody', async () => {
  await expectServed([
    'for (let word = 0; word < 512; word++) evil.openBoard().write(word, -1n)',
    'for (let word = 0; word < 512; word++) evil.openBoard().write(word, 0n)',
    'for (let word = 0; word < 512; word++) evil.openBoard().write(word, 1n)',
    'for (let word = 0; word < 512; word++) evil.openBoard().write(word, 1n << 63n)',
    `const board = evil.openBoard(); const next = evil.random(7);
     for (let i = 0; i < 20_000; i++) board.write(next() % 512, BigInt(next()) << BigInt(next() % 33));
     setInterval(() => { for (let i = 0; i < 512; i++) board.write(next() % 512, BigInt(next()) << BigInt(next() % 33)); }, 1)`,
  ], 'done');
}, LONG);

test('a worker sees no other worker\'s board, queue or channel', async () => {
  const { primary } = await runScenario({
    async primary({ cluster, once, report }) {
      const { forkListening } = require('./serving');
      const { workers } = await forkListening(cluster, 3);
      for (const worker of workers) {
        worker.send('what do you have?');
        report((await once(worker, 'message'))[0]);
      }
      cluster.disconnect();
    },
    worker() {
      const { readFileSync, readdirSync, readlinkSync } = require('node:fs');
      const { openBoard } = require('./evil');
      require('./serving').serve();
      process.on('message', () => {
        const unix = new Set(readFileSync('/proc/net/unix', 'utf8').split('\n').map((line) => line.trim().split(/\s+/)[6]));
        unix.delete(undefined);
        const links = readdirSync('/proc/self/fd').filter((fd) => fd > 2).flatMap((fd) => {
          try {
            return readlinkSync(`/proc/self/fd/${fd}`);
          } catch {
            return [];
          }
        });
        const sockets = links.filter((link) => unix.has(/socket:\[(\d+)\]/.exec(link)?.[1]));
        process.send({ sockets: sockets.length, memory: links.filter((link) => link.includes('memfd')).length, boards: openBoard().mappings });
      });
    },
  });
  // Its channel and its queue.
  expect(primary).toEqual(Array(3).fill({ sockets: 2, memory: 0, boards: 1 }));
});
