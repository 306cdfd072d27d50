'use strict';

// What lines look like on the standard output of `rcluster run`, which takes the place of log files.

const path = require('node:path');

const { home } = require('../home.js');
const { usage } = require('./words.js');

const LOOKS = Object.freeze(['raw', 'prefixed', 'json']);

/** Names of the standard streams: what goes there anyway. */
const STREAM = /^\/(?:dev\/std(?:out|err)|(?:dev|proc\/(?:self|1))\/fd\/[12])$/;

/**
 * @param {any[]} apps
 * @param {{ json?: boolean, raw?: boolean, logFormat?: string }} options
 */
function lookOf(apps, { json, raw, logFormat }) {
  if (logFormat !== undefined && !LOOKS.includes(logFormat)) throw usage(`--log-format must be ${LOOKS.join(', ')}. Received '${logFormat}'`);
  if (json) return 'json';
  if (raw) return 'raw';
  // Whose a line is says nothing where there is one alone.
  return logFormat ?? (apps.reduce((count, { instances = 1 }) => count + Number(instances), 0) > 1 ? 'prefixed' : 'raw');
}

/**
 * Apps without the log files that nobody has asked for by name: containers have their own.
 *
 * @param {any[]} apps
 */
function withoutFiles(apps) {
  const usual = path.join(home(), 'logs') + path.sep;
  const named = (/** @type {string | undefined} */ file) => file !== undefined && !STREAM.test(file) && !file.startsWith(usual);
  return apps.map(({ outFile, errorFile, logFile, ...app }) => ({
    ...app,
    outFile: named(outFile) ? outFile : 'NULL',
    errorFile: named(errorFile) ? errorFile : 'NULL',
    ...(named(logFile) && { logFile }),
  }));
}

module.exports = { lookOf, withoutFiles };
