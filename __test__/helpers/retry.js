'use strict';

// On a busy CI machine a test that waits for processes may run out of time. It is then run again, twice at most, and the log shows
// that it was: each of these is looked into, as it may be a race of ours.

if (process.env.CI) jest.retryTimes(2, { logErrorsBeforeRetry: true });
