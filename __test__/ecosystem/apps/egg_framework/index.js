'use strict';

// What egg-cluster needs of a framework: an Application and an Agent that become ready.

const EventEmitter = require('node:events');

class Base extends EventEmitter {
  constructor(options) {
    super();
    this.options = options;
    this.config = { cluster: { listen: { hostname: '127.0.0.1' } } };
    /** Messages of the master, by their action. */
    this.heard = {};
    process.on('message', ({ action, data }) => {
      this.heard[action] = data;
      this.emit(action, data);
    });
  }

  ready(callback) {
    setImmediate(callback);
  }

  async close() {}
}

class Application extends Base {
  callback() {
    return (request, response) => {
      if (request.url === '/crash') setImmediate(() => process.exit(3));
      if (request.url === '/ask-agent') {
        process.send({ to: 'agent', action: 'question', data: { pid: process.pid } });
        this.once('answer', (data) => response.end(JSON.stringify(data)));
        return;
      }
      const ready = 'egg-ready' in this.heard;
      response.end(JSON.stringify({ pid: process.pid, ready }));
    };
  }
}

class Agent extends Base {
  constructor(options) {
    super(options);
    this.on('question', (data) => {
      const answer = { agent: process.pid, askedBy: data.pid, workers: this.heard['egg-pids'] };
      process.send({ to: 'app', action: 'answer', data: answer });
    });
  }
}

exports.Application = Application;
exports.Agent = Agent;
