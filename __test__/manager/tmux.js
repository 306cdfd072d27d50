'use strict';

// A terminal for tests: a window of tmux, with a server of its own.

const { execFile } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');

const run = promisify(execFile);

/** @type {Set<Terminal>} */
const terminals = new Set();
let made = 0;

class Terminal {
  /**
   * @param {import('./home').Home} home
   * @param {string} command For the shell of the window.
   * @param {{ width?: number, height?: number, env?: Record<string, string> }} [options]
   */
  constructor(home, command, { width = 80, height = 24, env = {} } = {}) {
    // A server that was told to end accepts clients for some time more, and then leaves them: the next one gets another name.
    this.socket = path.join(home.folder, `tmux-${++made}`);
    terminals.add(this);
    const words = ['-f', '/dev/null', 'new-session', '-d', '-x', String(width), '-y', String(height), command];
    /** @type {NodeJS.ProcessEnv} */
    const all = { ...process.env, RCLUSTER_HOME: home.path, TERM: 'xterm-256color', ...env };
    if (!('NO_COLOR' in env)) delete all.NO_COLOR;
    this.started = run('tmux', ['-S', this.socket, ...words], { env: all, cwd: home.folder });
  }

  /** @param {...string} words */
  async tmux(...words) {
    await this.started;
    return (await run('tmux', ['-S', this.socket, ...words])).stdout;
  }

  /** @param {...string} options */
  screen(...options) {
    return this.tmux('capture-pane', '-p', ...options);
  }

  /** @param {...string} keys */
  press(...keys) {
    return this.tmux('send-keys', ...keys);
  }

  /** @param {number} width @param {number} height */
  resize(width, height) {
    return this.tmux('resize-window', '-x', String(width), '-y', String(height));
  }

  /** @param {string} format A variable of tmux. */
  async ask(format) {
    return (await this.tmux('display-message', '-p', `#{${format}}`)).trim();
  }

  async close() {
    terminals.delete(this);
    await this.started.catch(() => undefined);
    if (fs.existsSync(this.socket)) await this.tmux('kill-server').catch(() => undefined);
  }
}

afterEach(async () => {
  await Promise.all([...terminals].map((terminal) => terminal.close()));
});

module.exports = { Terminal };
