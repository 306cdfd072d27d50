'use strict';

// Workers are killed under load: only what they had begun to serve is lost, and nobody waits in vain.

const { runScenario } = require('./helpers/scenario');

const LONG = 60_000;

/** Connections are greeted at once and served a little later: a client knows whether its worker had taken it. */
const greeting = () => {
  require('./serving').serve((socket) => {
    socket.write(`${process.pid} took it`);
    setTimeout(() => socket.end(', and served it'), 5);
  });
};

const rounds = {
  async primary({ args, cluster, once, report, until }) {
    const { ask, block, forkListening } = require('./serving');
    const { port } = await forkListening(cluster, 4);
    const killed = new Set();
    const count = { served: 0, lost: 0, notTaken: [], strange: [] };
    let loaded = true;
    const clients = Array.from({ length: 16 }, async () => {
      while (loaded) {
        const answer = await ask(port);
        if (answer.endsWith(', and served it')) count.served++;
        else if (killed.has(answer.replace(/ took it.*/, ''))) count.lost++;
        else if (/took it/.test(answer)) count.strange.push(answer);
        else count.notTaken.push(answer);
      }
    });
    for (let round = 0; round < 4; round++) {
      const [worker] = Object.values(cluster.workers);
      const { served } = count;
      await until(() => count.served > served + 40);
      const blocked = args === 'blocked' && await block(worker);
      // Connections reach it as long as it is not known to be stuck.
      await until(() => count.served > served + 80);
      killed.add(`${worker.process.pid}`);
      worker.process.kill('SIGKILL');
      await once(worker, 'exit');
      if (blocked) blocked.end();
      await once(cluster.fork(), 'listening');
    }
    loaded = false;
    await Promise.all(clients);
    report({ ...count, workers: Object.keys(cluster.workers).length });
    cluster.disconnect();
  },
  worker: greeting,
};

test('killed while it runs in circles: no connection is lost that it had not taken', async () => {
  const { primary: [count] } = await runScenario(rounds, { args: 'blocked', timeout: LONG });
  expect(count).toMatchObject({ notTaken: [], strange: [], workers: 4 });
  expect(count.served).toBeGreaterThan(300);
  // Each client has one connection at a time.
  expect(count.lost).toBeLessThanOrEqual(4 * 16);
}, LONG);

test('killed at work: at most one packet of connections that it had taken unseen', async () => {
  const { primary: [count] } = await runScenario(rounds, { args: 'working', timeout: LONG });
  expect(count).toMatchObject({ strange: [], workers: 4 });
  expect(count.notTaken.length).toBeLessThanOrEqual(4 * 16);
  expect(count.served).toBeGreaterThan(300);
}, LONG);
