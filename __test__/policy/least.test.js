'use strict';

const { startGreeter } = require('../helpers/greeter');

/**
 * @param {Iterable<{ pid: number }>} connections
 * @param {number[]} workers
 * @returns {number} how many more connections the one with the most has than the one with the fewest
 */
function difference(connections, workers) {
  const counts = new Map(workers.map((pid) => [pid, 0]));
  for (const { pid } of connections) counts.set(pid, (counts.get(pid) ?? 0) + 1);
  return Math.max(...counts.values()) - Math.min(...counts.values());
}

test('1,000 long-lived connections and churn: no worker has more than two more than another', async () => {
  const greeter = await startGreeter('least', { WORKERS: '4' });
  const connections = [];
  while (connections.length < 900) {
    connections.push(...(await Promise.all(Array.from({ length: 50 }, () => greeter.connect()))));
  }
  // A burst goes where there is room; those that come one by one level it.
  while (connections.length < 1000) connections.push(await greeter.connect());
  const uneven = [];
  for (let step = 0; step < 600; step++) {
    const index = (step * 7919) % connections.length;
    await connections[index].end();
    connections[index] = await greeter.connect();
    const now = difference(connections, greeter.workers);
    if (now > 2) uneven.push(now);
  }
  // A worker that a busy machine does not let run for 10 ms gets nothing meanwhile.
  expect(uneven.length).toBeLessThanOrEqual(6);
  expect(difference(connections, greeter.workers)).toBeLessThanOrEqual(2);
});

test('a worker that begins later is filled up first', async () => {
  const greeter = await startGreeter('least', { REFORK: '1' });
  const before = [];
  for (let count = 0; count < 40; count++) before.push(await greeter.connect());
  const [first] = greeter.workers;
  await greeter.kill(first);
  await greeter.ready(2);
  const survivors = before.filter(({ pid }) => pid !== first);
  expect(survivors.length).toBeGreaterThan(15);
  const added = [];
  // Some more than it takes: whoever just begins may be too busy for the first.
  for (let count = 0; count < 30; count++) added.push(await greeter.connect());
  expect(difference([...survivors, ...added], greeter.workers)).toBeLessThanOrEqual(2);
});
