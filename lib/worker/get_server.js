'use strict';

// What `net` and `dgram` call when a server of this process is to listen: the primary is asked for a place among those that do.

const path = require('node:path');

const { serverData, setServerData } = require('../node/net.js');
const { NO_HANDLE } = require('./servers/shared.js');

/**
 * @param {any} worker
 * @param {import('./servers/servers.js').Servers} servers
 * @param {import('./control.js').Control} control
 * @returns {(server: any, options: any, callback: (errno: number, handle: any) => void) => void}
 */
function makeGetServer(worker, servers, control) {
  return function getServer(server, options, callback) {
    const address =
      options.port < 0 && typeof options.address === 'string' && !options.address.startsWith('\0')
        ? path.resolve(options.address)
        : options.address;
    const place = servers.nextPlace([address, options.port, options.addressType, options.fd].join(':'));
    const data = serverData(server);
    const question = { ...simple({ ...options, address }), act: 'listen', index: place.index, data };
    control.send(question, (reply, fd) => {
      tell(server, reply.data);
      if (reply.errno) {
        place.fail();
        callback(reply.errno, NO_HANDLE);
      } else if (reply.listener === undefined) {
        servers.share(server, reply, fd, place, callback);
      } else {
        servers.accept(server, reply, fd, place, callback);
      }
    });
    server.once('listening', () => {
      // As in Node, a server that tries again after it has failed tells of itself once for each try.
      if (!place.isKnown()) return; // Closed already.
      worker.state = 'listening';
      const port = server.address()?.port || options.port;
      control.send({ act: 'listening', ...simple({ address, port, addressType: options.addressType, fd: options.fd }) });
    });
  };
}

/**
 * What the first server on this address has said of itself, in whichever worker that is: for TLS the keys of its
 * session tickets. If that is nonsense the server keeps its own.
 *
 * @param {any} server
 * @param {unknown} data
 */
function tell(server, data) {
  try {
    setServerData(server, data);
  } catch {
    // Sessions are not resumed by other workers then.
  }
}

/**
 * What a user gives `listen` may be anything; the primary takes simple values only. An object says no more than yes.
 *
 * @param {object} options
 */
function simple(options) {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, value && typeof value === 'object' ? true : value]));
}

module.exports = { makeGetServer };
