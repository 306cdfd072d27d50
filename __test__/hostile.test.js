'use strict';

// A worker that speaks the wire format itself, beside two honest ones that serve: the primary and the siblings serve on, what it
// may cost is bounded, and when it is dead nothing of it is left. scripts/soak/hostile.js tries all that it can do.

const { describe: attackOf } = require('../scripts/soak/hostile/attacks');
const { buildHostile } = require('../scripts/soak/hostile/build');
const { clients } = require('../scripts/soak/hostile/clients');
const { judge } = require('../scripts/soak/hostile/judge');
const { QUICK, tryOut } = require('../scripts/soak/hostile/trial');

const LONG = 60_000;

/** Of each kind one, and the cheapest of it. */
const attacks = [
  'linger-notice-unknown-listener',
  'linger-control',
  'linger-in-flight-channel',
  'queue-shutdown',
  'queue-same-closed',
  'queue-gives-its-own-ends',
  'queue-flood-of-nonsense',
  'queue-passpidfd',
  'descriptors-in-an-unfinished-frame',
  'descriptors-promised-for-later',
  'frame-of-numbers',
  'answers-unread-and-long',
  'listen-unaccepted-and-death',
  'listen-by-number-udp',
  'control-unlinks',
  'handle-udp-with-an-error',
  'handles-raw-unwanted',
  'own-blocking',
  'own-filter-drops',
  'own-never-accepted',
];

let binary = '';
beforeAll(() => void (binary = buildHostile()), 5 * LONG);

for (const name of attacks) {
  test(name, async () => {
    const attack = attackOf(name);
    const figures = await tryOut(attack, binary, undefined, QUICK);
    expect([judge(figures, attack), figures.ended]).toEqual([[], []]);
  }, LONG);
}

test('a client that has many connections to its worker keeps nobody else waiting', async () => {
  const client = clients.find(({ name }) => name === 'client-sticky-at-max-connections');
  const { reasons } = await client.run(binary);
  expect(reasons).toEqual([]);
}, LONG);
