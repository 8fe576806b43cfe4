import { expect, test } from 'vitest';
import { Browser } from '../kit/browser.ts';
import { freePort } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';

const TOKEN = 'a-token-of-the-tests';

test('the page of a daemon shows what runs, its lines as they come, and restarts it', async () => {
  await using browser = await Browser.open();
  if (browser === null) return;
  await using home = new Home();
  const port = await freePort();
  const command = 'command: [sh, -c, "echo first line; exec sleep 1000"]';
  const file = home.write(
    'supervisor.yaml',
    `http: { listen: ${port}, token: ${TOKEN} }\nservices: { api: { ${command} } }\n`,
  );
  await home.ok(['apply', '-c', file]);
  const { pid } = await home.instance('api:0');
  const page = await browser.page(`http://localhost:${port}/`);
  await page.getByLabel('Token').fill(TOKEN);
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'api:0' }).click();
  await page.getByText('first line').waitFor();
  await page.getByRole('button', { name: 'Restart' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Restart' }).click();
  await page.getByText(/^api:0 running as \d+/).waitFor();
  const after = await home.instance('api:0');
  expect(after.pid).not.toBe(pid);
  await page.locator('tr', { hasText: 'api:0' }).getByText(String(after.pid)).waitFor();
  // What the new run has written has come by itself.
  await expect.poll(() => page.getByText('first line').count()).toBe(2);
  await page
    .getByRole('link', { name: 'Timeline' })
    .or(page.getByRole('tab', { name: 'Timeline' }))
    .first()
    .click();
  await page.getByRole('img', { name: /restart of api:0/ }).waitFor();
  await page
    .getByRole('link', { name: 'Why' })
    .or(page.getByRole('tab', { name: 'Why' }))
    .first()
    .click();
  await page.getByText(/it has run for/).waitFor();
  expect(browser.errors.filter((text) => !/ 401 /.test(text))).toEqual([]);
});
