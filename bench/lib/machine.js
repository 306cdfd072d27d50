'use strict';

const os = require('node:os');

/**
 * What a reader must know of the machine to compare figures; nothing that names it.
 */
function machine() {
  const cpus = os.cpus();
  return {
    cores: os.availableParallelism(),
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    memory_gb: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release().split('-')[0]} ${os.arch()}`,
    node: process.version,
  };
}

/** @returns {number} how many processes have lately wanted a core; with us not yet begun, all of them are others */
function busy() {
  return os.loadavg()[0];
}

module.exports = { machine, busy };
