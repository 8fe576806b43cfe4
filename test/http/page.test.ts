/// <reference lib="dom" />
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { FRESH } from '../../src/core/state.ts';
import { Browser, type BrowserOptions } from '../kit/browser.ts';
import { FakeSource, manyServices, Served, TOKEN } from '../kit/http.ts';
import { showcase } from '../kit/showcase.ts';

type Visit = { readonly served: Served; readonly browser: Browser; readonly page: Page; readonly source: FakeSource };

/** The page of a source in a browser; nothing where there is none. */
async function visit(
  { token = null, source = showcase(), ...options }: BrowserOptions & { token?: string | null; source?: FakeSource },
  look: (visit: Visit) => Promise<void>,
): Promise<void> {
  await using browser = await Browser.open(options);
  if (browser === null) return;
  await using served = await Served.begin(source, { token });
  const page = await browser.page(`http://127.0.0.1:${served.port}/`);
  await look({ served, browser, page, source });
  // That of the answer which asks for the token is the browser's own.
  expect(browser.errors.filter((text) => !/ 401 /.test(text))).toEqual([]);
}

async function enter(page: Page, token = TOKEN): Promise<void> {
  await page.getByLabel('Token').fill(token);
  await page.keyboard.press('Enter');
}

async function violations(page: Page): Promise<readonly string[]> {
  const found: { id: string; nodes: { html: string }[] }[] = await page.evaluate(
    `${axe.source}; axe.run().then((r) => r.violations)`,
  );
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 80)).join(' ')}`);
}

const row = (page: Page, name: string) => page.locator('tr', { has: page.getByRole('link', { name, exact: true }) });

test.each(['light', 'dark'] as const)(
  'axe finds nothing in what is %s: token, list, details, a question',
  async (scheme) => {
    await visit({ scheme, token: TOKEN }, async ({ page }) => {
      await page.getByLabel('Token').waitFor();
      expect(await violations(page)).toEqual([]);
      await enter(page);
      await row(page, 'api:0').waitFor();
      expect(await violations(page)).toEqual([]);
      await page.getByRole('link', { name: 'api:0', exact: true }).click();
      await page.getByText('GET /orders/1000').waitFor();
      expect(await violations(page)).toEqual([]);
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByRole('dialog').waitFor();
      expect(await violations(page)).toEqual([]);
      await page.setViewportSize({ width: 360, height: 640 });
      expect(await violations(page)).toEqual([]);
    });
  },
);

test('everything is there by keyboard alone', async () => {
  await visit({ token: TOKEN }, async ({ page, source }) => {
    await page.getByLabel('Token').waitFor();
    const focused = () => page.evaluate(() => document.activeElement?.textContent || document.activeElement?.className);
    await page.keyboard.type(TOKEN);
    await page.keyboard.press('Enter');
    await row(page, 'db:0').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('db');
    await row(page, 'api:0').waitFor({ state: 'detached' });
    for (let count = 0; count < 5 && (await focused()) !== 'db:0'; count++) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'db:0' }).waitFor();
    await page.waitForFunction(() => document.activeElement?.id === 'chosen');
    for (let count = 0; count < 5 && (await focused()) !== 'Stop'; count++) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Stop db:0?' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    expect(source.asked).toEqual([]);
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByText('db:0 done').waitFor();
    expect(source.asked).toEqual([{ verb: 'stop', names: ['db:0'] }]);
    await page.keyboard.press('Escape');
    await page.getByRole('heading', { name: 'db:0' }).waitFor({ state: 'detached' });
    expect(await focused()).toBe('db:0');
  });
});

test('what changes is seen at once, in the words of gsup ls', async () => {
  await visit({}, async ({ page, source }) => {
    await row(page, 'api:0')
      .getByText(/^running 1h.* \(ready\)$/)
      .waitFor();
    await row(page, 'mailer:0').getByText('failed: exit 1, restarted 10x in 8s (restart limit)').waitFor();
    await page.getByText('6 of 8 ready; starting again: worker:1; failed: mailer:0').waitFor();
    source.become('api', 0, { ...FRESH, name: 'failed', reason: 'exit 7', exitStatus: null, stuckPid: null });
    await row(page, 'api:0').getByText('failed: exit 7').waitFor();
    await page.getByText('Only what is not well').click();
    await row(page, 'db:0').waitFor({ state: 'detached' });
    expect(await page.locator('tbody tr').count()).toBe(3);
    source.shutDown();
    await page.getByText(/^stopping: /).waitFor();
  });
});

test('without a token it is read only, and says so', async () => {
  await visit({}, async ({ page }) => {
    await page.getByRole('link', { name: 'db:0', exact: true }).click();
    await page.getByText('Read only').waitFor();
    expect(await page.getByRole('button', { name: 'Stop' }).count()).toBe(0);
  });
});

test('a token is kept in the tab, in no cookie, and can be forgotten; a wrong one is told', async () => {
  await visit({ token: TOKEN }, async ({ page }) => {
    await enter(page, 'not-the-token-at-all');
    await page.getByText('This is not the token').waitFor();
    await enter(page);
    await row(page, 'db:0').waitFor();
    expect(await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length])).toEqual([
      '',
      0,
      1,
    ]);
    await page.reload();
    await row(page, 'db:0').waitFor();
    await page.getByRole('button', { name: 'Forget token' }).click();
    await page.getByLabel('Token').waitFor();
  });
});

test('logs are searched and followed', async () => {
  await visit({}, async ({ page, source }) => {
    await page.getByRole('link', { name: 'api', exact: true }).click();
    await page.getByText('GET /orders/1000').waitFor();
    await page.getByLabel('Search the logs of api').fill('503');
    await page.getByText('GET /orders/1000').waitFor({ state: 'detached' });
    await page.getByText('upstream answered 503').first().waitFor();
    expect(source.queries.at(-1)).toEqual({ name: 'api', lines: 500, search: '503', isFollowed: true });
  });
});

test('the timeline is drawn with its own styles, and zoomed; why is told', async () => {
  const source = Object.assign(showcase(), {
    timeline: async () =>
      '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 20" role="img" aria-label="stop of api:0"><style>.bar{fill:rgb(1,2,3)}</style><script>throw 1</script><rect class="bar" width="50" height="10"/></svg>',
    why: async () => ({ text: 'api:0 runs because nobody stopped it' }),
  });
  await visit({ source }, async ({ page }) => {
    await page.getByRole('link', { name: 'api:0', exact: true }).click();
    await page.getByRole('link', { name: 'Timeline' }).click();
    const picture = page.getByRole('img', { name: 'stop of api:0' });
    await picture.waitFor();
    expect(await page.locator('rect').evaluate((bar) => getComputedStyle(bar).fill)).toBe('rgb(1, 2, 3)');
    const before = (await picture.boundingBox())?.width ?? 0;
    await page.getByRole('button', { name: 'Larger' }).click();
    await expect.poll(async () => (await picture.boundingBox())?.width ?? 0).toBeGreaterThan(before * 1.4);
    expect(await violations(page)).toEqual([]);
    await page.getByRole('link', { name: 'Why' }).click();
    await page.getByText('api:0 runs because nobody stopped it').waitFor();
    expect(await violations(page)).toEqual([]);
  });
});

test('what another site makes the browser send does nothing, reads nothing, makes no work', async () => {
  await using browser = await Browser.open();
  if (browser === null) return;
  const source = showcase();
  await using served = await Served.begin(source, { token: TOKEN });
  await using open = await Served.begin(source);
  const foreign = createServer((_, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><title>another site</title><body>');
  });
  await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve));
  const page = await browser.page(`http://localhost:${(foreign.address() as AddressInfo).port}/`);
  const results = await page.evaluate(
    async ([ports, token]) => {
      const told: string[] = [];
      const attempt = async (what: string, work: () => Promise<unknown>) =>
        told.push(
          `${what}: ${await Promise.race([
            work().then(String, () => 'refused'),
            new Promise<string>((resolve) => setTimeout(() => resolve('no answer'), 5_000)),
          ])}`,
        );
      for (const base of ports.map((port) => `http://127.0.0.1:${port}`)) {
        const body = '{"names":["api"]}';
        const authorization = `Bearer ${token}`;
        const json = { 'content-type': 'application/json' };
        await attempt('read', () => fetch(`${base}/api/instances`).then((r) => r.text()));
        await attempt('read with token', () => fetch(`${base}/api/instances`, { headers: { authorization } }));
        await attempt('post', () =>
          fetch(`${base}/api/stop`, { method: 'POST', headers: { ...json, authorization }, body }),
        );
        await attempt('simple post', () => fetch(`${base}/api/stop`, { method: 'POST', body }));
        await attempt('blind post', async () => {
          await fetch(`${base}/api/stop`, { method: 'POST', mode: 'no-cors', credentials: 'include', body });
          return 'sent';
        });
        await attempt('blind get', async () => {
          await fetch(`${base}/api/logs?name=api`, { mode: 'no-cors', credentials: 'include' });
          return 'sent';
        });
        await attempt(
          'image',
          () =>
            new Promise((resolve, reject) => {
              const image = new Image();
              image.onload = () => resolve('shown');
              image.onerror = reject;
              image.src = `${base}/icon.svg`;
            }),
        );
        await attempt(
          'script',
          () =>
            new Promise((resolve, reject) => {
              const script = document.createElement('script');
              script.onload = () => resolve('run');
              script.onerror = reject;
              script.src = `${base}/page.js`;
              document.body.append(script);
            }),
        );
        await attempt(
          'events',
          () =>
            new Promise((resolve, reject) => {
              const events = new EventSource(`${base}/api/events`);
              events.addEventListener('snapshot', resolve);
              events.onerror = () => {
                events.close();
                reject(new Error());
              };
            }),
        );
        await attempt(
          'form',
          () =>
            new Promise((resolve) => {
              const frame = document.createElement('iframe');
              frame.name = `frame-${base}`;
              document.body.append(frame);
              const form = document.createElement('form');
              Object.assign(form, {
                action: `${base}/api/stop`,
                method: 'post',
                enctype: 'text/plain',
                target: frame.name,
              });
              const field = document.createElement('input');
              Object.assign(field, { name: '{"names":["api"],"x":"', value: '"}' });
              form.append(field);
              document.body.append(form);
              form.submit();
              setTimeout(() => resolve('sent'), 1_000);
            }),
        );
      }
      return told;
    },
    [[served.port, open.port], TOKEN] as const,
  );
  expect(new Set(results)).toEqual(
    new Set([
      'read: refused',
      'read with token: refused',
      'post: refused',
      'simple post: refused',
      'blind post: refused',
      'blind get: refused',
      'image: refused',
      'script: refused',
      'events: refused',
      'form: sent',
    ]),
  );
  expect(source.asked).toEqual([]);
  expect(source.queries).toEqual([]);
  expect(source.looks).toBe(0);
  foreign.close();
  foreign.closeAllConnections();
});

