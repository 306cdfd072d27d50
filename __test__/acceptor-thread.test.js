'use strict';

// How the primary's native thread gets a processor.

const { runScenario } = require('./helpers/scenario');

test('on a busy machine the accepting thread does not interrupt workers, and nothing else is changed', async () => {
  const { primary } = await runScenario({
    async primary({ cluster, once, report }) {
      const fs = require('node:fs');
      // Behind the name, which stands in parentheses, the 39th field is the scheduling policy: proc(5). 0 is SCHED_OTHER, 3 SCHED_BATCH.
      const threads = (pid) => {
        return fs.readdirSync(`/proc/${pid}/task`).map((thread) => {
          const stat = fs.readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
          const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
          return [name, stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38]];
        });
      };
      const worker = cluster.fork();
      await once(worker, 'listening');
      const all = threads(process.pid);
      report(all.filter(([name]) => name === 'rcluster-accept').map(([, policy]) => policy));
      report(all.filter(([name, policy]) => name !== 'rcluster-accept' && policy !== '0'));
      report(threads(worker.process.pid).filter(([, policy]) => policy !== '0'));
      worker.disconnect();
    },
    worker() {
      require('node:net').createServer().listen(0);
    },
  });
  expect(primary).toEqual([['3'], [], []]);
});
