/** The pictures of docs/http.md: services in every state, in a real Chromium. */
import { Browser } from './browser.ts';
import { Served, TOKEN } from './http.ts';
import { showcase } from './showcase.ts';

/** Into `folder`; false where there is no browser. */
export async function takePictures(folder: string): Promise<boolean> {
  for (const scheme of ['light', 'dark'] as const) {
    await using browser = await Browser.open({ scheme, width: 1200, height: 520 });
    if (browser === null) return false;
    await using served = await Served.begin(showcase(), { token: TOKEN });
    const page = await browser.page(`http://127.0.0.1:${served.port}/`);
    await page.getByLabel('Token').fill(TOKEN);
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: 'api:0', exact: true }).click();
    await page.getByText('GET /orders/1058').waitFor();
    await page.mouse.move(0, 0);
    await page.screenshot({ path: `${folder}/page-${scheme}.png` });
  }
  return true;
}
