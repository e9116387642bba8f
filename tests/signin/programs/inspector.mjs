// A person at the web page of the MCP Inspector: switches the server on, logs in, and runs contit_ask.
import { chromium } from 'playwright-core';

const given = JSON.parse(process.argv[2]);
const browser = await chromium.launch({ executablePath: given.chromium, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage();
  await page.goto(given.page);
  await page.getByRole('switch').first().click({ force: true });
  await page.getByPlaceholder('Enter any login').fill('anna');
  await page.getByPlaceholder('and password').fill('made-up');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByText('Tools', { exact: true }).first().click();
  await page.getByText('contit_ask').first().click();
  await page.getByRole('textbox', { name: /prompt/i }).first().fill(given.question);
  await page.getByRole('button', { name: 'Execute Tool' }).click();
  const answer = page.getByText(given.wanted).first();
  await answer.waitFor({ timeout: 20_000 });
  console.log(JSON.stringify({ answer: await answer.innerText() }));
} catch (error) {
  for (const page of browser.contexts()[0]?.pages() ?? []) console.error(await page.locator('body').innerText());
  throw error;
} finally {
  await browser.close();
}
