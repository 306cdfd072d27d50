'use strict';

const fs = require('node:fs');
const path = require('node:path');
const selfsigned = require('selfsigned');

/**
 * A certificate that nobody knows but who is given it, as files.
 *
 * @param {string} folder
 * @param {{ type: number, value?: string, ip?: string }[]} [altNames] Whom it is for, if not `localhost`.
 */
async function certificate(folder, altNames = [{ type: 2, value: 'localhost' }]) {
  const made = await selfsigned.generate([{ name: 'commonName', value: 'localhost' }], {
    algorithm: 'sha256',
    keyType: 'ec',
    extensions: [{ name: 'subjectAltName', altNames }],
  });
  const [keyFile, certFile] = ['key.pem', 'cert.pem'].map((name) => path.join(folder, name));
  fs.writeFileSync(keyFile, made.private);
  fs.writeFileSync(certFile, made.cert);
  return { key: made.private, cert: made.cert, keyFile, certFile };
}

module.exports = { certificate };
