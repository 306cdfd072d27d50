'use strict';

// What the app itself counts with prom-client, when the primary asks for it.

const { createRequire } = require('node:module');

/** Characters that a worker answers with at most. */
const LONGEST = 1 << 20;

/** The copies of prom-client that the app has loaded: it is its own, whichever version, and nothing is loaded for us. */
function clients() {
  // From any place: all have the same modules. Where this was made of a held file, there is no `__filename`.
  const { cache } = createRequire('/');
  const files = Object.keys(cache).filter((file) => /[\\/]prom-client[\\/]index\.js$/.test(file));
  return files.flatMap((file) => (cache[file]?.exports?.register ? [cache[file].exports] : []));
}

/**
 * What its default registries have, as JSON.
 *
 * @returns {Promise<{ text: string } | { why: string }>} Why there is nothing, in a word.
 */
async function appMetrics() {
  try {
    const all = await Promise.all(clients().map(({ register }) => register.getMetricsAsJSON()));
    const text = JSON.stringify(all.flat());
    return text.length > LONGEST ? { why: 'too-large' } : { text };
  } catch {
    // A metric of the app's own that collects, and fails.
    return { why: 'failed' };
  }
}

module.exports = { appMetrics };
