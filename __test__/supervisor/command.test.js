'use strict';

// The command `rcluster`: arguments, exit codes, what it says.

const fs = require('node:fs');
const net = require('node:net');
const { once } = require('node:events');
const path = require('node:path');
const { version } = require('../../package.json');
const { childrenOf, request, waitFor, waitForDeath } = require('../helpers/run');
const { startCommand } = require('../helpers/command');
const { pidServer, temporaryFolder, writeScript } = require('../helpers/service');

/** Runs the command to its end. */
async function run(args, options) {
  const start = Date.now();
  const command = startCommand(args, options);
  const exit = await command.waitForExit();
  return { ...exit, stdout: command.stdout, stderr: command.stderr, time: Date.now() - start };
}

test('--version', async () => {
  expect(await run(['--version'])).toMatchObject({ code: 0, stdout: [version], stderr: [] });
});

test('--help has every option, the signals and the exit codes', async () => {
  const { code, stdout, stderr } = await run(['--help']);
  const text = stdout.join('\n');
  expect({ code, stderr }).toEqual({ code: 0, stderr: [] });
  for (const option of [
    '-i, --instances', '--ready ', '--ready-timeout', '--settle-time', '--drain-timeout', '--hang-timeout', '--hang-signal',
    '--max-memory', '--crash', '--count-requests', '--app-metrics', '--no-move', '--reload-parallel', '--pid-file', '--stop-delay', '--proxy-protocol', '--keep-alive-timeout', '--health', '--min-ready', '--seat-listen', '--policy', '--cwd', '--exec-arg', '--version', '--help',
  ]) {
    expect(text).toContain(option);
  }
  for (const word of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2', 'Exit codes']) expect(text).toContain(word);
});

describe('what is wrong: one line, exit code 2', () => {
  const script = __filename;
  test.each([
    [[], /^rcluster: missing required argument 'script': .*a verb of the process manager \(rcluster help\)$/],
    [['no-such-script.js'], /^rcluster: there is no script "no-such-script\.js"$/],
    [['no-such-script.js', '--', '-x'], /^rcluster: there is no script "no-such-script\.js"$/],
    [[__dirname], /^rcluster: ".*" is a folder without a script to start$/],
    [['--cwd', script, script], /^rcluster: there is no folder ".*command\.test\.js"$/],
    [['-i', '-1', script], /'-1' is invalid.*a whole number/],
    [['-i', '1.5', script], /'1\.5' is invalid.*a whole number/],
    [['-i', '', script], /'' is invalid.*a whole number/],
    [['-i', 'Max', script], /'Max' is invalid.*a whole number/],
    [['--exec-arg'], /option '--exec-arg <option>' argument missing/],
    [['--exec-arg', script], /is invalid.*an option of Node, such as '--enable-source-maps'/],
    [['--exec-arg=', script], /'' is invalid.*an option of Node/],
    [['--pid-file', '', script], /'' is invalid.*the name of a file/],
    [['--pid-file', '/no/such/folder/pid', script], /^rcluster: the pid file "\/no\/such\/folder\/pid" cannot be written: there is no such folder$/],
    [['--pid-file', __dirname, script], /^rcluster: the pid file ".*" cannot be written: it exists and is no file$/],
    [['--pid-file', script, script], /^rcluster: the pid file ".*" cannot be written: it exists and has something else in it$/],
    [['--pid-file', '/proc/x', script], /^rcluster: the pid file "\/proc\/x" cannot be written: there is no such folder$/],
    [['--cwd', '/no/such/folder', script], /^rcluster: there is no folder "\/no\/such\/folder"$/],
    [['--nonsense', script], /unknown option '--nonsense'/],
    [['-i', '0', script], /'0' is invalid.*a whole number/],
    [['-i', 'two', script], /'two' is invalid.*a whole number/],
    [['-i', '1025', script], /"workers".*from 1 to 1024.*1025/],
    [['--ready', 'soon', script], /'soon' is invalid.*listening, message, online/],
    [['--ready-timeout', 'x', script], /'x' is invalid.*such as '500ms', '10s' or '2m'/],
    [['--ready-timeout', '0', script], /"readyTimeout".*1 or more.*0/],
    [['--settle-time', '-1', script], /'-1' is invalid|unknown option '-1'/],
    [['--drain-timeout', '1h', script], /'1h' is invalid/],
    [['--hang-timeout', '', script], /'' is invalid/],
    [['--hang-signal', 'SIGTERM', script], /'SIGTERM' is invalid.*SIGKILL, SIGABRT/],
    [['--max-memory', 'much', script], /'much' is invalid.*such as '300M'/],
    [['--crash', 'ignore', script], /'ignore' is invalid.*exit, drain/],
    [['--reload-parallel', '0', script], /'0' is invalid/],
    [['--policy', 'random', script], /'random' is invalid.*rr, none, least, sticky, reuseport/],
  ])('%j', async (args, line) => {
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: [] });
    expect(stderr).toEqual([expect.stringMatching(line)]);
  });
});

