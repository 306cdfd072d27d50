'use strict';

// Who may use whom: no arrow upwards, no circle, in lib/ and in src/.

const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');

/** Floors, from the top. Whoever is on one may use what is below it, and what is in the same room; '' are the files of lib/ itself. */
const LIB = { entries: 6, primary: 5, worker: 5, supervisor: 4, channel: 3, handles: 2, node: 1, '': 0 };
const SRC = { js: 4, acceptor: 3, policy: 2, channel: 1, connection_queue: 1, board: 1, board_layout: 0, proxy_header: 0, trusted: 1, sys: 0 };
/** These choose the side: they are above all. */
const ENTRIES = /^(?:load|preload|preload_alone|which_side)\.js$/;

const filesIn = (folder, ending) =>
  fs.readdirSync(path.join(ROOT, folder), { recursive: true }).filter((name) => name.endsWith(ending)).sort();
const textOf = (...names) => fs.readFileSync(path.join(ROOT, ...names), 'utf8');

/** What each file of lib/ requires there, at once or later. @returns {Map<string, string[]>} */
function requires() {
  return new Map(filesIn('lib', '.js').map((name) => [
    name,
    [...textOf('lib', name).matchAll(/\brequire\('(\.[^']+)'\)/g)].map(([, id]) => path.join(path.dirname(name), id)),
  ]));
}

/** What each file of src/ uses there, but for its tests. A module and what is below it are in one another, which is no arrow. */
function uses() {
  const files = filesIn('src', '.rs').filter((name) => !/tests|model\.rs$|^lib\.rs$/.test(name));
  const moduleOf = (name) => name.replace(/(?:\/mod)?\.rs$/, '').split('/');
  const modules = new Map(files.map((name) => [moduleOf(name).join('/'), name]));
  const find = (parts) => {
    for (let end = parts.length; end > 0; end--) if (modules.has(parts.slice(0, end).join('/'))) return parts.slice(0, end).join('/');
    return undefined;
  };
  return new Map(files.map((name) => {
    const here = moduleOf(name);
    const text = textOf('src', name).split('#[cfg(test)]')[0].replaceAll(/^\s*\/\/.*$/gm, '');
    const found = [...text.matchAll(/\b(crate|super|self)((?:::(?:\w+|\{[^}]*\}))+)/g)].flatMap(([, from, rest]) => {
      const steps = rest.slice(2).split('::');
      const base = from === 'crate' ? [] : from === 'self' ? [...here] : here.slice(0, -1);
      while (steps[0] === 'super') [base.length--, steps.shift()];
      const last = steps.at(-1)?.startsWith('{') ? steps.pop().slice(1, -1).split(',').map((one) => one.trim().split('::')) : [[]];
      return last.map((end) => find([...base, ...steps, ...end]));
    });
    const own = here.join('/');
    const isOther = (one) => one && one !== own && !one.startsWith(`${own}/`) && !own.startsWith(`${one}/`);
    return [own, [...new Set(found.filter(isOther))]];
  }));
}

/** @param {Map<string, string[]>} graph @returns {string[]} A way that ends where it began, if there is one. */
function circle(graph) {
  const done = new Set();
  const visit = (name, way) => {
    if (way.includes(name)) return [...way.slice(way.indexOf(name)), name];
    if (done.has(name)) return [];
    for (const next of graph.get(name) ?? []) {
      const found = visit(next, [...way, name]);
      if (found.length > 0) return found;
    }
    done.add(name);
    return [];
  };
  for (const name of graph.keys()) {
    const found = visit(name, []);
    if (found.length > 0) return found;
  }
  return [];
}

const roomOf = (name) => (name.includes('/') ? name.split('/')[0] : name);
const libRoom = (name) => (name.includes('/') ? name.split('/')[0] : ENTRIES.test(name) ? 'entries' : '');
const upwards = (graph, room, floors) =>
  [...graph].flatMap(([from, all]) => all.map((to) => [from, to])).filter(([from, to]) => room(from) !== room(to) && !(floors[room(from)] > floors[room(to)]));

describe('lib/', () => {
  const graph = requires();

  test('nobody uses what is above', () => expect(upwards(graph, libRoom, LIB)).toEqual([]));

  test('nobody goes in a circle', () => expect(circle(graph)).toEqual([]));

  test('the supervisor knows nothing of the primary but its port', () => {
    const known = filesIn('lib/supervisor', '.js').flatMap((name) => [...textOf('lib', 'supervisor', name).matchAll(/'\.\.\/primary\/(\w+)\.js'/g)]);
    expect(new Set(known.map(([, name]) => name))).toEqual(new Set(['port']));
  });
});

describe('src/', () => {
  const graph = uses();

  test('its files use one another as they are read here', () => {
    expect(graph.get('js/acceptor')).toEqual(expect.arrayContaining(['acceptor', 'js/link', 'js/sockets']));
    expect(graph.get('acceptor/listener/serving')).toEqual(expect.arrayContaining(['acceptor/heirs', 'policy', 'sys/descriptors']));
  });

  test('nobody uses what is above', () => expect(upwards(graph, roomOf, SRC)).toEqual([]));

  test('nobody goes in a circle', () => expect(circle(graph)).toEqual([]));
});
