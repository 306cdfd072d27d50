'use strict';

// Configuration files in the shape of ten projects that PM2 runs, each started as it is; and every key of PM2's documentation.

const fs = require('node:fs');
const path = require('node:path');

const { readApp } = require('../../manager/cli/keys.js');
const { Home } = require('./home');
const { testWith } = require('../helpers/needs');

const SERVER = "require('http').createServer((_, answer) => answer.end()).listen(0, '127.0.0.1', () => process.send?.('ready'))";
const SLEEP = 'setInterval(() => {}, 1e6)';

/**
 * A project: its files, the words behind `start`, what its apps are then, and what is said on the way.
 *
 * @typedef {{ files: Record<string, string>, words?: string[], env?: Record<string, string>, apps: any[], notices?: RegExp }} Project
 */

/** @type {Record<string, Project>} */
const PROJECTS = {
  'a website of a framework, by the file that its package puts into node_modules/.bin': {
    files: {
      'node_modules/framework/dist/bin/framework': `#!/usr/bin/env node\n${SERVER}`,
      'ecosystem.config.js': `module.exports = { apps: [{
        name: 'website', script: 'node_modules/.bin/framework', args: 'start -p 3000', instances: 'max', exec_mode: 'cluster', autorestart: true, watch: false, max_memory_restart: '1G',
        env: { NODE_ENV: 'development' }, env_production: { NODE_ENV: 'production' },
      }] }`,
    },
    words: ['--env', 'production'],
    apps: [{ name: 'website', mode: 'cluster', args: ['start', '-p', '3000'], maxMemory: 2 ** 30, env: { NODE_ENV: 'production' } }],
  },
  'an API that says when it is ready': {
    files: {
      'dist/main.js': SERVER,
      'ecosystem.config.cjs': `const { name } = require('./package.json');
        module.exports = { apps: [{ name, script: './dist/main.js', instances: -1, exec_mode: 'cluster_mode', wait_ready: true, listen_timeout: 20000, kill_timeout: 5000,
          node_args: '--max-old-space-size=512 --no-warnings', source_map_support: false, instance_var: 'INSTANCE_ID', merge_logs: true, time: true }] }`,
      'package.json': '{ "name": "api" }',
    },
    apps: [{ name: 'api', mode: 'cluster', waitReady: true, listenTimeout: 20_000, killTimeout: 5000, interpreterArgs: ['--max-old-space-size=512', '--no-warnings'], instanceVar: 'INSTANCE_ID', mergeLogs: true, logFormat: 'time' }],
  },
  'a content manager by a script of npm': {
    files: {
      'bin/npm': '#!/bin/sh\nwhile :; do sleep 1000; done',
      'ecosystem.config.js': "module.exports = { apps: [{ name: 'cms', cwd: __dirname, script: 'npm', args: 'run start', env: { DATABASE_HOST: 'localhost', DATABASE_PORT: 5432, SECURE: true } }] }",
    },
    apps: [{ name: 'cms', mode: 'program', script: 'npm', args: ['run', 'start'], env: { DATABASE_PORT: '5432', SECURE: 'true' } }],
  },
  'a bot, one object, that is given up when it crashes too often': {
    files: {
      'index.js': SLEEP,
      'pm2.config.js': `module.exports = { name: 'bot', script: 'index.js', watch: ['src'], ignore_watch: ['node_modules', 'logs'], watch_delay: 1000, max_restarts: 10, min_uptime: '5s',
        exp_backoff_restart_delay: 100, restart_delay: 1000, cron_restart: '0 3 * * *', stop_exit_codes: [0], vizion: false, pmx: false, force: true, treekill: true }`,
    },
    apps: [{ name: 'bot', cronRestart: '0 3 * * *', maxRestarts: 10, minUptime: 5000, expBackoff: 100, restartDelay: 1000, stopExitCodes: [0], watch: ['src'], ignoreWatch: ['node_modules', 'logs'], watchDelay: 1000 }],
    // The folder that it names is not there.
    notices: /"force" does nothing here\n.*"watch": there is no "[^"]*\/src"/,
  },
  'a scraper in Python': {
    files: {
      'scraper/main.py': 'import time\ntime.sleep(1000)',
      'ecosystem.json': `{
        // as PM2 reads it
        apps: [{ "name": "scraper", "script": "main.py", "cwd": "scraper", "interpreter": "python3", "interpreter_args": "-u", "args": "--query 'two words' --depth 3",
          "instances": 2, "exec_mode": "fork", "log_date_format": "YYYY-MM-DD HH:mm Z", }],
      }`,
    },
    apps: [{ name: 'scraper', mode: 'program', interpreter: 'python3', interpreterArgs: ['-u'], args: ['--query', 'two words', '--depth', '3'], instances: 2, logDateFormat: 'YYYY-MM-DD HH:mm Z' }],
  },
  'workers of a monorepo, in namespaces, with files for their logs': {
    files: {
      'packages/mail/worker.js': SLEEP, 'packages/images/worker.js': SLEEP,
      'ecosystem.config.js': `const worker = (name) => ({ name: name + '-worker', namespace: 'workers', cwd: './packages/' + name, script: 'worker.js', error_file: '../../logs/' + name + '.err.log',
        out_file: '../../logs/' + name + '.out.log', combine_logs: true, log_type: 'json', filter_env: ['SECRET_'], shutdown_with_message: true, kill_timeout: '1s' });
        module.exports = { apps: ['mail', 'images'].map(worker) };`,
    },
    env: { SECRET_KEY: 'x', OPEN_KEY: 'y' },
    apps: [
      { name: 'mail-worker', namespace: 'workers', errorFile: '../../logs/mail.err.log', outFile: '../../logs/mail.out.log', mergeLogs: true, logFormat: 'json', shutdownWithMessage: true, killTimeout: 1000, env: { SECRET_KEY: undefined, OPEN_KEY: 'y' } },
      { name: 'images-worker', namespace: 'workers' },
    ],
  },
  'the old name of the list': {
    files: { 'server.js': SERVER, 'processes.json': '{ "processes": [{ "name": "old", "exec": "server.js", "exec_mode": "fork_mode", "error": "err.log", "output": "out.log", "env_staging": { "STAGE": "s" } }] }' },
    words: ['--env', 'staging'],
    apps: [{ name: 'old', mode: 'program', errorFile: 'err.log', outFile: 'out.log', env: { STAGE: 's' } }],
  },
  'YAML, with what is to be deployed': {
    files: {
      'server.js': SERVER, 'job.sh': 'while :; do sleep 1000; done',
      'process.yml': `apps:
  - script: server.js
    name: web
    instances: 2
    exec_mode: cluster
    port: 4100
  - script: job.sh
    name: job
    autorestart: true
    env: { LEVEL: 3 }
deploy:
  production: { user: node, host: [10.0.0.1], ref: origin/main, repo: 'git@host:repo.git', path: /srv, post-deploy: 'npm ci && pm2 reload process.yml' }
`,
    },
    apps: [{ name: 'web', mode: 'cluster', instances: 2, env: { PORT: '4100' } }, { name: 'job', mode: 'program', env: { LEVEL: '3' } }],
  },
  'a module that waits for its settings': {
    files: {
      'server.mjs': "import http from 'node:http'; http.createServer((_, answer) => answer.end()).listen(0, '127.0.0.1');",
      'ecosystem.config.mjs': `import { readFile } from 'node:fs/promises';
        const { apps } = JSON.parse(await readFile(new URL('./names.json', import.meta.url), 'utf8'));
        export default { apps: apps.map((name) => ({ name, script: 'server.mjs', append_env_to_name: true, autostart: name !== 'later', env_test: { T: 1 } })) };`,
      'names.json': '{ "apps": ["now", "later"] }',
    },
    words: ['--env', 'test'],
    apps: [{ name: 'now-test', autostart: true, env: { T: '1' } }, { name: 'later-test', autostart: false }],
  },
  'everything that somebody found in the documentation': {
    files: {
      'server.js': SERVER,
      'ecosystem.config.js': `module.exports = { apps: [{
        name: 'all', namespace: 'x', script: 'server.js', args: ['--a', 1], interpreter: 'node', node_args: ['--no-warnings'], instances: 2, exec_mode: 'fork', increment_var: 'HTTP_PORT',
        env: { HTTP_PORT: 5000, LIST: ['a'] }, autorestart: true, max_memory_restart: '300M', watch: false, ignore_watch: ['[\\\\/\\\\\\\\]\\\\./'], watch_options: { followSymlinks: false },
        pid_file: 'app.pid', log_file: 'all.log', disable_logs: false, automation: false, trace: false, disable_trace: true, v8: true, event_loop_inspector: true, deep_monitoring: true,
        post_update: ['npm install'], windowsHide: true, kill_retry_time: 100, io: {}, write: false, execute_command: false, username: 'x', name_prefix: 'x', install_url: '',
      }], deploy: {} }`,
    },
    apps: [{ name: 'all', instances: 2, incrementVar: 'HTTP_PORT', args: ['--a', '1'], logFile: 'all.log', env: { HTTP_PORT: '5000', LIST: '["a"]' } }],
    notices: /"pid_file" does nothing here[^]*"post_update" does nothing here/,
  },
};

