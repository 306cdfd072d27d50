'use strict';

// A module that was held from the start is there when it is needed, whatever has become of descriptors and of its file.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { ROOT, startScript } = require('./helpers/run');

/** @type {string} */
let tmp;
beforeEach(() => {
  tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-held-'));
});
afterEach(() => fs.rmSync(tmp, { recursive: true, force: true }));

/** Holds a module that says `first`, does something, and prints what the module says then. */
function heldThen(script) {
  const file = path.join(tmp, 'module.js');
  fs.writeFileSync(file, "module.exports = 'first';");
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', `
    const fs = require('node:fs');
    const file = ${JSON.stringify(file)};
    const { holdModule } = require(${JSON.stringify(path.join(ROOT, 'lib', 'held_module.js'))});
    const before = fs.readdirSync('/proc/self/fd').length;
    const load = holdModule(file, require);
    ${script}
    console.log(load(), Object.keys(require.cache).includes(file), fs.readdirSync('/proc/self/fd').length - before);`], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout.trim();
}

test('it is what it was at the start, and its descriptor is closed', () => {
  expect(heldThen('')).toBe('first true 0');
});

test('another version in its place is not mixed in', () => {
  expect(heldThen(`fs.writeFileSync(file + '.new', "module.exports = 'second';"); fs.renameSync(file + '.new', file);`)).toBe('first true 0');
});

test('who closes all descriptors of the process gets it from its file, and another file that has the number is left alone', () => {
  expect(heldThen(`
    const held = fs.readdirSync('/proc/self/fd').map(Number).find((fd) => { try { return fs.readlinkSync('/proc/self/fd/' + fd) === file; } catch {} });
    fs.closeSync(held);
    if (fs.openSync(process.execPath) !== held) throw new Error('another number');`)).toBe('first true 1');
});

describe('with a full table of descriptors', () => {
  /** What a primary with a worker prints in the end. */
  async function withFullTable(act) {
    const app = path.join(tmp, 'app.js');
    fs.writeFileSync(app, `
      const cluster = require(${JSON.stringify(ROOT)});
      const fs = require('node:fs');
      const net = require('node:net');
      const fill = () => { try { for (;;) fs.openSync('/dev/null'); } catch {} };
      if (cluster.isPrimary) {
        const worker = cluster.fork();
        const server = net.createServer().listen(0, '127.0.0.1');
        worker.on('message', (message, handle) => {
          if (message === 'ready') { ${act} }
          else if (!handle && message !== 'x') { console.log(JSON.stringify(message)); worker.kill(); process.exit(); }
        });
      } else {
        const server = net.createServer().listen(0, '127.0.0.1', () => {
          socket = net.connect(server.address().port, '127.0.0.1', () => process.send('ready'));
        });
        let socket;
        process.on('message', (message) => {
          if (message === 'fill and send') { fill(); process.send('sent', socket, (error) => process.send(error ? error.code : 'a handle was sent')); }
          else process.send(message);
        });
      }`);
    const script = startScript(app, { node: 'sh', execArgv: ['-c', 'ulimit -n 120; exec "$@"', 'sh', process.execPath] });
    const [line] = await script.waitForLine(/^(".*"|{.*})$/);
    await script.waitForExit();
    return JSON.parse(line);
  }

  test('a primary sends a server, and says what is no handle', async () => {
    expect(await withFullTable(`
      fill();
      let code;
      try { worker.send('x', {}); } catch (error) { ({ code } = error); }
      worker.send('x', server, (error) => worker.send({ code, error }));`)).toEqual({ code: 'ERR_INVALID_HANDLE_TYPE', error: null });
  });

  test('a worker sends a socket', async () => {
    expect(await withFullTable("worker.send('fill and send');")).toBe('a handle was sent');
  });
});
