'use strict';

// PM2's API in a process of its own, called by messages `{ id, call, args }`. Its home is the variable PM2_HOME.

const pm2 = require('pm2');

process.on('message', ({ id, call, args }) => {
  pm2[call](...args, (error, result) => {
    const processes = Array.isArray(result) ? result.map(({ pid, pm2_env: env }) => ({ pid, env })) : [];
    process.send({
      id,
      error: error && String(error.message ?? error),
      result: processes.map(({ pid, env = {} }) => ({ pid, name: env.name, mode: env.exec_mode, status: env.status })),
    });
  });
});
