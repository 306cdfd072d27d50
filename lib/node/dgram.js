'use strict';

// Private members of Node's `dgram`.

/**
 * The raw handle inside a datagram socket. Asking for `_handle` would warn the user.
 *
 * @param {any} socket
 */
function udpHandle(socket) {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  return symbol && socket[symbol].handle;
}

module.exports = { udpHandle };
