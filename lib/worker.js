'use strict';

// A worker: `cluster` as the forked process sees it.

const path = require('node:path');

const { MessageChannel } = require('./channel/channel.js');
const environment = require('./environment.js');
const { load } = require('./native.js');
const { NO_HANDLE, Servers } = require('./servers.js');

const { parse } = JSON;

/** How often, and after how many ms each, a worker that closes its servers looks whether what has just come is being read. */
const LOOKS = 20;
const LOOK = 5;

/**
 * Replaces the members of the built-in module.
 *
 * @param {any} cluster
 */
function takeOver(cluster) {
  const side = new (load().WorkerSide)(environment.workerFd());
  const { id, advanced, supervised } = parse(side.hello);
  /** @type {Map<number, (reply: any, fd: number) => void>} */
  const questions = new Map();
  let lastQuestion = 0;

  const channel = new MessageChannel(process, (onEvent) => side.channel(onEvent), {
    advanced,
    inWorker: true,
    onControl,
    hears,
    onMalformed: (error) => /** @type {any} */ (process).emit('error', error),
  });
  countListeners(channel);

  const worker = new cluster.Worker({ id, process, state: 'online' });
  // The constructor of `Worker` listens to pass messages on.
  const passOn = process.listeners('message').at(-1);
  cluster.worker = worker;
  const servers = new Servers(
    (onConnection) => side.queue(onConnection),
    (key) => send({ act: 'close', key }),
    (message, fd) => channel.sendControl(message, fd),
  );

  /** What is to be done before this worker ends, in order. @type {(() => unknown)[]} */
  const hooks = [];
  cluster.onShutdown = function onShutdown(/** @type {() => unknown} */ hook) {
    if (typeof hook !== 'function') throw require('./errors.js').invalidArgument('hook', 'of type function', hook);
    hooks.push(hook);
  };

  async function runHooks() {
    for (const hook of hooks.splice(0)) {
      try {
        await hook();
      } catch (error) {
        process.emitWarning(`A shutdown hook failed: ${error instanceof Error ? error.stack : String(error)}`);
      }
    }
  }

  const supervision = supervised
    ? require('./supervised.js').supervise({ worker, cluster, servers, send, runHooks }, supervised)
    : undefined;

  process.once('disconnect', () => {
    // Under supervision what has come already is still served.
    if (!supervision) servers.close();
    worker.emit('disconnect');
    if (supervision) supervision.onDisconnected();
    // The primary has gone, or has thrown this worker out.
    else if (!worker.exitedAfterDisconnect) process.exit(0);
  });

  send({ act: 'online' });

  /**
   * @param {object} message
   * @param {(reply: any, fd: number) => void} [callback]
   */
  function send(message, callback) {
    if (!callback) return channel.sendControl(message);
    const seq = ++lastQuestion;
    questions.set(seq, callback);
    return channel.sendControl({ ...message, seq });
  }

  /**
   * @param {any} message
   * @param {number} fd
   */
  function onControl(message, fd) {
    if (message.act === 'disconnect') {
      disconnect(true);
    } else if (message.act === 'reply') {
      const callback = questions.get(message.seq);
      questions.delete(message.seq);
      if (callback) callback(message, fd);
      else if (fd >= 0) load().closeFd(fd);
    } else if (message.act === 'adopt') {
      servers.adopt(message.key, fd, message.left);
    } else if (message.act === 'own') {
      servers.own(message.listener, fd, message.backlog);
    } else {
      supervision?.onControl(message);
    }
  }

  /** Whether anybody of the program has ever listened for messages. Until then they are kept; from then on as in Node. */
  let heard = false;
  const hasListener = () =>
    process.listeners('message').some((listener) => listener !== passOn) || worker.listenerCount('message') > 0;

  function hears() {
    return process.listenerCount('message') > 0 && (heard ||= hasListener());
  }
  for (const emitter of [process, worker]) {
    emitter.on('newListener', (/** @type {string} */ event) => {
      if (event !== 'message') return;
      heard = true;
      process.nextTick(deliverKept);
    });
  }
  const deliverKept = () => channel.deliverKept();

  // What `net` and `dgram` call when a server of this process is to listen.
  cluster._getServer = function getServer(/** @type {any} */ server, /** @type {any} */ options, /** @type {any} */ callback) {
    const address =
      options.port < 0 && typeof options.address === 'string' && !options.address.startsWith('\0')
        ? path.resolve(options.address)
        : options.address;
    const place = servers.nextPlace([address, options.port, options.addressType, options.fd].join(':'));
    const data = server._getServerData?.() ?? null;
    const question = { ...simple({ ...options, address }), act: 'listen', index: place.index, data };
    send(question, (reply, fd) => {
      setServerData(server, reply.data);
      if (reply.errno) {
        place.fail();
        callback(reply.errno, NO_HANDLE);
      } else if (reply.listener === undefined) {
        servers.share(server, reply, fd, place, callback);
      } else {
        servers.accept(server, reply, fd, place, callback);
      }
    });
    server.once('listening', () => {
      // As in Node, a server that tries again after it has failed tells of itself once for each try.
      if (!place.isKnown()) return; // Closed already.
      worker.state = 'listening';
      const port = server.address()?.port || options.port;
      send({ act: 'listening', ...simple({ address, port, addressType: options.addressType, fd: options.fd }) });
    });
  };

  /** @param {boolean} askedByPrimary */
  function disconnect(askedByPrimary) {
    worker.exitedAfterDisconnect = true;
    const close = () =>
      servers.closeAll(() => {
        if (hooks.length > 0) void runHooks().then(() => goodbye(askedByPrimary));
        else goodbye(askedByPrimary);
      });
    if (servers.mayCutShort()) closeWhenRead(LOOKS, close);
    else close();
  }

  /**
   * @param {number} looks
   * @param {() => void} close
   */
  function closeWhenRead(looks, close) {
    if (looks > 0 && servers.hasUnread()) setTimeout(closeWhenRead, LOOK, looks - 1, close);
    else close();
  }

  /** @param {boolean} askedByPrimary */
  function goodbye(askedByPrimary) {
    // The primary must know that it was on purpose before it sees the channel end.
    if (askedByPrimary) leave();
    else if (!send({ act: 'exitedAfterDisconnect' }, leave)) leave();
  }

  function leave() {
    if (process.connected) process.disconnect();
  }

  cluster.Worker.prototype.disconnect = function () {
    if (supervision?.askToLeave()) return this;
    if (this.state !== 'disconnecting' && this.state !== 'destroying') {
      this.state = 'disconnecting';
      disconnect(false);
    }
    return this;
  };

  cluster.Worker.prototype.destroy = function () {
    if (this.state === 'destroying') return;
    this.exitedAfterDisconnect = true;
    if (!this.isConnected()) process.exit(0);
    this.state = 'destroying';
    process.once('disconnect', () => process.exit(0));
    send({ act: 'exitedAfterDisconnect' }, leave);
  };
}

/**
 * What the first server on this address has said of itself, in whichever worker that is: for TLS the keys of its
 * session tickets. If that is nonsense the server keeps its own.
 *
 * @param {any} server
 * @param {unknown} data
 */
function setServerData(server, data) {
  try {
    server._setServerData?.(data);
  } catch {
    // Sessions are not resumed by other workers then.
  }
}

/**
 * What a user gives `listen` may be anything; the primary takes simple values only. An object says no more than yes.
 *
 * @param {object} options
 */
function simple(options) {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, value && typeof value === 'object' ? true : value]));
}

/**
 * Listeners of these events keep the channel, and with it the process, alive.
 *
 * @param {MessageChannel} channel
 */
function countListeners({ control }) {
  const counted = (/** @type {string | symbol} */ name) => name === 'message' || name === 'disconnect';
  process.on('newListener', (name) => counted(name) && control.refCounted());
  process.on('removeListener', (name) => counted(name) && control.unrefCounted());
}

module.exports = { takeOver };
