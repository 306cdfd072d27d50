'use strict';

// Node calls the listeners of each message, and of each connection, in a tick of its own: what one of them enters by
// `AsyncLocalStorage.enterWith` ends with it. Ours come several in a tick. So once a program has entered anything, each gets a
// context of its own; before, nothing of this is needed, nor paid for.

const { AsyncLocalStorage, AsyncResource } = require('node:async_hooks');

/** The context of when it was made. */
class Context {
  #resource = new AsyncResource('RCLUSTER');

  /**
   * Calls a function in a context of its own, which begins as this one.
   *
   * @param {(...args: any[]) => void} call
   * @param {any[]} args
   */
  run(call, ...args) {
    this.#resource.runInAsyncScope(apart, undefined, call, ...args);
  }
}

/**
 * Calls a function in a context of its own, which begins as that of now.
 *
 * @param {(...args: any[]) => void} call
 * @param {any[]} args
 */
function apart(call, ...args) {
  new AsyncResource('RCLUSTERTICK').runInAsyncScope(call, undefined, ...args);
}

/**
 * Calls functions in the async context of now: the native part's calls have it by themselves where stores hang on async
 * resources, but not where they are in frames (Node 24 and later).
 *
 * @returns {((call: (...args: any[]) => void, ...args: any[]) => void) | undefined} Nothing when that is not needed.
 */
function contextOfNow() {
  return 'kResourceStore' in new AsyncLocalStorage() ? undefined : AsyncLocalStorage.snapshot();
}

const contexts = { /** Whether a program has entered anything. */ entered: false, Context, contextOfNow };

/** Until it has been called once. */
function watchEnterWith() {
  const { prototype } = AsyncLocalStorage;
  const { enterWith: before } = prototype;
  /** @this {any} @param {any} store */
  function enterWith(store) {
    contexts.entered = true;
    if (prototype.enterWith === enterWith) Reflect.set(prototype, 'enterWith', before);
    return Reflect.apply(before, this, [store]);
  }
  Reflect.set(prototype, 'enterWith', enterWith);
}

watchEnterWith();

module.exports = contexts;
