'use strict';

// A hostile worker, and what it listens on: of each kind of attack one, and the cheapest of it.

const { tryEach } = require('./helpers/attacks');

tryEach([
  'listen-unaccepted-and-death',
  'listen-by-number-udp',
  'control-unlinks',
  'own-blocking',
  'own-filter-drops',
  'own-never-accepted',
]);
