'use strict';

// A system call of the channel that fails is tried again, or the channel is given up, and that is reported.

const { testUnless } = require('./helpers/needs');
const { tracing } = require('./helpers/rights');
const { runScenario } = require('./helpers/scenario');

const traced = testUnless(tracing(), 'strace');

/** Echoes 20 messages while a system call of each process fails. */
const run = (call, error, when) => runScenario({
  async primary({ cluster, report, once }) {
    const worker = cluster.fork();
    let count = 0;
    worker.on('error', ({ code, message }) => report([code, message]));
    await once(worker, 'online');
    worker.on('message', () => {
      if (++count === 20) worker.disconnect();
    });
    let left = 20;
    const timer = setInterval(() => {
      if (left-- === 0 || !worker.isConnected()) clearInterval(timer);
      else worker.send(1);
    }, 5);
    const [code] = await once(worker, 'exit');
    clearInterval(timer);
    report({ code, count });
  },
  worker() {
    process.on('message', (message) => process.send(message));
  },
}, { through: ['strace', '-qq', '-f', '-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${call}:error=${error}:when=${when}`] });

const ERRORS = ['EINTR', 'EAGAIN', 'ENOBUFS', 'ENOMEM', 'EMSGSIZE', 'ETOOMANYREFS', 'EPERM', 'EIO'];

traced.each(ERRORS.flatMap((error) => [['sendmsg', error], ['recvmsg', error]]))('%s fails three times with %s: nothing is lost', async (call, error) => {
  const { primary } = await run(call, error, '8..10');
  expect(primary).toEqual([{ code: 0, count: 20 }]);
});

traced('what fails for good ends the channel, and is reported', async () => {
  const { primary, stderr } = await run('sendmsg', 'EIO', '8+');
  const words = JSON.stringify(primary) + stderr.join();
  expect(words).toContain('it could not be written to (EIO)');
});
