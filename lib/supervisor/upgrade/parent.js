'use strict';

// What is left of a primary that has been upgraded where nobody would know the new one: as process 1 of a container, or under a parent
// that waits for this very process, such as a shell. It passes signals on, starts the next primary when it is asked to, and ends as the
// last one does.

const { load } = require('../../native.js');
const { launch, pair } = require('./launch.js');
const { Line, closeAll } = require('./line.js');

/** @type {readonly NodeJS.Signals[]} */
const SIGNALS = Object.freeze(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2']);

/** @typedef {import('./launch.js').Launched} Launched */

class Parent {
  #origin;
  #env;
  /** The primary, and one that may become it. @type {Launched | undefined} */
  #main;
  /** @type {Launched | undefined} */
  #next;
  /** Whether nothing is left to be done here. */
  #isAlone = false;
  /** How the last primary has ended. @type {import('./launch.js').End | undefined} */
  #end;

  /**
   * @param {import('./origin.js').Origin} origin
   * @param {() => NodeJS.ProcessEnv} env
   */
  constructor(origin, env) {
    this.#origin = origin;
    this.#env = env;
  }

  /**
   * This one is the primary from now on.
   *
   * @param {Launched} launched
   * @param {Line} line
   */
  begin(launched, line) {
    for (const signal of SIGNALS) process.on(signal, () => this.#main?.kill(signal));
    this.#serve(launched, line);
  }

  /** Our own workers have finished: nothing is left to be done here. */
  isAlone() {
    this.#isAlone = true;
    this.#endIfLast();
  }

  /**
   * @param {Launched} launched
   * @param {Line} line
   */
  #serve(launched, line) {
    this.#main = launched;
    if (this.#next === launched) this.#next = undefined;
    launched.onExit = (how) => {
      line.close();
      if (this.#main !== launched) return;
      // One that it was about to be replaced by goes on without it.
      this.#main = this.#next;
      this.#next = undefined;
      this.#end = how;
      this.#endIfLast();
    };
    this.#listen(line);
  }

  /** @param {Line} line To the primary. */
  #listen(line) {
    line.listen((message, fds) => {
      closeAll(fds);
      if (message.act === 'launch') this.#launchFor(line, message);
    }, () => {});
  }

  #endIfLast() {
    if (this.#main || !this.#isAlone || !this.#end) return;
    const { code, signal } = this.#end;
    if (signal === null) process.exit(code ?? 1);
    for (const one of SIGNALS) process.removeAllListeners(one);
    process.kill(process.pid, signal);
    // Process 1 is not ended by its own signals.
    setTimeout(() => process.exit(1), 100);
  }

  /**
   * The primary wants another one to be started, of which we are to be the parent.
   *
   * @param {Line} asker
   * @param {import('./line.js').Message} message
   */
  #launchFor(asker, { inherited = [] }) {
    /** @type {Set<number>} */
    const open = new Set();
    try {
      const [theirs, its] = pair();
      open.add(theirs).add(its);
      const [ours, itsToUs] = pair();
      open.add(ours).add(itsToUs);
      const launched = launch(this.#origin, this.#env(), inherited, [its, itsToUs]);
      const line = new Line(ours);
      open.delete(ours);
      this.#next = launched;
      launched.onExit = ({ code, signal, error }) => {
        if (this.#next === launched) this.#next = undefined;
        line.close();
        asker.send({ act: 'exited', pid: launched.pid, code, signal, error: error?.message });
      };
      line.listen((message, fds) => {
        closeAll(fds);
        if (message.act === 'main') this.#serve(launched, line);
      }, () => {});
      asker.send({ act: 'launched', pid: launched.pid }, [theirs], () => load().closeFd(theirs));
      open.delete(theirs);
    } catch (error) {
      asker.send({ act: 'exited', code: null, signal: null, error: /** @type {Error} */ (error).message });
    } finally {
      closeAll([...open]);
    }
  }
}

module.exports = { Parent };
