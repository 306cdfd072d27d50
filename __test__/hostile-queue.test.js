'use strict';

// A hostile worker, and its queue of connections: of each kind of attack one, and the cheapest of it.

const { LONG, tryEach } = require('./helpers/attacks');
const { buildHostile } = require('../scripts/soak/hostile/build');
const { clients } = require('../scripts/soak/hostile/clients');

tryEach([
  'linger-notice-unknown-listener',
  'queue-shutdown',
  'queue-same-closed',
  'queue-gives-its-own-ends',
  'queue-flood-of-nonsense',
  'queue-passpidfd',
]);

test('a client that has many connections to its worker keeps nobody else waiting', async () => {
  const client = clients.find(({ name }) => name === 'client-sticky-at-max-connections');
  const { reasons } = await client.run(buildHostile());
  expect(reasons).toEqual([]);
}, LONG);
