'use strict';

// What becomes of requests and connections while workers are replaced, die or hang; PM2 and a plain `disconnect()` of Node's
// own module measured beside it where that makes sense. Needs wrk and ab (Debian: wrk, apache2-utils).
//   node scripts/soak/supervision.js [reload] [idle] [policies] [twenty] [restless] [versions] [hang] [storm] [first] [refusals]
//
// reload     wrk and ab with 32 connections for 10 s and 3 reloads, replies at once and after 50 ms
// idle       100 idle keep-alive connections and one reload
// policies   the same with rcluster's scheduling policies, replies at once
// twenty     20 reloads in a row under load; descriptors and memory of the primary before and after
// restless   30 s of reloads, scaling and workers that leave, at random
// versions   versions that throw at load, are never ready, exit after 1 s, or take 8 s to be ready
// hang       a worker that never lets go of its event loop, and requests meanwhile
// storm      one SIGKILL of a worker per 200 ms for 10 s
// first      as process 1 of a namespace of its own: SIGTERM, exit codes, orphans
// refusals   what is refused at once, and how fast
//
// Prints a table for each; exits with 1 when rcluster loses something that it must not.

const { stopAll } = require('./supervision/subjects.js');

/** @type {Record<string, () => Promise<{ title: string, rows: Record<string, string | number>[], ok: boolean }>>} */
const PARTS = {
  reload: () => require('./supervision/reload.js').reload(),
  idle: () => require('./supervision/reload.js').idle(),
  policies: () => require('./supervision/reload.js').policies(),
  twenty: () => require('./supervision/reload.js').twenty(),
  restless: () => require('./supervision/restless.js').restless(),
  versions: () => require('./supervision/versions.js').versions(),
  hang: () => require('./supervision/deaths.js').hang(),
  storm: () => require('./supervision/deaths.js').storm(),
  first: () => require('./supervision/command.js').first(),
  refusals: () => require('./supervision/command.js').refusals(),
};

/** @param {Record<string, string | number>[]} rows */
function table(rows) {
  const columns = Object.keys(rows[0] ?? {});
  const widths = columns.map((column) => Math.max(column.length, ...rows.map((row) => `${row[column]}`.length)));
  const line = (/** @type {(string | number)[]} */ cells) => `| ${cells.map((cell, index) => `${cell}`.padEnd(widths[index])).join(' | ')} |`;
  return [line(columns), line(widths.map((width) => '-'.repeat(width))), ...rows.map((row) => line(columns.map((column) => row[column])))].join('\n');
}

async function main() {
  const asked = process.argv.slice(2);
  const unknown = asked.find((name) => !Object.hasOwn(PARTS, name));
  if (unknown) throw new Error(`there is no part "${unknown}"; there are: ${Object.keys(PARTS).join(', ')}`);
  let ok = true;
  for (const name of asked.length > 0 ? asked : Object.keys(PARTS)) {
    const result = await PARTS[name]();
    ok &&= result.ok;
    console.log(`\n${name}: ${result.title}\n\n${table(result.rows)}\n\n${result.ok ? 'as it should be' : 'NOT as it should be'}`);
  }
  return ok;
}

main()
  .then((ok) => (process.exitCode = ok ? 0 : 1))
  .catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  })
  .finally(stopAll);
