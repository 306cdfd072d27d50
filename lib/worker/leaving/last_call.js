'use strict';

// A service that is to end soon and serves on until then: every answer tells its client to come back on another connection, which a
// proxy then opens elsewhere.

const diagnostics = require('node:diagnostics_channel');

const { httpConnections } = require('./http_sockets.js');
const { LastAnswers } = require('./last_answers.js');

/** Where Node tells of each HTTP/1 request of this process, before anybody answers it. */
const REQUESTS = 'http.server.request.start';

/** @param {import('../servers/servers.js').Servers} servers */
function makeLastCall(servers) {
  const answers = new LastAnswers(() => true);
  diagnostics.subscribe(REQUESTS, (message) => answers.ask(/** @type {any} */ (message).response));
  // Those that are under way.
  for (const { response } of httpConnections(servers.all())) if (response) answers.ask(response);
}

module.exports = { makeLastCall };
