'use strict';

// Unix sockets: what is left of the path when servers close in turn, a path that is taken or too long, and a name without a path.

const cluster = require('node:cluster');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

if (cluster.isPrimary) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'strangers-'));
  process.chdir(folder);
  const seen = [];
  const see = (what) => seen.push(`${what} ${fs.readdirSync('.')}`);
  fs.writeFileSync('taken', '');
  const ask = (worker, message) => new Promise((resolve) => {
    worker.once('message', resolve);
    worker.send(message);
  });
  void (async () => {
    const [a, b] = [cluster.fork(), cluster.fork()];
    for (const [worker, how] of [[a, 'listen'], [b, 'listen'], [a, 'close'], [b, 'close'], [a, 'listen']]) {
      see(`${how} ${await ask(worker, { how, path: 'socket' })}`);
    }
    a.disconnect();
    await new Promise((resolve) => { a.on('exit', () => setImmediate(resolve)); });
    see('left');
    for (const name of ['taken', 'none/socket', '']) see(`${name.slice(0, 12)} ${await ask(b, { how: 'listen', path: name })}`);
    see(await ask(b, { how: 'listen', path: `\0strangers${process.pid}` }).then((text) => text.replace(process.pid, 'pid')));
    b.on('exit', () => {
      see('ended');
      console.log(seen);
      fs.rmSync(folder, { recursive: true });
    });
    b.disconnect();
  })();
} else {
  let server;
  process.on('message', ({ how, path: name }) => {
    if (how === 'close') {
      server.close(() => process.send('closed'));
      return;
    }
    server = net.createServer();
    server.on('error', ({ code, syscall, address }) => process.send([code, syscall, String(address).slice(0, 12)].join()));
    try {
      server.listen(name, () => process.send(`address ${typeof server.address() === 'string' ? server.address() : typeof server.address()}`));
    } catch ({ code }) {
      process.send(code);
    }
  });
}
