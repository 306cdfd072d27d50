'use strict';

// What a proxy has said of a connection: kept with its raw handle as it came, and looked at when somebody asks.

const { load } = require('../../native.js');
const { defineOnSockets, rawOf, rawUnder } = require('../../node/net.js');

/** Bytes that identify a connection's proxy header, as text of one character for each. On the raw handle. */
const SAID = Symbol('rcluster.said');

/** Where version 2 has its command, and behind it the family: a client's, by TCP over IPv4. */
const COMMAND = 12;
const PROXY = 0x21;
const TCP4 = 0x11;
/** Types of extensions (section 2.2 of the specification). */
const ALPN = 0x01;
const AUTHORITY = 0x02;
const UNIQUE_ID = 0x05;
const TLS = 0x20;
const NETNS = 0x30;
/** Those within TLS, all texts. @type {Record<number, string>} */
const OF_TLS = { 0x21: 'version', 0x22: 'commonName', 0x23: 'cipher', 0x24: 'signatureAlgorithm', 0x25: 'keyAlgorithm', 0x26: 'group', 0x27: 'signatureScheme' };
/** Bits of how the client is connected to the proxy: by TLS; with a certificate, on this connection or in its session. */
const BY_TLS = 1;
const WITH_CERTIFICATE = 2 | 4;

/** @typedef {{ address: string, family: string, port: number }} End */

/** Headers that were asked for, so that they are there when the connection is over. @type {WeakMap<object, object>} */
const asked = new WeakMap();

/**
 * @param {any} raw
 * @param {string} said
 */
function keep(raw, said) {
  raw[SAID] = said;
  if (said === '') return;
  raw.getpeername = getpeername;
  raw.getsockname = getsockname;
}

/**
 * What was said of a connection; `''` when it is known that nothing was, `undefined` while nobody has looked.
 *
 * @param {any} raw
 * @returns {string | undefined}
 */
const saidOf = (raw) => raw?.[SAID];

/**
 * Both ends of the connection that the proxy has accepted, as `readProxyEnds` tells them. Those of IPv4, which the native part has found to be
 * in order, are told without it: asking it costs as much as the kernel.
 *
 * @param {string} said
 * @returns {string[]} Family, client, its port, what it has connected to, that port; one that is empty where they are not known.
 */
function endsOf(said) {
  if (said.startsWith('PROXY TCP4 ')) {
    const [, , source, destination, from, to] = said.split(' ');
    return ['IPv4', source, from, destination, to];
  }
  const at = (/** @type {number} */ index) => said.charCodeAt(index);
  if (at(COMMAND) === PROXY && at(COMMAND + 1) === TCP4) {
    const [source, destination] = [16, 20].map((start) => `${at(start)}.${at(start + 1)}.${at(start + 2)}.${at(start + 3)}`);
    const [from, to] = [24, 26].map((start) => `${at(start) * 256 + at(start + 1)}`);
    return ['IPv4', source, from, destination, to];
  }
  return load().readProxyEnds(Buffer.from(said, 'latin1')).split(' ');
}

/** @param {string} said */
const read = (said) => load().readProxyHeader(Buffer.from(said, 'latin1'));

/** @this {any} @param {End} out @returns {number} */
function getpeername(out) {
  return tell(this, 'getpeername', 1, out);
}

/** @this {any} @param {End} out @returns {number} */
function getsockname(out) {
  return tell(this, 'getsockname', 3, out);
}

/**
 * An end of the connection that the proxy has accepted. Where it knows of none, that of ours.
 *
 * @param {any} raw
 * @param {'getpeername' | 'getsockname'} name
 * @param {1 | 3} place In what the native part says.
 * @param {End} out
 * @returns {number} 0, or a negative errno.
 */
function tell(raw, name, place, out) {
  const words = endsOf(raw[SAID]);
  if (words[0] === '') return Object.getPrototypeOf(raw)[name]?.call(raw, out) ?? -1;
  [out.family, out.address, out.port] = [words[0], words[place], Number(words[place + 1])];
  return 0;
}

/** @param {any} socket */
function headerOf(socket) {
  const known = asked.get(socket);
  if (known) return known;
  let raw = rawOf(socket);
  while (raw && raw[SAID] === undefined) raw = rawUnder(raw);
  const header = raw?.[SAID] ? read(raw[SAID]) : null;
  if (!header) return undefined;
  const made = describe(header);
  asked.set(socket, made);
  return made;
}

/** @param {NonNullable<ReturnType<typeof read>>} header */
function describe({ version, local, source, destination, types, values }) {
  /** @type {Record<string, unknown>} */
  const header = { version, command: local ? 'LOCAL' : 'PROXY' };
  if (source) Object.assign(header, { source, destination });
  for (const [index, type] of types.entries()) {
    const value = values[index];
    if (type === ALPN) header.alpn = value.toString('latin1');
    else if (type === AUTHORITY) header.authority = value.toString();
    else if (type === UNIQUE_ID) header.uniqueId = value;
    else if (type === NETNS) header.netns = value.toString('latin1');
    else if (type === TLS) header.tls = describeTls(value);
  }
  header.tlvs = types.map((type, index) => ({ type, value: values[index] }));
  return header;
}

/** @param {Buffer} value */
function describeTls(value) {
  const hasCertificate = (value[0] & WITH_CERTIFICATE) !== 0;
  /** @type {Record<string, unknown>} */
  const tls = { encrypted: (value[0] & BY_TLS) !== 0, hasCertificate, verified: hasCertificate && value.readUInt32BE(1) === 0 };
  const inner = load().readProxyExtensions(value.subarray(5));
  for (const [index, type] of (inner?.types ?? []).entries()) {
    if (Object.hasOwn(OF_TLS, type)) tls[OF_TLS[type]] = inner?.values[index].toString();
  }
  return tls;
}

/** `socket.proxyHeader`, of each socket of this process. */
const defineHeader = () => defineOnSockets('proxyHeader', headerOf);

module.exports = { defineHeader, keep, saidOf };
