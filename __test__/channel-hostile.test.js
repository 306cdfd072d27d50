'use strict';

// What a worker may cost its primary over the channel is bounded, and gone when the worker is.

const { testWith } = require('./helpers/needs');
const { runScenario } = require('./helpers/scenario');

const MB = 1 << 20;

/**
 * A worker that does something to its channel (`args`: the body of a function of evil.js, the channel's `fd` and `sleep`); reports what
 * the primary has noticed, and how many descriptors and MB it has more, while the worker lives or when it is dead.
 */
const attack = (body, { kill = false, collect = false } = {}) => runScenario({
  async primary({ args, cluster, once, report, until }) {
    const { readFileSync } = require('node:fs');
    const { openDescriptors } = require('../helpers/proc');
    const rss = () => /VmRSS:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1] / 1024;
    const settled = () => new Promise((resolve) => { setTimeout(resolve, 200); });
    const good = cluster.fork({ GOOD: '1' });
    await once(good, 'online');
    const bad = cluster.fork();
    const noticed = [];
    bad.on('error', ({ code }) => noticed.push(code));
    bad.on('disconnect', () => noticed.push('disconnect'));
    bad.on('message', (message) => noticed.push(message));
    await once(bad, 'message');
    noticed.length = 0;
    const before = { descriptors: openDescriptors(process.pid).length, memory: rss() };
    bad.send('go');
    await until(() => noticed.length > 0);
    if (args.kill) {
      bad.process.kill('SIGKILL');
      if (bad.isConnected()) await once(bad, 'disconnect');
      if (!bad.isDead()) await once(bad, 'exit');
    }
    await settled();
    if (args.collect) {
      require('node:v8').setFlagsFromString('--expose-gc');
      require('node:vm').runInNewContext('gc')();
      await settled();
    }
    report({
      noticed: [...new Set(noticed)],
      descriptors: openDescriptors(process.pid).length - before.descriptors,
      memory: rss() - before.memory,
    });
    good.send('hello');
    report((await once(good, 'message'))[0]);
    bad.process.kill('SIGKILL');
    good.process.kill('SIGKILL');
  },
  worker({ args }) {
    const evil = require('./evil');
    process.on('message', (message) => {
      if (process.env.GOOD) process.send(message);
      else {
        const done = () => process.send('done');
        void new Function('evil', 'fd', 'done', 'require', `return (async () => { ${args.body} })()`)(evil, process.channel.fd, done, require);
      }
    });
    if (!process.env.GOOD) process.send('ready');
  },
}, { args: { body, kill, collect }, timeout: 60_000 });

const MALFORMED = ['ERR_RCLUSTER_MALFORMED_MESSAGE', 'disconnect'];

testWith('python3').each([
  ['in batches that no frame asks for', "evil.writeWithDescriptors(fd, evil.frame(1, '1', { batch: 16 }), 100, 16)"],
  ['within an unfinished frame', `evil.write(fd, evil.frame(1, '', { length: 1000 })); evil.writeWithDescriptors(fd, Buffer.from('1'), 100, 16)`],
  ['within an unfinished long frame', `evil.write(fd, evil.frame(1, '', { length: 10_000_000 })); evil.writeWithDescriptors(fd, Buffer.from('1'), 100, 16)`],
])('descriptors %s end the channel, and are closed', async (_, body) => {
  const { primary: [{ noticed, descriptors }, hello] } = await attack(body);
  // The first may have been an honest message.
  expect(noticed).toEqual(expect.arrayContaining(MALFORMED));
  // Its channel is closed as well.
  expect(descriptors).toBeLessThanOrEqual(0);
  expect(hello).toBe('hello');
});

test('a long control message ends the channel before it has come', async () => {
  const { primary: [{ noticed, memory }, hello] } = await attack(`
    evil.write(fd, evil.frame(3, '', { length: ${100 * MB} }));
    for (let i = 0; i < 100; i++) evil.write(fd, Buffer.alloc(${MB}, '[],'));
  `);
  expect(noticed.sort()).toEqual(MALFORMED);
  expect(memory).toBeLessThan(30);
  expect(hello).toBe('hello');
});

test('what has come of an unfinished message is freed when the worker is dead', async () => {
  const { primary: [{ descriptors, memory }, hello] } = await attack(`
    const { spawnSync } = require('node:child_process');
    evil.write(fd, evil.frame(1, '', { length: ${1000 * MB} }));
    const bytes = Buffer.alloc(${MB}, '1');
    for (let i = 0; i < 300; i++) for (let at = 0; at < bytes.length; ) at += evil.write(fd, bytes.subarray(at));
    process.kill(process.pid, 'SIGKILL');
  `);
  expect(descriptors).toBeLessThan(0);
  expect(memory).toBeLessThan(60);
  expect(hello).toBe('hello');
});

test('answers that a worker does not read are bounded', async () => {
  const { primary: [{ noticed, memory }, hello] } = await attack(`
    // Asks, and never reads: its loop does not turn.
    const question = evil.frame(3, JSON.stringify({ act: 'count-sockets', key: 'x', question: 'q'.repeat(1000) }));
    const many = Buffer.concat(Array(1000).fill(question));
    for (let i = 0; i < 200; i++) for (let at = 0; at < many.length; ) { const n = evil.write(fd, many.subarray(at)); if (n === 0) return; at += n; }
  `);
  expect(noticed.sort()).toEqual(MALFORMED);
  expect(memory).toBeLessThan(80);
  expect(hello).toBe('hello');
});

test('more messages in one frame than an honest worker joins end the channel before they have come', async () => {
  const { primary: [{ noticed, memory }, hello] } = await attack(`
    evil.writeAll(fd, evil.frame(1, '1,'.repeat(${3 * MB}) + '1'));
  `);
  expect(noticed.sort()).toEqual(MALFORMED);
  expect(memory).toBeLessThan(30);
  expect(hello).toBe('hello');
});

test('a frame of millions of messages ends the channel, and none of them is told', async () => {
  const { primary: [{ noticed }, hello] } = await attack(`
    evil.writeAll(fd, evil.frame(1, '1,'.repeat(${MB}) + '1'));
  `);
  expect(noticed.sort()).toEqual(MALFORMED);
  expect(hello).toBe('hello');
});

test('texts whose message never comes are forgotten with their worker', async () => {
  const { primary: [{ noticed, memory }, hello] } = await attack(`
    const text = evil.frame(7, Buffer.alloc(${8 * MB}, 'x'));
    for (let i = 0; i < 20; i++) evil.writeAll(fd, text);
    evil.write(fd, evil.frame(1, '"done"'));
  `, { kill: true, collect: true });
  expect(noticed).toEqual(['done', 'disconnect']);
  expect(memory).toBeLessThan(60);
  expect(hello).toBe('hello');
});

testWith('python3')('a worker that sends its own end of the channel away has ended when its process has', async () => {
  const { primary: [{ noticed, descriptors }, hello] } = await attack(`
    evil.writeWithDescriptor(fd, evil.frame(4, '[{"type":"net.Socket"},{"msg":"done"}]', { fds: 1 }), fd);
  `, { kill: true });
  expect(noticed).toEqual(['done', 'disconnect']);
  // Its program has got the other end.
  expect(descriptors).toBeLessThanOrEqual(0);
  expect(hello).toBe('hello');
});