describe('what does not come up: it says why, exit code 1, at once', () => {
  test('a port in use', async () => {
    const other = net.createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    try {
      const { port } = other.address();
      const { code, stderr, time } = await run(['-i', '2', writeScript(pidServer)], { env: { PORT: `${port}` } });
      expect(code).toBe(1);
      expect(stderr.at(-1)).toMatch(
        new RegExp(`^rcluster: 4 workers died before any was ready; the last, \\d+, exited with code 1: Error: \\w+ EADDRINUSE.*127\\.0\\.0\\.1:${port}$`),
      );
      expect(time).toBeLessThan(15_000); // 2 s on a machine that does nothing else
    } finally {
      other.close();
    }
  });

  test('a script that exits at once', async () => {
    const { code, stderr } = await run(['-i', '2', writeScript(() => process.exit(3))]);
    expect(code).toBe(1);
    expect(stderr.at(-1)).toMatch(/^rcluster: 4 workers died before any was ready; the last, \d+, exited with code 3$/);
  });

  test('a script that says why it exits', async () => {
    const { code, stderr } = await run(['-i', '1', writeScript(() => process.exit(void console.error('no licence')))]);
    expect(code).toBe(1);
    expect(stderr.at(-1)).toMatch(/exited with code 0: no licence$/);
  });

  test('a script with a syntax error', async () => {
    const file = path.join(temporaryFolder(), 'app.js');
    fs.writeFileSync(file, 'const a =;\n');
    const { code, stderr } = await run(['-i', '1', file]);
    expect(code).toBe(1);
    expect(stderr.at(-1)).toMatch(/exited with code 1: SyntaxError: Unexpected token ';'$/);
  });
});

describe('what a worker gets', () => {
  function tells() {
    const server = require('node:http').createServer((request_, response) => {
      response.end(JSON.stringify({ argv: process.argv.slice(1), execArgv: process.execArgv, cwd: process.cwd() }));
    });
    server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log(`port ${server.address().port}`));
  }

  async function told(before, after = [], options = {}) {
    const file = writeScript(tells);
    const command = startCommand(['-i', '1', ...before, file, ...after], { env: { PORT: '0' }, ...options });
    const [, port] = await command.waitForLine(/^port (\d+)$/);
    const { body } = await request(port);
    return { file, ...JSON.parse(body) };
  }

  test('its own arguments, options among them', async () => {
    const { argv, file, execArgv } = await told([], ['one', '--two', '-i', '5']);
    expect(argv).toEqual([file, 'one', '--two', '-i', '5']);
    expect(execArgv).toEqual([]);
  });

  test('what follows "--"', async () => {
    const { argv, file } = await told([], ['--', '--help', 'x']);
    expect(argv).toEqual([file, '--help', 'x']);
  });

  test('--exec-arg', async () => {
    const { argv, file, execArgv } = await told(['--exec-arg=--enable-source-maps', '--exec-arg=--max-old-space-size=100']);
    expect(argv).toEqual([file]);
    expect(execArgv).toEqual(['--enable-source-maps', '--max-old-space-size=100']);
  });

  test('--cwd, from which the script is found', async () => {
    const folder = fs.realpathSync(temporaryFolder());
    writeScript(tells, path.join(folder, 'app.js'));
    const command = startCommand(['-i', '1', '--cwd', folder, 'app.js'], { env: { PORT: '0' } });
    const [, port] = await command.waitForLine(/^port (\d+)$/);
    expect(JSON.parse((await request(port)).body)).toMatchObject({ cwd: folder, argv: [path.join(folder, 'app.js')] });
  });
});

test('--exec-arg takes one option each', async () => {
  function tells() {
    require('node:http').createServer().listen(0, '127.0.0.1');
    console.log(`options ${JSON.stringify(process.execArgv)} ${JSON.stringify(process.argv.slice(2))}`);
  }
  const args = ['-i', '1', '--exec-arg=--enable-source-maps', '--exec-arg', '--no-warnings', '--exec-arg=-r', '--exec-arg', writeScript(() => {})];
  const command = startCommand([...args, writeScript(tells), '--exec-arg', 'mine']);
  const [, options, own] = await command.waitForLine(/^options (\[.*\]) (\[.*\])$/);
  expect(JSON.parse(options)).toEqual(expect.arrayContaining(['--enable-source-maps', '--no-warnings', '-r', expect.stringMatching(/app\.js$/)]));
  expect(JSON.parse(own)).toEqual(['--exec-arg', 'mine']);
  await command.waitForLine(/1 worker is ready$/);
});

