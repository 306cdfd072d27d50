'use strict';

const { show } = require('../act.js');
const { usage } = require('../words.js');

/** @type {import('../main.js').Verb} */
module.exports = {
  summary: 'Changes how many instances or workers an app has; +2 and -1 are counted from what it has.',
  usage: '<name | id> <count | +count | -count>',
  flags: [['--json', 'the result as JSON']],
  async run(manager, [target, count], options) {
    if (!target || !/^[+-]?\d+$/.test(count ?? '')) throw usage('scale: give an app and a number such as 4, +1 or -1');
    const [app] = await manager.describe(target);
    const wanted = /^[+-]/.test(count) ? app.instances + Number(count) : Number(count);
    if (wanted < 1) throw new Error(`scale: at least one stays, and "${app.name}" has ${app.instances}: rcluster stop ${target} ends all. Received ${count}`);
    show(await manager.scale(target, wanted), options);
  },
};
