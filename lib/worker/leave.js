'use strict';

// How a worker leaves: its servers close, what the program has to do before is done, and the primary knows that it was on purpose.

/** How often, and after how many ms each, a worker that closes its servers looks whether what has just come is being read. */
const LOOKS = 20;
const LOOK = 5;

/** What the program wants done before this worker ends. */
class ShutdownHooks {
  /** In order. @type {(() => unknown)[]} */
  #hooks = [];

  /** @param {unknown} hook */
  add(hook) {
    if (typeof hook !== 'function') throw require('../errors.js').invalidArgument('hook', 'of type function', hook);
    this.#hooks.push(/** @type {() => unknown} */ (hook));
  }

  get isEmpty() {
    return this.#hooks.length === 0;
  }

  async run() {
    for (const hook of this.#hooks.splice(0)) {
      try {
        await hook();
      } catch (error) {
        process.emitWarning(`A shutdown hook failed: ${error instanceof Error ? error.stack : String(error)}`);
      }
    }
  }
}

/**
 * @param {object} parts
 * @param {any} parts.worker
 * @param {import('./servers/servers.js').Servers} parts.servers
 * @param {import('./control.js').Control} parts.control
 * @param {ShutdownHooks} parts.hooks
 */
function makeLeave({ worker, servers, control, hooks }) {
  /** @param {boolean} askedByPrimary */
  function disconnect(askedByPrimary) {
    worker.exitedAfterDisconnect = true;
    const close = () =>
      servers.closeAll(() => {
        if (hooks.isEmpty) goodbye(askedByPrimary);
        else void hooks.run().then(() => goodbye(askedByPrimary));
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
    else if (!control.send({ act: 'exitedAfterDisconnect' }, leave)) leave();
  }

  function leave() {
    if (process.connected) process.disconnect();
  }

  return {
    disconnect,
    /**
     * At once.
     *
     * @param {any} self What the program has called it on.
     */
    destroy(self) {
      if (self.state === 'destroying') return;
      self.exitedAfterDisconnect = true;
      if (!self.isConnected()) process.exit(0);
      self.state = 'destroying';
      process.once('disconnect', () => process.exit(0));
      control.send({ act: 'exitedAfterDisconnect' }, leave);
    },
  };
}

module.exports = { ShutdownHooks, makeLeave };
