'use strict';

// A worker that broke a rule loses its channel; under supervision another takes its place.

const { runScenario } = require('../helpers/scenario');

test('a supervised worker that breaks a rule is reported and replaced', async () => {
  const { primary, exit } = await runScenario({
    async primary({ cluster, once, report }) {
      const warnings = [];
      process.on('warning', ({ code, message }) => warnings.push([code, message]));
      const supervisor = cluster.supervise({ exec: process.argv[1], workers: 1, restart: { delay: 1 } });
      await supervisor.whenReady();
      const [bad] = Object.values(cluster.workers);
      bad.send('break a rule');
      const [, , signal] = await once(cluster, 'exit');
      const [next] = await once(cluster, 'listening');
      report([signal, next.id !== bad.id, warnings]);
      await supervisor.stop();
    },
    worker() {
      const evil = require('./evil');
      require('./serving').serve();
      process.on('message', () => {
        // It does not end by itself.
        process.exit = () => {};
        setInterval(() => {}, 1000);
        evil.write(process.channel.fd, evil.frame(3, '{"act":"no such"}'));
      });
    },
  });
  expect(primary).toEqual([['SIGKILL', true, [['ERR_RCLUSTER_MALFORMED_MESSAGE', expect.stringContaining('a control message is unknown')]]]]);
  expect(exit.code).toBe(0);
});