/** @param {string} title of a project */
async function startsAsItIs(title) {
  const { files, words = [], env, apps, notices = /^$/ } = PROJECTS[title];
  const home = new Home();
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.join(home.folder, path.dirname(name)), { recursive: true });
    home.write(name, text);
    if (text.startsWith('#!')) fs.chmodSync(path.join(home.folder, name), 0o755);
  }
  if (files['node_modules/framework/dist/bin/framework']) {
    fs.mkdirSync(path.join(home.folder, 'node_modules', '.bin'));
    fs.symlinkSync('../framework/dist/bin/framework', path.join(home.folder, 'node_modules', '.bin', 'framework'));
  }
  const config = Object.keys(files).find((name) => /(?:config\.\w+|ecosystem\.json|processes\.json|process\.yml)$/.test(name)) ?? '';
  const { code, stderr } = await home.runWith({ env: { ...env, PATH: `${home.folder}/bin:${process.env.PATH}` } }, 'start', config, ...words);
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(notices) });
  /** @type {any[]} */
  const described = await home.json('describe', 'all');
  for (const [index, { env: wanted = {}, ...members }] of apps.entries()) {
    expect(described[index]).toMatchObject(members);
    const variables = await home.json('env', `${described[index].namespace}:${described[index].name}`);
    expect(Object.fromEntries(Object.keys(wanted).map((name) => [name, variables[name]]))).toEqual(wanted);
  }
  const states = (await home.json('list')).flatMap((/** @type {any} */ { processes }) => processes.map((/** @type {any} */ { state }) => state));
  expect(states).toEqual(described.flatMap(({ mode, instances, autostart }) => Array(mode === 'cluster' ? 1 : instances).fill(autostart ? 'online' : 'stopped')));
}

