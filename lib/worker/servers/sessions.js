'use strict';

// Sessions of HTTP/2 servers, which Node keeps no list of.

/** @param {any} server */
const isHttp2 = (server) => typeof server.updateSettings === 'function';

/**
 * Follows the sessions of a server, if it has any.
 *
 * @param {any} server
 * @param {Map<any, number>} sessions Those that are open, with their open streams.
 */
function watchSessions(server, sessions) {
  if (!isHttp2(server)) return;
  server.on('session', (/** @type {any} */ session) => {
    const count = (/** @type {number} */ change) => {
      const streams = sessions.get(session);
      if (streams !== undefined) sessions.set(session, streams + change);
    };
    sessions.set(session, 0);
    session.once('close', () => sessions.delete(session));
    session.on('stream', (/** @type {any} */ stream) => {
      count(1);
      stream.once('close', () => count(-1));
    });
  });
}

module.exports = { isHttp2, watchSessions };
