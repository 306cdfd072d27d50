'use strict';

// A module of ours that may be needed first when no file can be opened any more, or when there is another version of the package in
// its place: its file is opened at the start, and read when it is needed. None of the program's hooks sees it: those of `node --watch`
// and of other tools send a message for each module that is loaded, and what fails to be sent needs this one.

const fs = require('node:fs');

const builtin = process.getBuiltinModule;

/**
 * @param {string} file
 * @param {NodeJS.Require} load What the module requires with.
 * @returns {() => any} Returns what the module exports; to be called once.
 */
function holdModule(file, load) {
  const held = open(file);
  return () => {
    const text = held && read(held);
    if (text === undefined) return load(file);
    const { Module } = builtin('node:module');
    const module = Object.assign(new Module(file), { filename: file, loaded: true });
    load.cache[file] = module;
    const { compileFunction } = builtin('node:vm');
    const unseen = (/** @type {string} */ name) => builtin(name) ?? load(name);
    compileFunction(text, ['module', 'exports', 'require'], { filename: file })(module, module.exports, unseen);
    return module.exports;
  };
}

/** @param {string} file */
function open(file) {
  try {
    const fd = fs.openSync(file, 'r');
    return { fd, is: fs.fstatSync(fd) };
  } catch {
    // It is opened when it is needed, if that is possible then.
    return undefined;
  }
}

/** @param {{ fd: number, is: fs.Stats }} held */
function read({ fd, is }) {
  try {
    const { ino, dev } = fs.fstatSync(fd);
    // A program may have closed all descriptors, and it is somebody else's by now.
    if (ino !== is.ino || dev !== is.dev) return undefined;
    const text = fs.readFileSync(fd, 'utf8');
    fs.closeSync(fd);
    return text;
  } catch {
    return undefined;
  }
}

module.exports = { holdModule };