test('a script in a folder that is a link is followed anew, also without its name', async () => {
  const folder = temporaryFolder();
  const versions = ['v1', 'v2'].map((version) => {
    fs.mkdirSync(path.join(folder, version));
    writeScript(version === 'v1' ? pidServer : () => {
      require('node:http').createServer().listen(0, '127.0.0.1');
      console.log('the second version');
    }, path.join(folder, version, 'index.js'));
    return path.join(folder, version);
  });
  const current = path.join(folder, 'the current one');
  fs.symlinkSync(versions[0], current);
  const command = startCommand(['-i', '1', '--settle-time', '50ms', current]);
  await command.waitForLine(/1 worker is ready$/);
  fs.rmSync(current);
  fs.symlinkSync(versions[1], current);
  process.kill(command.pid, 'SIGHUP');
  await command.waitForLine(/^the second version$/);
  await command.waitForLine(/replaced 1 workers/);
});

test('one that does not listen: it is said which option to set', async () => {
  const command = startCommand(['-i', '2', '--ready-timeout', '200ms', writeScript(() => void setInterval(() => {}, 1000))]);
  await command.waitForLine(/^rcluster: no worker has been seen to listen for \d+ ms, still waiting: .*--ready-timeout.*--ready online$/);
  expect(await command.stop()).toEqual({ code: 0, signal: null });
  expect(command.stderr.filter((line) => /(?:is|are) ready$/.test(line))).toEqual([]);
});

test('a script is found as by require: without its extension, or as index.js of a folder', async () => {
  const folder = temporaryFolder();
  writeScript(pidServer, path.join(folder, 'index.js'));
  for (const name of [folder, path.join(folder, 'index')]) {
    const command = startCommand(['-i', '1', name]);
    await command.waitForLine(/^rcluster: 1 worker is ready$/);
    expect(await command.stop()).toEqual({ code: 0, signal: null });
  }
});

test('an ES module', async () => {
  const file = path.join(temporaryFolder(), 'app.mjs');
  fs.writeFileSync(file, "import http from 'node:http';\nawait null;\nhttp.createServer((q, r) => r.end('esm')).listen(0, '127.0.0.1');\n");
  const command = startCommand(['-i', '1', file]);
  await command.waitForLine(/1 worker is ready$/);
  expect(await command.stop()).toEqual({ code: 0, signal: null });
});

test('one worker per core by default; a worker that dies is replaced, and it says so', async () => {
  const command = startCommand([writeScript(pidServer)]);
  await command.waitForLine(new RegExp(`^rcluster: ${require('node:os').availableParallelism()} workers are ready$`));
  const [pid] = childrenOf(command.pid);
  process.kill(pid, 'SIGKILL');
  await command.waitForLine(new RegExp(`^rcluster: worker ${pid} was killed by SIGKILL; another starts in \\d+ ms$`));
  await waitFor(() => childrenOf(command.pid).length === require('node:os').availableParallelism());
});

test('a worker whose process cannot be started has no number', async () => {
  const cwd = temporaryFolder();
  const command = startCommand(['-i', '2', '--cwd', cwd, writeScript(pidServer)]);
  await command.waitForLine(/2 workers are ready/);
  fs.rmdirSync(cwd);
  process.kill(childrenOf(command.pid)[0], 'SIGKILL');
  const isTold = () => command.stderr.find((line) => /could not be started/.test(line));
  await waitFor(isTold);
  expect(isTold()).toMatch(/^rcluster: a worker could not be started: spawn .* ENOENT; another starts in \d+ ms$/);
});

test('when nobody reads what it prints, it goes on', async () => {
  const command = startCommand(['-i', '1', writeScript(pidServer)]);
  await command.waitForLine(/ready$/);
  command.child.stdout.destroy();
  command.child.stderr.destroy();
  const [pid] = childrenOf(command.pid);
  process.kill(command.pid, 'SIGUSR2');
  process.kill(pid, 'SIGKILL');
  await waitForDeath([pid]);
  await waitFor(() => childrenOf(command.pid).length === 1);
  process.kill(command.pid, 'SIGTERM');
  await waitForDeath([command.pid]);
  expect(command.child.exitCode ?? 0).toBe(0);
});
