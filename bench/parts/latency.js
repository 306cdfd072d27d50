'use strict';

module.exports = [require('./latency_primary.js'), require('./latency_blocked.js'), require('./latency_unequal.js')];
