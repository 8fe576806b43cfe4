import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Watchdog } from '../../src/probes/watchdog.ts';

describe('by a clock of the test', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('without a ping it is late once, at its time', () => {
    const onLate = vi.fn();
    new Watchdog(1000, onLate);
    vi.advanceTimersByTime(999);
    expect(onLate).not.toHaveBeenCalled();
    vi.advanceTimersByTime(2);
    expect(onLate).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(100_000);
    expect(onLate).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('its time counts from the last ping, and hundreds of pings cost no timer', () => {
    const onLate = vi.fn();
    const set = vi.spyOn(globalThis, 'setTimeout');
    const watchdog = new Watchdog(1000, onLate);
    for (let at = 0; at < 10_000; at += 2) {
      watchdog.ping();
      vi.advanceTimersByTime(2);
    }
    expect(set.mock.calls.length).toBeLessThan(15);
    vi.advanceTimersByTime(997);
    expect(onLate).not.toHaveBeenCalled();
    vi.advanceTimersByTime(10);
    expect(onLate).toHaveBeenCalledTimes(1);
  });

  test('after its end it is never late and no timer runs', () => {
    const onLate = vi.fn();
    const watchdog = new Watchdog(1000, onLate);
    vi.advanceTimersByTime(500);
    watchdog.end();
    watchdog.ping();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(10_000);
    expect(onLate).not.toHaveBeenCalled();
  });
});

test('a ping that came while we ourselves were held up is heard first', async () => {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const accepted = once(server, 'connection');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [theirs] = await accepted;
  let isLate = false;
  const watchdog = new Watchdog(50, () => {
    isLate = true;
  });
  const pinged = once(theirs, 'data').then(() => watchdog.ping());
  client.write('x');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  await pinged;
  await new Promise((resolve) => setImmediate(resolve));
  watchdog.end();
  expect(isLate).toBe(false);
  client.destroy();
  server.close();
});
