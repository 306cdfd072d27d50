'use strict';

// Which language a primary and its workers speak. A worker loads the files that are there when it starts, and these may be of another
// version than those of its primary: a package that was updated in place under a running service.

/**
 * One more whenever what they say to each other changes (docs/wire-format.md): then a worker of the one does not join a primary of the
 * other. The name of this number in the primary's first frame (`wire`), and that frame's form, stay for ever.
 */
const WIRE = 3;

module.exports = { WIRE };
