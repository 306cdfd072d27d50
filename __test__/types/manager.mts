// require('rcluster/manager'), as its types promise it.

import { Manager, ManagerError, type App, type AppStatus, type ManagerEvent, type Plan, type Upgrade } from 'rcluster/manager';

import { expect, type Same } from './expect.mjs';

async function use(): Promise<void> {
  const manager = new Manager({ home: '/tmp/x', autostart: false });
  const started = await manager.start([{ script: 'app.js', instances: 2, mode: 'cluster' }], { known: 'reload' });
  expect<Same<typeof started, AppStatus[]>>();
  const plans = await manager.plan([{ script: 'app.js' }], { prune: true });
  expect<Same<typeof plans, Plan[]>>();
  const restarted = await manager.restart('all', { env: { A: '1' } });
  expect<Same<typeof restarted, AppStatus[]>>();
  const apps = await manager.describe('/api-.*/');
  expect<Same<typeof apps, App[]>>();
  const env = await manager.env('app');
  expect<Same<typeof env, Record<string, string>>>();
  const [{ kind }] = await manager.reload('app');
  expect<Same<typeof kind, 'zero-loss' | 'one-by-one' | 'restart'>>();
  const [upgraded] = await manager.upgrade('app', { env: { A: '1' } });
  expect<Same<typeof upgraded, Upgrade>>();
  for await (const event of manager.events()) {
    expect<Same<typeof event, ManagerEvent>>();
    if (event.event === 'process') expect<Same<typeof event.pid, number | null>>();
    if (event.event === 'lost') expect<Same<typeof event.count, number>>();
  }
  // @ts-expect-error an app without a script
  await manager.start([{ name: 'x' }]);
  // @ts-expect-error there is no such member
  await manager.start([{ script: 'a.js', instnces: 2 }]);
  try {
    await manager.kill();
  } catch (error) {
    if (error instanceof ManagerError) expect<Same<typeof error.code, string>>();
  }
  manager.close();
}

void use;
