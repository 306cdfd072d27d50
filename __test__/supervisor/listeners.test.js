'use strict';

// What the user's listeners do keeps the supervisor from nothing.

const { pidServer, startService } = require('../helpers/service');

test('a listener that throws is a warning: workers are restarted, reloaded and stopped all the same', async () => {
  const service = await startService({ worker: pidServer, options: { workers: 2, restart: { delay: 10, limit: 1 } } });
  await service.run(({ supervisor }) => {
    for (const event of ['restart', 'crash-loop', 'reloading', 'reload', 'replace', 'stopping', 'stopped']) {
      supervisor.prependListener(event, () => {
        throw new Error(`thrown for ${event}`);
      });
    }
  });
  const [pid, other] = await service.pids();
  process.kill(pid, 'SIGKILL');
  // Listeners that come after it are called.
  await service.event('restart', (event) => event.pid === pid);
  await service.event('crash-loop');
  await service.waitForStatus(({ workers }) => workers.every((one) => one.state === 'ready' && one.pid !== pid));
  const { workers } = await service.call('reload');
  expect(workers[1].oldPid).toBe(other);
  void service.call('stop').catch(() => {});
  expect(await service.script.waitForExit()).toEqual({ code: 0, signal: null });
  for (const event of ['restart', 'crash-loop', 'reloading', 'reload', 'stopping']) {
    expect(service.script.stderr.join('\n')).toContain(`A listener of '${event}' failed: Error: thrown for ${event}`);
  }
});
