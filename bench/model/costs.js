'use strict';

/**
 * What the model is fed with, in µs of processor time. All but the last three were measured by this benchmark (`connections`, `scale`)
 * on two processors.
 */
module.exports = {
  /** The accepting thread: a turn after it has slept (1,000 connections per second, one by one: 26 µs for turn, connection and packet). */
  turnAfterSleep: 16,
  /** `accept4`, choosing a worker, closing our copy: 4.8 µs per connection with two workers, of which each packet has about eight. */
  connection: 4.1,
  /** `sendmsg` of a packet and waking its worker: 9.6 µs per connection with 64 workers, of which each packet has one. */
  packet: 5.2,
  /** What Node's HTTP server does for a connection with one request, handed over. */
  server: 66,
  /** The same where each worker accepts for itself (`reuseport`). */
  serverThatAccepts: 90,
  /** So many connections at most are in a packet. */
  batch: 16,
  /** So many may wait for a worker (QUEUE_DEPTH). */
  depth: 32,
  /** An accepting thread waits no longer for a processor. */
  slice: 3000,
  /** Assumed: what each connection costs an accepting thread more when others take from the same listening socket. */
  contention: 1,
  /** Assumed: the kernel's part of a connection over a network card, on any processor. */
  kernel: 15,
  /** Assumed: until a client that was answered connects again. */
  network: 200,
};
