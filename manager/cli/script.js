'use strict';

// What the script of an app may be besides a file: a folder, a program of the PATH, a whole command line.

const fs = require('node:fs');
const path = require('node:path');

/**
 * As PM2: of a folder it is the file that Node would run, and a command line is a shell's.
 *
 * @param {any} app Its `script`, `cwd`, `args` and `interpreter`, as they were read. What stays as it is is looked for when it is started.
 */
function settleScript(app) {
  const file = path.resolve(app.cwd, app.script);
  if (fs.existsSync(file)) {
    if (fs.statSync(file).isDirectory() && !isProgram(app.script)) app.script = fileOf(file) ?? app.script;
  } else if (app.interpreter === undefined && isCommand(app.script)) {
    Object.assign(app, { args: ['-c', [app.script, ...(app.args ?? []).map(quoted)].join(' ')], script: 'bash', interpreter: 'none' });
  }
}

/**
 * The file that Node runs for a folder. Links are left in the path: they may lead elsewhere at the next start.
 *
 * @param {string} folder
 */
function fileOf(folder) {
  const main = mainOf(path.join(folder, 'package.json'));
  const files = [...(main === undefined ? [] : [main, `${main}.js`, path.join(main, 'index.js')]), 'index.js'];
  return files.map((name) => path.resolve(folder, name)).find((file) => fs.existsSync(file) && fs.statSync(file).isFile());
}

/** @param {string} file @returns {string | undefined} */
function mainOf(file) {
  try {
    const { main } = JSON.parse(fs.readFileSync(file, 'utf8'));
    return typeof main === 'string' ? main : undefined;
  } catch {
    // There is none, or none that says it: as for Node.
    return undefined;
  }
}

/** As a shell reads it back. @param {string} word */
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** Whether it is one where there is no file of that name. @param {string} script */
const isCommand = (script) => /\s/.test(script);

/**
 * What an app is called where nobody says it: as PM2, the end of its script without its extension, of a command line as well.
 *
 * @param {string} script
 */
const nameOf = (script) => path.basename(script).replace(/(?<=.)\.[^.]+$/, '') || script;

/**
 * Whether a shell would find it by its name alone.
 *
 * @param {string} name
 */
function isProgram(name) {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && (process.env.PATH ?? '').split(':').some((folder) => fs.existsSync(path.join(folder, name)));
}

module.exports = { isCommand, isProgram, nameOf, settleScript };
