'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

/**
 * A key and a certificate that nobody else knows.
 *
 * @param {string} folder
 * @returns {{ KEY_FILE: string, CERT_FILE: string }}
 */
function makeCertificate(folder) {
  const files = { KEY_FILE: path.join(folder, 'key.pem'), CERT_FILE: path.join(folder, 'cert.pem') };
  spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', files.KEY_FILE, '-out', files.CERT_FILE]);
  if (!fs.existsSync(files.CERT_FILE)) throw new Error('openssl makes no certificate');
  return files;
}

module.exports = { makeCertificate };
