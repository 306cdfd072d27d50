'use strict';

// Sends one event to a webhook: a keeper runs this for each, with both on standard input. Ends with code 1 when it could not be delivered.

const { createHmac, randomUUID } = require('node:crypto');
const { setTimeout: sleep } = require('node:timers/promises');

/** Pauses (ms) between tries, each of which is made shorter by chance: not all come again at the same time. */
const PAUSES = Object.freeze([1000, 2000, 4000, 8000]);
/** How long (ms) a try may take. */
const PATIENCE = 10_000;

/**
 * The headers of an event. The signature is that of the time, a dot and the body, so that nobody can send it again later.
 *
 * @param {string} body
 * @param {{ kind: string }} event
 * @param {string | null | undefined} secret
 * @param {string} delivery The same for each try.
 * @param {number} now ms since 1970
 * @returns {Record<string, string | number>}
 */
function headers(body, { kind }, secret, delivery, now) {
  const time = Math.floor(now / 1000);
  return {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'user-agent': `rcluster/${require('../package.json').version}`,
    'rcluster-event': kind,
    'rcluster-delivery': delivery,
    ...(secret && { 'rcluster-signature': `t=${time},v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}` }),
  };
}

/**
 * One try.
 *
 * @param {URL} url
 * @param {string} body
 * @param {Record<string, string | number>} sent
 * @returns {Promise<{ problem?: string, isFinal?: boolean }>}
 */
function post(url, body, sent) {
  const { request } = url.protocol === 'https:' ? require('node:https') : require('node:http');
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(PATIENCE);
    const asked = request(url, { method: 'POST', headers: sent, signal, agent: false }, (answer) => {
      const { statusCode = 0 } = answer;
      // What it says besides is not of interest, and may have no end.
      answer.on('error', () => {}).destroy();
      if (statusCode >= 200 && statusCode < 300) resolve({});
      else resolve({ problem: `answered ${statusCode}`, isFinal: statusCode < 500 && statusCode !== 408 && statusCode !== 429 });
    });
    asked.on('error', ({ message }) => {
      // Another try a moment later would meet the same one.
      const isStranger = /** @type {import('node:tls').TLSSocket | null} */ (asked.socket)?.authorizationError != null;
      if (isStranger) resolve({ problem: `has a certificate that is not trusted (${message})`, isFinal: true });
      else resolve({ problem: signal.aborted ? `did not answer within ${PATIENCE / 1000} s` : message || 'could not be reached' });
    });
    asked.end(body);
  });
}

async function main() {
  const parts = [];
  for await (const part of process.stdin) parts.push(part);
  const { webhook, event, isQuiet } = JSON.parse(Buffer.concat(parts).toString());
  const [url, body, delivery] = [new URL(webhook.url), JSON.stringify(event), randomUUID()];
  for (let i = 0; ; i++) {
    const { problem, isFinal } = await post(url, body, headers(body, event, webhook.secret, delivery, Date.now()));
    if (problem === undefined) return;
    if (isFinal || i === PAUSES.length) {
      process.exitCode = 1;
      // What is behind the host may be a secret of its own.
      if (!isQuiet) process.stderr.write(`[rcluster] webhook: ${url.host} ${problem}, after ${i + 1} ${i === 0 ? 'try' : 'tries'}: events are left out until it can be reached\n`);
      return;
    }
    await sleep(PAUSES[i] * (0.5 + Math.random() / 2));
  }
}

if (require.main === module) void main();

module.exports = { headers };
