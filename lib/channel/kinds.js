'use strict';

// Kinds of frames (src/channel/frame.rs) and events (src/js/channel/end.rs).

const FRAME = Object.freeze({
  json: 1,
  advanced: 2,
  control: 3,
  handleJson: 4,
  handleAdvanced: 5,
  text: 7,
  jsonWithTexts: 8,
  jsonAlone: 9,
});
const EVENT = Object.freeze({
  jsonArray: 16,
  advancedRun: 17,
  progress: 32,
  end: 33,
  malformed: 34,
  writeFailed: 35,
  pause: 36,
  delivered: 37,
});

module.exports = { EVENT, FRAME };
