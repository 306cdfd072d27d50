'use strict';

// Where others look at a service: the health endpoint, and what the workers count with prom-client. Both are loaded where somebody wants them.

/**
 * @typedef {object} Ways
 * @property {import('./upgrade/new_side.js').NewSide | undefined} newSide Our part in the upgrade that has brought us.
 * @property {() => import('./occupant.js').Occupant[]} occupants Those that have a seat and do their work, or are taken to.
 * @property {() => string} script Of the workers.
 * @property {() => import('./health.js').Now} now
 * @property {(error: Error | undefined, address: string) => void} onTold It answers at that address, or cannot.
 */

class Endpoint {
  /** @type {import('./health.js').Health | undefined} */
  #health;
  /** @type {import('./app_metrics.js').AppMetrics | undefined} */
  #metrics;
  #ways;

  /** @param {Ways} ways */
  constructor(ways) {
    this.#ways = ways;
  }

  gatherMetrics() {
    const { AppMetrics } = require('./app_metrics.js');
    this.#metrics = new AppMetrics(this.#ways.occupants, this.#ways.script);
  }

  /** What the workers count, all together; nothing where nobody has asked for that. */
  metrics() {
    return this.#metrics?.gather();
  }

  /** @param {Readonly<import('./health.js').Place>} place */
  open(place) {
    const { newSide } = this.#ways;
    const fd = newSide?.healthAt(place);
    if (fd === undefined) this.#serve(place);
    // Until then the old primary answers there.
    else newSide?.whenMain(() => this.#serve(place, fd));
  }

  /**
   * @param {Readonly<import('./health.js').Place>} place
   * @param {number} [fd]
   */
  #serve(place, fd) {
    const { serveHealth } = require('./health.js');
    const metrics = this.#metrics;
    this.#health = serveHealth(place, { now: this.#ways.now, metrics: metrics && (() => metrics.text()) }, this.#ways.onTold, fd);
  }

  /** Its descriptor, for the next primary. */
  fd() {
    return this.#health?.fd();
  }

  /** The next primary answers there. */
  leave() {
    this.#health?.leave();
  }

  close() {
    this.#health?.close();
  }
}

module.exports = { Endpoint };
