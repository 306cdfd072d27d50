'use strict';

// A hostile worker, and its channel: of each kind of attack one, and the cheapest of it.

const { tryEach } = require('./helpers/attacks');

tryEach([
  'linger-control',
  'linger-in-flight-channel',
  'descriptors-in-an-unfinished-frame',
  'descriptors-promised-for-later',
  'frame-of-numbers',
  'answers-unread-and-long',
  'handle-udp-with-an-error',
  'handles-raw-unwanted',
]);
