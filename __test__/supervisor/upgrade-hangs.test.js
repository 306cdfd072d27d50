'use strict';

// A new primary that does nothing: the old one waits for a while, and goes on.

const { isAlive, waitFor, waitForDeath } = require('../helpers/run');
const { pidServer, startService } = require('../helpers/service');
const { begin, fail } = require('../helpers/upgrade');

const LONG = 60_000;

/** Fails by an upgrade whose new primary is stopped as soon as it is there. */
async function failStopped(service) {
  let stopped;
  const error = await fail(service, async () => {
    const { pid, outcome } = await begin(service);
    process.kill(pid, 'SIGSTOP');
    stopped = pid;
    const { error: reason } = await outcome();
    throw reason;
  });
  expect(isAlive(stopped)).toBe(false);
  return error;
}

/** Fails by one whose workers never listen. */
async function failDeaf(service) {
  service.deploy(() => void setInterval(() => {}, 1000));
  let recent = [];
  const error = await fail(service, async () => {
    const { outcome, next, isThere } = await begin(service);
    await isThere();
    const { workers } = await next.waitForStatus((status) => status.workers.length === 2 && status.workers.every(({ pid }) => pid) && status);
    recent = workers.map(({ pid }) => pid);
    const { error: reason } = await outcome();
    throw reason;
  });
  expect(recent).toHaveLength(2);
  await waitForDeath(recent);
  return error;
}

// Half a minute: that is what it has to load Node and the program, besides what its workers have.
test('one that says nothing, and one whose workers are never ready, are ended with all that they have started, and the old one goes on', async () => {
  const [silent, deaf] = [await startService({ worker: pidServer }), await startService({ worker: pidServer, options: { readyTimeout: 500 } })];
  const [first, second] = await Promise.all([failStopped(silent), failDeaf(deaf)]);
  expect(first.message).toMatch(/goes on: the new one, \d+, has said nothing for 30000 ms$/);
  expect(second.message).toMatch(/goes on: the new one, \d+, was not ready after 3\d{4} ms$/);
  deaf.deploy(pidServer);
  for (const service of [silent, deaf]) expect(await service.call('upgrade')).toMatchObject({ oldPid: service.pid, cut: 0 });
}, LONG);

test('one that hangs in its probation does not keep the service: the old one accepts again', async () => {
  const service = await startService({ worker: pidServer, options: { settleTime: 1000 } });
  const before = await service.pids();
  const { pid, outcome } = await begin(service);
  await waitFor(async () => !before.includes(Number((await service.get()).body)));
  process.kill(pid, 'SIGSTOP');
  expect((await outcome()).error).toMatchObject({ code: 'ERR_RCLUSTER_UPGRADE_FAILED', message: expect.stringMatching(/did not answer for 5000 ms in its probation$/) });
  for (let round = 0; round < 4; round++) expect(before).toContain(Number((await service.get()).body));
  expect(await service.pids()).toEqual(before);
  await waitForDeath([pid]);
});