test.each(Object.keys(PROJECTS).filter((title) => !title.includes('Python')))('%s', startsAsItIs);
testWith('python3').each(Object.keys(PROJECTS).filter((title) => title.includes('Python')))('%s', startsAsItIs);

/** Every key of PM2 7's schema and its aliases, with a value that it takes. */
const OF_PM2 = {
  script: 'a.js', exec: 'a.js', name: 'x', name_prefix: 'x', filter_env: true, namespace: 'x', install_url: 'x', cwd: '/', args: 'a b', exec_interpreter: 'node', interpreter: 'node', node_args: '-r x', interpreterArgs: [],
  interpreter_args: '', out_file: 'o', out: 'o', output: 'o', out_log: 'o', error_file: 'e', error: 'e', err: 'e', err_file: 'e', err_log: 'e', log_file: true, log: 'l', disable_logs: false, log_type: 'json', log_date_format: 'HH',
  time: true, env: {}, env_production: {}, max_memory_restart: '1G', pid_file: 'p', pid: 'p', restart_delay: 0, exp_backoff_restart_delay: 0, source_map_support: true, disable_source_map_support: false, wait_ready: false,
  instances: 1, kill_timeout: 1600, shutdown_with_message: false, listen_timeout: 1, cron_restart: '* * * * *', cron: '0', merge_logs: true, combine_logs: true, vizion: true, autostart: true, autorestart: true,
  stop_exit_codes: 0, watch_delay: 1, watch: true, ignore_watch: 'x', watch_options: {}, min_uptime: '1h', max_restarts: 16, execute_command: true, exec_mode: 'fork', force: true, append_env_to_name: true, post_update: [],
  trace: true, disable_trace: true, v8: true, event_loop_inspector: true, deep_monitoring: true, increment_var: 'X', instance_var: 'X', pmx: 'x', automation: true, treekill: true, port: 80, username: 'x', uid: 0, user: 'x', gid: 0,
  windowsHide: true, kill_retry_time: 1, write: true, io: {},
};

test.each(Object.entries(OF_PM2))('the key %s of PM2 is one of ours, or said to do nothing', (key, value) => {
  const notices = new Set();
  expect(readApp({ ...(key !== 'exec' && { script: 'a.js' }), [key]: value }, { folder: '/', notices }).script).toBe('a.js');
  expect(notices.size).toBeLessThanOrEqual(1);
});

test('save keeps what was saved before when there is nothing, unless it is told to', async () => {
  const home = new Home();
  home.write('a.js', SLEEP);
  await home.run('start', 'a.js');
  await home.run('save');
  await home.run('delete', 'a');
  expect((await home.run('save')).stdout).toMatch(/^there are no apps, and what was saved before stays/);
  await home.run('resurrect');
  expect((await home.json('list')).length).toBe(1);
  await home.run('delete', 'a');
  expect((await home.run('save', '--force')).stdout).toBe('saved 0 apps\n');
  await home.run('resurrect');
  expect((await home.json('list')).length).toBe(0);
});