test('a name that somebody points at us shows nothing of ours (DNS rebinding)', async () => {
  await using browser = await Browser.open({ args: ['--host-resolver-rules=MAP gsup.evil.example 127.0.0.1'] });
  if (browser === null) return;
  await using served = await Served.begin(showcase());
  const page = await browser.page(`http://gsup.evil.example:${served.port}/api/instances`);
  expect(await page.locator('body').textContent()).toContain('the Host \\"gsup.evil.example');
  expect(served.source.looks).toBe(0);
});

test('1,000 instances: the page is there soon, and filters as one types', async () => {
  await visit({ source: new FakeSource(...manyServices(1_000)) }, async ({ page, source }) => {
    const began = performance.now();
    await page.locator('#row-service-99\\:9').waitFor({ state: 'attached' });
    const loaded = performance.now() - began;
    // Of the page's own thread.
    const changed = await page.evaluate(async () => {
      const input = document.querySelector<HTMLInputElement>('.list input[type=search]');
      if (input === null) return -1;
      const start = performance.now();
      input.value = 'service-42';
      input.dispatchEvent(new Event('input', { bubbles: true }));
      while (document.querySelectorAll('tbody').length !== 1) await new Promise(requestAnimationFrame);
      return performance.now() - start;
    });
    source.become('service-42', 0, { ...FRESH, name: 'failed', reason: 'exit 7', exitStatus: null, stuckPid: null });
    await page.getByText('failed: exit 7').waitFor();
    console.log(`1,000 rows: there after ${loaded.toFixed(0)} ms, filtered in ${changed.toFixed(0)} ms`);
    expect(changed).toBeLessThan(1_000);
  });
});
