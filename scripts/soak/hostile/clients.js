'use strict';

// Hostile clients: from one address, while others ask from theirs.

const net = require('node:net');
const { setTimeout: sleep } = require('node:timers/promises');
const { POLICY } = require('./attacks.js');
const { Load, ask } = require('./load.js');
const { Primary, kill } = require('./trial.js');

const ADDRESS = '127.0.0.200';
const TIME = 3000;
const CLIENTS = 6;

/** @typedef {{ port: number, open: Set<net.Socket>, until: number }} Scene */

/**
 * @param {Scene} scene
 * @param {(socket: net.Socket) => void} onConnect
 */
function connect({ port, open }, onConnect) {
  const socket = net.connect({ port, host: '127.0.0.1', localAddress: ADDRESS });
  open.add(socket);
  socket.on('error', () => {});
  socket.on('close', () => open.delete(socket));
  socket.on('connect', () => onConnect(socket));
}

/** So many at a time, each followed by the next. @param {Scene} scene @param {number} count */
const asksWithoutEnd = (scene, count) =>
  Promise.all(
    Array.from({ length: count }, async () => {
      while (Date.now() < scene.until) if (!(await ask(scene.port, ADDRESS))) await sleep(20);
    }),
  );

/** @param {Scene} scene @param {number} count @param {(socket: net.Socket) => void} onConnect */
async function keeps(scene, count, onConnect) {
  while (Date.now() < scene.until) {
    for (let i = scene.open.size; i < count; i++) connect(scene, onConnect);
    await sleep(20);
  }
}

/**
 * @param {string} name
 * @param {{ policy: number, maxConnections?: number, share: number }} settings `share`: what the others keep of their rate
 * @param {(scene: Scene) => Promise<unknown>} attack
 */
function client(name, { policy, maxConnections = 0, share }, attack) {
  return {
    name,
    /** @param {string} binary @param {string} [packageFolder] */
    async run(binary, packageFolder) {
      const primary = new Primary(binary, policy, packageFolder, { MAX_CONNECTIONS: `${maxConnections}` });
      const { port, pids = [] } = (await primary.get('port')) ?? {};
      const load = new Load(port, CLIENTS);
      const scene = { port, open: new Set(), until: 0 };
      try {
        await sleep(1000);
        const before = load.next();
        scene.until = Date.now() + TIME;
        await attack(scene);
        const during = load.next();
        for (const socket of scene.open) socket.destroy();
        await sleep(500);
        load.next();
        await sleep(1000);
        const after = load.next();
        const rates = [before.answered, (during.answered / TIME) * 1000, after.answered].map(Math.round);
        /** @type {[boolean, string][]} */
        const rules = [
          [primary.ended !== undefined, 'the primary ended'],
          [rates[1] < rates[0] * share, `others got ${rates[1]} answers a second instead of ${rates[0]}`],
          // On a machine that has much else to do they waited before.
          [during.gap > Math.max(1000, 4 * before.gap), `nobody else was answered for ${during.gap} ms`],
          [after.answered === 0 || after.failed > 0, `${after.failed} requests failed afterwards`],
        ];
        const figures = `others' answers/s ${rates.join(' → ')}; failed ${during.failed} → ${after.failed}; gap ${during.gap} ms`;
        return { reasons: rules.filter(([broken]) => broken).map(([, text]) => text), figures };
      } finally {
        await load.stop();
        await primary.end();
        for (const pid of pids) kill(pid);
      }
    },
  };
}

/** @param {net.Socket} socket */
const reset = (socket) => void socket.resetAndDestroy();

const clients = [
  // It has a worker to itself, and half of the processors' time: the rest is for the others of the other worker.
  client('client-sticky-600-at-a-time', { policy: POLICY.sticky, share: 0.04 }, (scene) => asksWithoutEnd(scene, 600)),
  client('client-sticky-at-max-connections', { policy: POLICY.sticky, maxConnections: 50, share: 0.2 }, (scene) => keeps(scene, 330, () => {})),
  client('client-sticky-resets', { policy: POLICY.sticky, share: 0.1 }, (scene) => keeps(scene, 100, reset)),
  client('client-resets', { policy: POLICY.roundRobin, share: 0.1 }, (scene) => keeps(scene, 100, reset)),
  client('client-says-nothing', { policy: POLICY.roundRobin, share: 0.2 }, (scene) => keeps(scene, 1500, () => {})),
  client('client-ends-at-once', { policy: POLICY.least, share: 0.1 }, (scene) => keeps(scene, 100, (socket) => void socket.end())),
];

module.exports = { clients };
