'use strict';

const { startGreeter } = require('../helpers/greeter');
const { waitFor } = require('../helpers/run');

/**
 * @param {Iterable<{ pid: number }>} connections
 * @param {number[]} workers
 * @returns {Map<number, number>} how many each has
 */
function countsOf(connections, workers) {
  const counts = new Map(workers.map((pid) => [pid, 0]));
  for (const { pid } of connections) counts.set(pid, (counts.get(pid) ?? 0) + 1);
  return counts;
}

/**
 * @param {Iterable<{ pid: number }>} connections
 * @param {number[]} workers
 * @returns {number} how many more connections the one with the most has than the one with the fewest
 */
function difference(connections, workers) {
  const counts = countsOf(connections, workers);
  return Math.max(...counts.values()) - Math.min(...counts.values());
}

test('1,000 long-lived connections and churn: the next is for who has the fewest, and so no worker has more than two more than another', async () => {
  const greeter = await startGreeter('least', { WORKERS: '4' });
  const connections = [];
  while (connections.length < 900) {
    connections.push(...(await Promise.all(Array.from({ length: 50 }, () => greeter.connect()))));
  }
  // A burst goes where there is room; those that come one by one level it.
  while (connections.length < 1000) connections.push(await greeter.connect());
  let step = 0;
  const churn = async () => {
    const index = (step++ * 7919) % connections.length;
    await connections[index].end();
    const counts = countsOf(connections.toSpliced(index, 1), greeter.workers);
    connections[index] = await greeter.connect();
    return /** @type {number} */ (counts.get(connections[index].pid)) - Math.min(...counts.values());
  };
  let elsewhere = 0;
  while (step < 600) if ((await churn()) > 2) elsewhere++;
  // A worker that a busy machine does not let run for 10 ms gets nothing meanwhile. By turns it would be more than 150.
  expect(elsewhere).toBeLessThan(60);
  // It gets all the more when it runs again.
  await waitFor(async () => difference(connections, greeter.workers) <= 2 || void (await churn()));
}, 60_000);

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
