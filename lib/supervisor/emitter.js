'use strict';

const EventEmitter = require('node:events');

/** A listener that throws keeps neither who emits nor the other listeners from anything. */
class Emitter extends EventEmitter {
  /**
   * @override
   * @param {string | symbol} event
   * @param {unknown[]} args
   */
  emit(event, ...args) {
    const listeners = this.rawListeners(event);
    for (const listener of listeners) {
      try {
        Reflect.apply(listener, this, args);
      } catch (error) {
        const what = error instanceof Error ? error.stack : String(error);
        process.emitWarning(`A listener of '${String(event)}' failed: ${what}`, { code: 'RCLUSTER_LISTENER' });
      }
    }
    return listeners.length > 0;
  }
}

module.exports = { Emitter };
