'use strict';

// A rollout in a simulated Kubernetes: what examples/deploy/kubernetes/app.yaml says, but for the image.
//   node scripts/soak/kubernetes.js [--replicas 3] [--workers 2] [--lag 5] [--keep 16] [--new 8] [--only with|without]
//
// Pods are commands with the arguments of the manifest. Each is probed at its intervals, gets a place in the Service when it is ready, and
// loses that so many seconds (`lag`) after SIGTERM; after the grace period it is killed. A rollout replaces one after the other. Clients choose a pod of the Service
// when they connect, as kube-proxy does it for them: some keep their connections, others make one for each request.
// The same again without --stop-delay, to see what it is for. Prints rows; exits with 1 when a request failed, a probe of a living pod did, or a
// pod did not end with code 0 within its grace, with what the manifest says.

const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { parseArgs } = require('node:util');
const yaml = require('yaml');

const { root } = require('../lib/sources.js');
const { Clients } = require('./kubernetes/clients.js');
const { Pod } = require('./kubernetes/pod.js');

const { values } = parseArgs({
  options: {
    replicas: { type: 'string', default: '3' },
    workers: { type: 'string', default: '2' },
    lag: { type: 'string', default: '5' },
    keep: { type: 'string', default: '16' },
    new: { type: 'string', default: '8' },
    only: { type: 'string', default: '' },
  },
});

/** How long (ms) clients ask before and after the rollout. */
const AROUND = 3000;

const [deployment] = yaml.parseAllDocuments(fs.readFileSync(path.join(root, 'examples', 'deploy', 'kubernetes', 'app.yaml'), 'utf8')).map((one) => one.toJS());
const { containers: [container], terminationGracePeriodSeconds } = deployment.spec.template.spec;

/** @type {Set<Pod>} */
const pods = new Set();

/**
 * @param {boolean} hasDelay
 * @returns {Promise<Pod>} In the Service.
 */
async function startPod(hasDelay) {
  const args = container.args.slice(0, -1).filter((/** @type {string} */ one) => hasDelay || !one.startsWith('--stop-delay='));
  const pod = new Pod({ args, workers: Number(values.workers), container, grace: terminationGracePeriodSeconds * 1000 });
  pods.add(pod);
  await pod.untilReady();
  return pod;
}

/** @param {boolean} hasDelay */
async function rollOut(hasDelay) {
  const service = new Set();
  const old = await Promise.all(Array.from({ length: Number(values.replicas) }, () => startPod(hasDelay)));
  for (const pod of old) service.add(pod);
  const clients = new Clients(service, { keep: Number(values.keep), fresh: Number(values.new) });
  const begin = performance.now();
  await sleep(AROUND);
  const ended = [];
  for (const pod of old) {
    service.add(await startPod(hasDelay));
    // The endpoint is taken away in parallel with the signal, and that takes a while to be known everywhere.
    setTimeout(() => service.delete(pod), Number(values.lag) * 1000);
    ended.push(pod.stop());
    await ended.at(-1);
  }
  await sleep(AROUND);
  const { answered, failed } = await clients.stop();
  const time = Math.round((performance.now() - begin) / 1000);
  const ends = await Promise.all(ended);
  const wrongProbes = [...pods].reduce((sum, pod) => sum + pod.wrongProbes, 0);
  await Promise.all([...service].map((pod) => pod.kill()));
  return { answered, failed, time, ends, wrongProbes };
}

async function main() {
  let wrong = false;
  const all = /** @type {const} */ ([['with', true], ['without', false]]);
  for (const [name, hasDelay] of all.filter(([one]) => values.only === '' || values.only === one)) {
    const { answered, failed, time, ends, wrongProbes } = await rollOut(hasDelay);
    const lost = Object.values(failed).reduce((sum, count) => sum + count, 0);
    const what = lost === 0 ? '' : ` (${Object.entries(failed).map(([code, count]) => `${count} ${code}`).join(', ')})`;
    const stops = ends.map(({ code, signal, took }) => `${signal ?? `code ${code}`} after ${(took / 1000).toFixed(1)} s`).join(', ');
    console.log(`${name} --stop-delay, endpoint gone ${values.lag} s after SIGTERM: ${answered} answered in ${time} s, ${lost} failed${what}; probes that a living pod failed: ${wrongProbes}; pods ended: ${stops}`);
    if (hasDelay) wrong = lost > 0 || wrongProbes > 0 || ends.some(({ code }) => code !== 0);
  }
  process.exitCode = wrong ? 1 : 0;
}

main().finally(() => Promise.all([...pods].map((pod) => pod.kill())));
