'use strict';

// Sockets for the service manager: one that cannot be passed on at once is passed on later, as long as it is one of ours.

const { load } = require('../../lib/native.js');
const { socketStore } = require('../../lib/supervisor/service_manager.js');
const { waitFor } = require('../helpers/run');

/** A manager that takes nothing at first: what is passed on fails as if too many descriptors were on their way. */
function setUp() {
  const told = [];
  let failures = 0;
  const manager = { takes: false, told, failures: () => failures };
  jest.spyOn(load(), 'notify').mockImplementation((_address, text, fds) => {
    if (!manager.takes && fds) {
      failures++;
      return -109;
    }
    told.push([text, ...(fds ?? [])]);
    return 0;
  });
  return { manager, store: socketStore({ NOTIFY_SOCKET: '/nowhere' }) };
}
afterEach(() => jest.restoreAllMocks());

test('a socket that the manager could not take is passed on again, once', async () => {
  const { manager, store } = setUp();
  store.keep('a', 7, true);
  store.keep('b', 8, false);
  await waitFor(() => manager.failures() >= 4);
  expect(manager.told).toEqual([]);
  manager.takes = true;
  await waitFor(() => manager.told.length >= 2);
  expect(manager.told).toEqual([['FDSTORE=1\nFDNAME=a', 7], ['FDSTORE=1\nFDNAME=b\nFDPOLL=0', 8]]);
});

test('one that is given up meanwhile is not, as its number may be another one\'s by then', async () => {
  const { manager, store } = setUp();
  store.keep('a', 7, true);
  store.keep('b', 8, true);
  store.remove('a');
  const before = manager.failures();
  await waitFor(() => manager.failures() > before + 1);
  manager.takes = true;
  await waitFor(() => manager.told.length >= 2);
  expect(manager.told).toEqual([['FDSTOREREMOVE=1\nFDNAME=a'], ['FDSTORE=1\nFDNAME=b', 8]]);
});
