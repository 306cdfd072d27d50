'use strict';

// A worker: `cluster` as the forked process sees it.

const { MessageChannel } = require('../channel/channel.js');
const environment = require('../environment.js');
const { load } = require('../native.js');
const { Control } = require('./control.js');
const { makeGetServer } = require('./get_server.js');
const { Hearing, countListeners } = require('./hearing.js');
const { ShutdownHooks, makeLeave } = require('./leave.js');
const { Servers } = require('./servers/servers.js');
const { WIRE } = require('../wire.js');

const { parse } = JSON;

/**
 * Replaces the members of the built-in module.
 *
 * @param {any} cluster
 */
function takeOver(cluster) {
  const side = new (load().WorkerSide)(environment.workerFd());
  const hello = parse(side.hello);
  if (hello.wire !== WIRE) require('./refuse.js').refuse(side, hello);
  const { id, advanced, supervised } = hello;

  const channel = new MessageChannel(process, (onEvent) => side.channel(onEvent), {
    advanced,
    inWorker: true,
    onControl: (message, fd) => control.on(message, fd),
    hears: () => hearing.isHeard(),
    onMalformed: (error) => /** @type {any} */ (process).emit('error', error),
  });
  countListeners(channel.control);

  const worker = new cluster.Worker({ id, process, state: 'online' });
  const hearing = new Hearing(worker, () => channel.deliverKept());
  cluster.worker = worker;

  const control = new Control(
    (message) => channel.sendControl(message),
    {
      disconnect: () => leave.disconnect(true),
      adopt: ({ key, left, said }, fd) => servers.adopt(key, fd, left, said),
      'seat-closed': () => servers.onSeatClosed(),
      own: ({ listener, backlog }, fd) => servers.own(listener, fd, backlog),
      'app-metrics': async ({ question }) => {
        const { appMetrics } = require('./app_metrics.js');
        control.send({ act: 'app-metrics-answer', question, ...(await appMetrics()) });
      },
    },
    (message) => supervision?.onControl(message),
  );
  const servers = new Servers(
    (onConnection) => side.queue(onConnection),
    (key) => control.send({ act: 'close', key }),
    (message, fd) => channel.sendControl(message, fd),
  );
  const hooks = new ShutdownHooks();
  const leave = makeLeave({ worker, servers, control, hooks });
  const supervision = supervised
    ? require('./leaving/supervised.js').supervise(
        { worker, cluster, servers, send: (message) => control.send(message), runHooks: () => hooks.run() },
        supervised,
      )
    : undefined;

  if (supervised?.proxyProtocol) {
    const { Gate } = require('./proxied/gate.js');
    servers.proxied = new Gate(servers, supervised.proxyProtocol);
    servers.proxied.install();
  }
  if (supervised?.countRequests) require('./http_counts.js').countRequests(side.http);

  process.once('disconnect', () => {
    // Under supervision what has come already is still served.
    if (!supervision) servers.close();
    worker.emit('disconnect');
    if (supervision) supervision.onDisconnected();
    // The primary has gone, or has thrown this worker out.
    else if (!worker.exitedAfterDisconnect) process.exit(0);
  });

  control.send({ act: 'online' });

  cluster.onShutdown = function onShutdown(/** @type {() => unknown} */ hook) {
    hooks.add(hook);
  };
  cluster._getServer = makeGetServer(worker, servers, control);

  cluster.Worker.prototype.disconnect = function () {
    if (supervision?.askToLeave()) return this;
    if (this.state !== 'disconnecting' && this.state !== 'destroying') {
      this.state = 'disconnecting';
      leave.disconnect(false);
    }
    return this;
  };

  cluster.Worker.prototype.destroy = function () {
    leave.destroy(this);
  };
}

module.exports = { takeOver };
