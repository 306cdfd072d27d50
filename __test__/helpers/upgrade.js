'use strict';

// Upgrades of services that tests have started.

const fs = require('node:fs');
const { childrenOf, isAlive } = require('./proc');
const { request, waitFor } = require('./run');
const { Service } = require('./service');

/** The primaries that tests have upgraded to: those are nobody's children whom the helpers know. @type {Set<number>} */
const started = new Set();

const descriptors = (/** @type {number} */ pid) => fs.readdirSync(`/proc/${pid}/fd`).length;

/** @param {Service} service @param {number} pid */
const nextOf = (service, pid) => new Service(service.script, `${service.control.replace(/\.\d+$/, '')}.${pid}`, service.file);

/** Waits until it answers. @param {Service} next */
const untilThere = (next) => waitFor(() => next.call('status').then(() => true, () => false));

/** How long (ms) until it is known what has become of an upgrade: the new primary has half a minute to load. */
const LONGEST = 50_000;

/**
 * Upgrades, and gives a service that asks the new primary.
 *
 * @param {Service} service
 */
async function upgrade(service) {
  const report = await service.call('upgrade');
  started.add(report.newPid);
  const next = nextOf(service, report.newPid);
  await untilThere(next);
  return { report, next };
}

/**
 * Begins an upgrade. Its new primary's pid, its service when it can be asked, and what becomes of it, which it is asked for.
 *
 * @param {Service} service
 */
async function begin(service) {
  const before = childrenOf(service.pid);
  const { length } = service.events('upgraded');
  await service.run(({ supervisor }) => void supervisor.upgrade().catch(() => {}));
  const pid = await waitFor(() => childrenOf(service.pid).find((one) => !before.includes(one)));
  started.add(pid);
  const next = nextOf(service, pid);
  const outcome = async () => {
    const report = await waitFor(() => service.events('upgraded')[length], { timeout: LONGEST });
    return { report, error: report.error };
  };
  return { pid, outcome, next, isThere: () => untilThere(next) };
}

/**
 * Upgrades in vain. The workers and the descriptors are the same afterwards, and nobody is left of the new one.
 *
 * @param {Service} service
 * @param {() => Promise<any>} [attempt] rejects
 */
async function fail(service, attempt = () => service.call('upgrade')) {
  const before = await service.pids();
  const open = descriptors(service.pid);
  // The new one may listen elsewhere.
  const { port } = service;
  const error = await attempt().then(() => undefined, (reason) => reason);
  expect(error).toMatchObject({ code: 'ERR_RCLUSTER_UPGRADE_FAILED' });
  expect(await service.pids()).toEqual(before);
  expect(before).toContain(Number((await request(port)).body));
  await waitFor(() => childrenOf(service.pid).every((pid) => before.includes(pid)));
  await waitFor(() => descriptors(service.pid) <= open);
  expect(service.events('upgraded').at(-1).error.message).toBe(error.message);
  return error;
}

if (typeof afterEach === 'function') {
  afterEach(() => {
    for (const pid of started) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    started.clear();
  });
}

module.exports = { begin, fail, upgrade };
