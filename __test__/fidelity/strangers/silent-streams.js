'use strict';

// Workers whose streams the primary reads: what they wrote before they ended in odd ways, and what they read.

const cluster = require('node:cluster');

if (cluster.isPrimary) {
  cluster.setupPrimary({ silent: true, args: ['an argument'] });
  const results = [];
  for (const how of ['exit', 'throw', 'disconnect', 'echo']) {
    const worker = cluster.fork({ HOW: how });
    const text = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) worker.process[name].setEncoding('utf8').on('data', (data) => (text[name] += data));
    worker.process.stdin.end('from the primary');
    worker.process.on('close', (code, signal) => {
      results.push(`${how} ${text.stdout.length} ${text.stdout.slice(-20)} ${/Error: .*/.exec(text.stderr) ?? text.stderr.length} ${code} ${signal}`);
      if (results.length === 4) console.log(results.sort());
    });
  }
} else {
  process.stdout.write('x'.repeat(30_000));
  console.error('to stderr');
  const { HOW } = process.env;
  if (HOW === 'exit') process.exit(4);
  if (HOW === 'throw') throw new Error('odd');
  if (HOW === 'disconnect') process.disconnect();
  if (HOW === 'echo') process.stdin.on('end', () => process.exit(5)).pipe(process.stdout);
}
