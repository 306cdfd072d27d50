'use strict';

const os = require('node:os');
const path = require('node:path');

const { notice, print, printJson } = require('../say.js');
const { usage } = require('../words.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Opens the page, for a browser, and prints a link to it that is good once. For this machine alone, unless told otherwise.',
  usage: '[--listen <address>] [--metrics] | --stop',
  flags: [
    ['--listen <address>', 'a port, an address or the path of a Unix socket; 127.0.0.1:9616 by default'],
    ['--allow-remote', 'the address may be one that other machines reach'],
    ['--host <names...>', 'names, besides addresses, that the page may be reached by'],
    ['--metrics', 'the figures for Prometheus are at /metrics there, for everybody who reaches the address'],
    ['--stop', 'closes the page'],
    ['--json', 'the result as JSON'],
  ],
  async run(manager, words, { listen, allowRemote, host, metrics, stop, json }) {
    if (words.length > 0) throw usage(`web takes options alone. Received '${words[0]}'`);
    if (stop) {
      if (listen ?? allowRemote ?? host ?? metrics) throw usage('web: --stop goes with no other option');
      const result = await manager.closeWeb();
      if (json) printJson(result);
      else print(result.wasOpen ? 'the page is closed' : 'there was no page');
      return;
    }
    // A path is one of where it was typed; no address has a slash.
    const place = listen?.includes('/') ? path.resolve(listen.replace(/^unix:/, '')) : listen;
    const page = await manager.openWeb({ listen: place, allowRemote, hosts: host?.split(' '), metrics });
    if (json) {
      printJson(page);
      return;
    }
    print(page.url);
    if (page.socket) notice(`the link is for a port that is forwarded to the socket, as by ssh -L 9616:${page.socket} ${os.hostname()}`);
    if (!page.isLocal) notice(`other machines can reach ${page.address}, and nothing is encrypted on the way: put a proxy with TLS before it`);
    if (page.metrics) notice(`Prometheus may scrape ${page.metrics}: whoever reaches that address may read it`);
    notice(`the link is good once, for ${page.expiresIn / 60} minutes; rcluster web --stop closes the page`);
  },
};
