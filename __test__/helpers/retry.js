'use strict';

// On a busy CI machine a test that waits for processes may run out of time. It is then run again, twice at most, and the log shows
// that it was.

if (process.env.CI) jest.retryTimes(2, { logErrorsBeforeRetry: true });
