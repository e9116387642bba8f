// Each state of the card, in both themes, both languages and two widths: complete, accessible, quiet.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { axe, launch, openCard, requestsOf, result, ROOT, serveHosts } from "./harness.mjs";
import { ANSWER, COMPLETED, FAILED, FOLLOW_UP, FOLLOW_UP_ANSWER, IDS, PART, QUESTION, RUNNING } from "./samples.mjs";

const IMAGES = join(ROOT, "docs", "images");
// docs/card.md shows these; CONTIT_CARD_IMAGES=1 takes them anew.
const KEPT = new Set(["answered-light-en-900", "answered-dark-it-320", "running-dark-en-900", "thread-light-it-900", "parts-dark-en-900", "failed-light-en-320"]);

const never = () => new Promise(() => {});

const STATES = {
  running: {
    answers: { "tools/call contit_response": never },
    show: (card) => card.drive("result", result(RUNNING)),
    english: /Answering · 1 min \d+ s/,
    italian: /Risposta in corso · 1 min \d+ s/,
  },
  answered: {
    show: (card) => card.drive("result", result(COMPLETED)),
    english: /Answered in 12 s/,
    italian: /Risposta in 12 s/,
  },
  failed: {
    show: (card) => card.drive("result", result(FAILED)),
    english: /No answer[^]*does not say why[^]*Try again/,
    italian: /Nessuna risposta[^]*does not say why[^]*Riprova/,
  },
  parts: {
    show: (card) => card.drive("result", result(PART)),
    english: /Characters 1 to 59,904 of 142,318[^]*Show the next part/,
    italian: /Caratteri da 1 a 59\.904 di 142\.318[^]*Mostra la parte successiva/,
  },
  thread: {
    answers: { "tools/call contit_ask": () => result({ ...COMPLETED, run_id: "run_2", response: FOLLOW_UP_ANSWER, elapsed_seconds: 3 }) },
    async show(card) {
      await card.drive("result", result(COMPLETED));
      await card.frame.fill("#prompt", FOLLOW_UP);
      await card.frame.press("#prompt", "Enter");
      await card.frame.waitForSelector(".turn:nth-child(2) .answer p");
    },
    english: /And which of them[^]*Answered in 3 s[^]*Open-air cinema changed last/,
    italian: /And which of them[^]*Risposta in 3 s[^]*Open-air cinema changed last/,
  },
};

let browser, hosts;
before(async () => {
  [browser, hosts] = await Promise.all([launch(), serveHosts(), mkdir(IMAGES, { recursive: true })]);
});
after(async () => {
  await browser.close();
  hosts.close();
});

for (const [name, state] of Object.entries(STATES)) {
  for (const width of [320, 900]) {
    test(`${name}, ${width} pixels wide`, async () => {
      const card = await openCard(browser, hosts, { width, answers: state.answers, scale: process.env.CONTIT_CARD_IMAGES ? 1.5 : 1 });
      await card.drive("input", { prompt: QUESTION });
      await state.show(card);
      for (const theme of ["light", "dark"]) {
        for (const language of ["en", "it"]) {
          await card.drive("context", { theme, locale: language === "en" ? "en-GB" : "it-IT" });
          await looksRight(card, language === "en" ? state.english : state.italian, language);
          await photograph(card, `${name}-${theme}-${language}-${width}`);
        }
      }
      await card.close();
    });
  }
}

async function looksRight({ frame, seen }, wanted, language) {
  await frame.waitForFunction(
    ({ source, language }) => document.documentElement.lang === language && new RegExp(source).test(document.body.innerText),
    { source: wanted.source, language },
  );
  assert.deepEqual(await axe(frame), []);
  assert.deepEqual(seen.policy, []);
  assert.deepEqual(seen.errors, []);
  assert.deepEqual(requestsOf(seen, frame), []);
  const wide = await frame.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `the page is ${wide} pixels wider than its frame`);
}

async function photograph(card, title) {
  const { CONTIT_CARD_IMAGES: which, CONTIT_CARD_FOLDER: folder = IMAGES } = process.env;
  if (which !== "all" && !(which && KEPT.has(title))) return;
  await card.page.waitForTimeout(150);
  await card.page.locator("iframe").first().screenshot({ path: join(folder, `card-${title}.png`) });
}

test("the text of the tool has each fact that the card shows", async () => {
  const card = await openCard(browser, hosts);
  await card.drive("input", { prompt: QUESTION });
  await card.drive("result", result(COMPLETED));
  await card.frame.waitForSelector(".answer td");
  const shown = await card.frame.evaluate(() => {
    const answer = document.querySelector(".answer").cloneNode(true);
    answer.querySelectorAll(".box").forEach((box) => box.remove());
    return [...answer.querySelectorAll("td, th, li, p, h3, pre, .target")].map((it) => it.textContent);
  });
  const words = shown.join(" ").match(/[\p{L}\p{N}_]+/gu);
  assert.ok(words.length > 60);
  assert.deepEqual(words.filter((word) => !ANSWER.includes(word)), []);
  const ids = await card.frame.evaluate(() => document.body.innerText);
  for (const id of Object.values(IDS)) assert.ok(!ids.includes(id), "an id is for the model, not for the user");
  await card.close();
});
