// Opens a page in headless Chromium, logs in where the issuer asks, and prints what the page says at the end.
import { chromium } from 'playwright-core';

const given = JSON.parse(process.argv[2]);
const browser = await chromium.launch({ executablePath: given.chromium, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage();
  page.on('console', (message) => console.error(message.text()));
  page.on('pageerror', (error) => console.error(error.message));
  await page.goto(given.page);
  if (given.login) {
    await page.getByPlaceholder('Enter any login').fill('anna');
    await page.getByPlaceholder('and password').fill('made-up');
    await page.getByRole('button', { name: 'Sign-in' }).click();
    await page.getByRole('button', { name: 'Continue' }).click();
  }
  console.log(await page.locator('#outcome').textContent({ timeout: 30_000 }));
} finally {
  await browser.close();
}
