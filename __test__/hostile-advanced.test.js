'use strict';

// A hostile worker, and messages in V8's format that claim more than they are.

const { tryEach } = require('./helpers/attacks');

tryEach([
  'advanced-holes',
  'advanced-many-holes',
  'advanced-holes-in-an-error',
  'advanced-holes-in-a-host-object',
  'advanced-nested',
  'advanced-indices',
  'advanced-same-hash',
  'advanced-resizable',
  'advanced-regexp-long',
  'advanced-regexps',
  'advanced-padding',
  'advanced-flood-of-holes',
  'advanced-flood-of-memory',
]);
