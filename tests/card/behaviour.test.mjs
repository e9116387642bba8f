// What the card does by itself and for its user, in hosts that can do much, little, or fail.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { axe, EVERYTHING, launch, openCard, requestsOf, result, serveHosts } from "./harness.mjs";
import { ANSWER, COMPLETED, FAILED, FOLLOW_UP, FOLLOW_UP_ANSWER, IDS, PART, QUESTION, RUNNING } from "./samples.mjs";

let browser, hosts;
before(async () => {
  [browser, hosts] = await Promise.all([launch(), serveHosts()]);
});
after(async () => {
  await browser.close();
  hosts.close();
});

const says = (card, pattern) =>
  card.frame.waitForFunction(([source, flags]) => new RegExp(source, flags).test(document.body.innerText), [pattern.source, pattern.flags]);
const callsOf = (card, method) => card.seen.calls.filter((call) => call.method === method).map((call) => call.params);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function answered(options) {
  const card = await openCard(browser, hosts, options);
  await card.drive("input", { prompt: QUESTION });
  await card.drive("result", result(COMPLETED));
  await says(card, /Answered in 12 s/);
  return card;
}

for (const host of ["bridge", "srcdoc", "mcp-ui"]) {
  test(`a question, its answer and a follow-up in the host ${host}`, async () => {
    const card = await openCard(browser, hosts, {
      host,
      answers: { "tools/call contit_ask": () => result({ ...COMPLETED, run_id: "run_2", response: FOLLOW_UP_ANSWER }), "ui/open-link": () => ({}) },
    });
    await card.drive("input", { prompt: QUESTION });
    await says(card, /Answering · \d+ s/);
    await card.drive("result", result(COMPLETED));
    await says(card, /Answered in 12 s/);
    await card.frame.fill("#prompt", FOLLOW_UP);
    await card.frame.click(".ask");
    await says(card, /And which of them[^]*Open-air cinema changed last/);
    assert.deepEqual(callsOf(card, "tools/call"), [
      { name: "contit_ask", arguments: { prompt: FOLLOW_UP, wait_seconds: 20, thread_id: IDS.thread_id } },
    ]);
    await card.frame.click(".turn:first-child [role=link]");
    await card.page.waitForTimeout(100);
    assert.deepEqual(callsOf(card, "ui/open-link"), [{ url: "https://www.contit.cloud/articles/summer-at-the-lake" }]);
    const height = await card.page.evaluate(() => document.querySelector("iframe").offsetHeight);
    assert.ok(height > 300, "the host follows the card's height");
    assert.deepEqual(card.seen.policy, []);
    assert.deepEqual(requestsOf(card.seen, card.frame), []);
    await card.close();
  });
}

test("a running question is polled through the host until its answer is there, and the model is told", async () => {
  const replies = [result(RUNNING), new Error("the host's limit"), result({ ...RUNNING, elapsed_seconds: 90 }), result(COMPLETED)];
  const card = await openCard(browser, hosts, {
    answers: {
      "tools/call contit_response": () => {
        const reply = replies.shift();
        if (reply instanceof Error) throw reply;
        return reply;
      },
    },
  });
  await card.drive("input", { prompt: QUESTION });
  await card.drive("result", result(RUNNING));
  await says(card, /Answering · 1 min 7 s/);
  await says(card, /Answering · 1 min 8 s/);
  await card.frame.waitForSelector(".answer table", { timeout: 20_000 });
  const calls = callsOf(card, "tools/call");
  assert.equal(calls.length, 4);
  assert.deepEqual(new Set(calls.map((call) => JSON.stringify(call))).size, 1);
  assert.deepEqual(calls[0], { name: "contit_response", arguments: { ...IDS, wait_seconds: 20 } });
  const [context] = callsOf(card, "ui/update-model-context");
  assert.ok(context.content[0].text.includes(QUESTION) && context.content[0].text.includes(ANSWER.trim().slice(0, 40)));
  await card.close();
});

test("an answer that the model has already read is not sent to it again", async () => {
  const card = await answered();
  await sleep(200);
  assert.deepEqual(card.seen.calls, []);
  await card.close();
});

test("polling gives up after six faults with growing pauses, and the user can go on", async () => {
  let gone = true;
  const card = await openCard(browser, hosts, {
    clock: true,
    answers: {
      "tools/call contit_response": () => {
        if (gone) throw new Error("gone");
        return result(COMPLETED);
      },
    },
  });
  await card.drive("input", { prompt: QUESTION });
  await card.drive("result", result(RUNNING));
  const asked = [];
  for (let second = 0; second <= 130; second++) {
    asked.push(callsOf(card, "tools/call").length);
    await card.page.clock.runFor(1_000);
    await sleep(10);
  }
  await says(card, /Connection lost[^]*The answer is not lost/);
  assert.equal(asked.at(-1), 6);
  assert.ok(asked[30] <= 4, "the pauses grow");
  gone = false;
  await card.frame.click(".again");
  await says(card, /Answered in 12 s/);
  await card.close();
});

test("a host that never answers leaves no request waiting for ever", async () => {
  const card = await openCard(browser, hosts, { clock: true, answers: { "tools/call contit_ask": () => new Promise(() => {}) } });
  await card.drive("input", { prompt: QUESTION });
  await card.drive("result", result(FAILED));
  await card.frame.click(".again");
  await says(card, /Answering/);
  await card.page.clock.runFor(121_000);
  await says(card, /Connection lost[^]*timeout/);
  await card.close();
});

test("a card holds fifty questions, and says when it is full", async () => {
  let number = 1;
  const card = await answered({
    answers: { "tools/call contit_ask": () => result({ ...COMPLETED, response: "x".repeat(1_000), run_id: `run_${++number}` }) },
  });
  for (let turn = 2; turn <= 51; turn++) {
    await card.frame.fill("#prompt", `question ${turn}`);
    await card.frame.press("#prompt", "Enter");
    await card.frame.waitForFunction((n) => document.querySelectorAll(".turn").length >= n || document.body.innerText.includes("is full"), turn);
    await card.frame.waitForFunction(() => !document.querySelector(".ask").disabled);
  }
  await says(card, /This card is full/);
  assert.equal(await card.frame.locator(".turn").count(), 50);
  assert.equal(await card.frame.inputValue("#prompt"), "question 51");
  const told = callsOf(card, "ui/update-model-context").at(-1).content[0].text;
  assert.equal(told.length, 20_000, "what the model is told has a limit");
  await card.close();
});

test("a server that sends parts for ever does not keep a download going for ever", async () => {
  const card = await openCard(browser, hosts, {
    answers: { "tools/call contit_response": ({ offset }) => result({ ...PART, response: "x", next_offset: offset + 1 }) },
  });
  await card.drive("input", { prompt: QUESTION });
  await card.drive("result", result(PART));
  await card.frame.click(".download");
  await says(card, /could not be loaded/);
  assert.equal(callsOf(card, "tools/call").length, 200);
  assert.deepEqual(callsOf(card, "ui/download-file"), []);
  await card.close();
});

test("a server that sends the same part again is not asked for ever", async () => {
  const card = await openCard(browser, hosts, { answers: { "tools/call contit_response": () => result(PART) } });
  await card.drive("input", { prompt: QUESTION });
  await card.drive("result", result(PART));
  await card.frame.click(".download");
  await says(card, /could not be loaded/);
  assert.equal(callsOf(card, "tools/call").length, 1);
  await card.close();
});

test("polling ends with the card", async () => {
  const card = await openCard(browser, hosts, { answers: { "tools/call contit_response": () => result(RUNNING) } });
  await card.drive("input", { prompt: QUESTION });
  await card.drive("result", result(RUNNING));
  await says(card, /Answering · 1 min 8 s/);
  await card.drive("teardown");
  await sleep(100);
  const before = card.seen.calls.length;
  await sleep(2_500);
  assert.equal(card.seen.calls.length, before);
  await card.close();
});

test("a host that cannot call tools gets a card that says who can fetch the answer", async () => {
  const { serverTools, message, ...capabilities } = EVERYTHING;
  const card = await openCard(browser, hosts, { capabilities });
  await card.drive("input", { prompt: QUESTION });
  await card.drive("result", result(RUNNING));
  await says(card, /Stopped[^]*The assistant can fetch the answer/);
  assert.ok(!(await card.frame.isVisible(".again")));
  assert.ok(!(await card.frame.isVisible(".follow-up")));
  await card.drive("result", result(PART));
  await says(card, /Characters 1 to 59,904 of 142,318. The assistant can fetch the rest/);
  assert.ok(!(await card.frame.isVisible(".part button")));
  assert.deepEqual(card.seen.calls, []);
  await card.close();
});

test("a host that only takes messages gets the follow-up as a message", async () => {
  const { serverTools, ...capabilities } = EVERYTHING;
  let refuse = true;
  const card = await answered({ capabilities, answers: { "ui/message": () => ({ isError: refuse }) } });
  await card.frame.fill("#prompt", FOLLOW_UP);
  await card.frame.press("#prompt", "Enter");
  await says(card, /did not accept/);
  assert.equal(await card.frame.inputValue("#prompt"), FOLLOW_UP);
  refuse = false;
  await card.frame.press("#prompt", "Enter");
  await says(card, /Sent to the conversation/);
  assert.equal(await card.frame.inputValue("#prompt"), "");
  assert.deepEqual(callsOf(card, "ui/message")[1], { role: "user", content: [{ type: "text", text: FOLLOW_UP }] });
  await card.close();
});

test("a host that can do nothing at all still shows the answer", async () => {
  const card = await answered({ capabilities: {} });
  await says(card, /https:\/\/www\.contit\.cloud\/articles\/summer-at-the-lake/);
  assert.equal(await card.frame.locator("[role=link]").count(), 0);
  for (const part of [".download", ".follow-up", ".again"]) assert.ok(!(await card.frame.isVisible(part)), part);
  await card.close();
});

test("a failed question is asked again in its thread", async () => {
  const card = await openCard(browser, hosts, { answers: { "tools/call contit_ask": () => result(COMPLETED) } });
  await card.drive("input", { prompt: QUESTION });
  await card.drive("result", result(FAILED));
  await card.frame.click(".again");
  await says(card, /Answered in 12 s/);
  assert.deepEqual(callsOf(card, "tools/call"), [
    { name: "contit_ask", arguments: { prompt: QUESTION, wait_seconds: 20, thread_id: IDS.thread_id } },
  ]);
  await card.close();
});

test("a run of another question on a busy thread is never shown as this one's", async () => {
  const card = await openCard(browser, hosts, { answers: { "tools/call contit_ask": () => result(COMPLETED) } });
  await card.drive("input", { prompt: QUESTION, thread_id: IDS.thread_id });
  const busy = { status: "in_progress", ...IDS, error: "The thread is busy with another question." };
  await card.drive("result", { ...result(busy), isError: true });
  await says(card, /No answer[^]*busy with another question/);
  await sleep(200);
  assert.deepEqual(card.seen.calls, []);
  await card.frame.click(".again");
  await says(card, /Answered/);
  assert.equal(callsOf(card, "tools/call")[0].name, "contit_ask");
  await card.close();
});

test("a cancelled call can be taken up again", async () => {
  const card = await openCard(browser, hosts, { answers: { "tools/call contit_ask": () => result(COMPLETED) } });
  await card.drive("input", { prompt: QUESTION });
  await card.drive("cancelled");
  await says(card, /Stopped[^]*Try again/);
  await card.frame.click(".again");
  await says(card, /Answered/);
  await card.close();
});

test("the parts of a long answer are joined, and a download has all of them", async () => {
  const parts = { 59904: "## Second part\n\nmiddle", 120000: "\n\nlast words" };
  let fail = true;
  const card = await openCard(browser, hosts, {
    answers: {
      "tools/call contit_response": ({ offset }) => {
        if (fail) throw new Error("gone");
        return result({ ...PART, response: parts[offset], next_offset: offset === 59_904 ? 120_000 : undefined, response_offset: offset });
      },
      "ui/download-file": () => ({}),
    },
  });
  await card.drive("input", { prompt: QUESTION });
  await card.drive("result", result({ ...PART, response: "first words\n\n" }));
  await card.frame.click(".part button");
  await says(card, /could not be loaded/);
  fail = false;
  await card.frame.click(".part button");
  await says(card, /first words[^]*Second part[^]*middle[^]*Characters 1 to 120,000 of 142,318/);
  await card.frame.click(".download");
  await says(card, /Download handed/);
  await says(card, /first words[^]*Second part[^]*middle[^]*last words/);
  assert.ok(!(await card.frame.isVisible(".part")));
  const [{ contents }] = callsOf(card, "ui/download-file");
  assert.deepEqual(contents[0].resource, {
    uri: "file:///contit-run_88c2.md", mimeType: "text/markdown", text: "first words\n\n## Second part\n\nmiddle\n\nlast words",
  });
  assert.deepEqual(callsOf(card, "tools/call").at(-1), { name: "contit_response", arguments: { ...IDS, offset: 120_000 } });
  await card.close();
});

test("a part that the model asked for by itself says which part it is", async () => {
  const card = await openCard(browser, hosts);
  await card.drive("input", { ...IDS, offset: 120_000 });
  await card.drive("result", result({ ...PART, response: "last words", response_offset: 120_000, next_offset: undefined }));
  await says(card, /last words[^]*Characters 120,001 to 142,318 of 142,318/);
  assert.ok(!(await card.frame.isVisible(".part button")));
  await card.close();
});

test("the thread so far is read from the server's resources, the caller's own", async () => {
  const run = (number, more = {}) => ({
    title: `Question ${number}`, status: "completed", thread_id: IDS.thread_id, run_id: `run_${number}`, uri: `contit://runs/t/${number}`, ...more,
  });
  const runs = [
    run(9, { run_id: "later" }), run(8, { run_id: IDS.run_id }), run(7, { status: "failed" }), run(6), run(5, { thread_id: "another" }),
    run(4, { title: undefined }), run(3), run(2), run(1), run(0),
  ];
  const card = await openCard(browser, hosts, {
    capabilities: { ...EVERYTHING, serverResources: {} },
    answers: {
      "resources/read": ({ uri }) => ({
        contents: [{ uri, text: uri === "contit://runs" ? JSON.stringify({ runs }) : `answer of **${uri.at(-1)}**` }],
      }),
    },
  });
  await card.drive("input", { prompt: QUESTION, thread_id: IDS.thread_id });
  await card.drive("result", result(COMPLETED));
  await card.frame.click("button.earlier");
  await says(card, /Question 1[^]*Question 2[^]*Question 3[^]*Earlier question[^]*Question 6[^]*Which articles/);
  assert.deepEqual(
    await card.frame.locator(".answer strong").allInnerTexts().then((all) => all.slice(0, 5)), ["1", "2", "3", "4", "6"],
  );
  assert.ok(!(await card.frame.isVisible("button.earlier")));
  assert.deepEqual(await axe(card.frame), []);
  await card.close();
});

test("a host that reads no resources, or a server that remembers none, says that there is more", async () => {
  const plain = await openCard(browser, hosts);
  await plain.drive("input", { prompt: QUESTION, thread_id: IDS.thread_id });
  await says(plain, /Continues an earlier conversation/);
  await plain.close();
  const card = await openCard(browser, hosts, {
    capabilities: { ...EVERYTHING, serverResources: {} },
    answers: { "resources/read": ({ uri }) => ({ contents: [{ uri, text: "not JSON" }] }) },
  });
  await card.drive("input", { prompt: QUESTION, thread_id: IDS.thread_id });
  await card.frame.click("button.earlier");
  await says(card, /No earlier answer is remembered/);
  await card.close();
});

test("copying gives the Markdown, and replaces a download that the host refuses", async () => {
  const card = await answered({ answers: { "ui/download-file": () => ({ isError: true }) } });
  const copied = () =>
    card.frame.evaluate(
      () => new Promise((resolve) => document.addEventListener("copy", () => resolve(getSelection().toString() || document.activeElement.value), { once: true })),
    );
  let text = copied();
  await card.frame.click(".copy");
  assert.equal(await text, ANSWER);
  await says(card, /Copied/);
  text = copied();
  await card.frame.click(".download");
  assert.equal(await text, ANSWER);
  await says(card, /cannot save files; the answer is copied/);
  await card.close();
});

test("everything works with the keyboard, in the order in which it is shown", async () => {
  const card = await answered({ answers: { "ui/open-link": () => ({ isError: true }) } });
  const focused = () =>
    card.frame.evaluate(() => {
      const it = document.activeElement;
      const ring = getComputedStyle(it).outlineStyle;
      return `${it.className || it.id}${ring === "none" ? " (no ring)" : ""}`;
    });
  await card.page.locator("iframe").first().focus();
  const order = [];
  for (let presses = 0; presses < 14 && order.at(-1) !== "primary ask"; presses++) {
    await card.page.keyboard.press("Tab");
    order.push(await focused());
  }
  const expected = ["wide", "link", "", "link", "all", "copy", "download", "prompt", "primary ask"];
  assert.deepEqual(order.filter((name) => name !== "card"), expected);
  await card.frame.focus("[role=link]");
  await card.page.keyboard.press("Enter");
  await card.frame.waitForFunction(() => /did not open/.test(document.querySelector(".announcements").textContent));
  await card.frame.focus("#prompt");
  await card.page.keyboard.type("one");
  await card.page.keyboard.press("Shift+Enter");
  await card.page.keyboard.type("two");
  assert.equal(await card.frame.inputValue("#prompt"), "one\ntwo");
  assert.deepEqual(callsOf(card, "tools/call"), []);
  await card.close();
});

test("a screen reader hears the state change once, not each second", async () => {
  const card = await openCard(browser, hosts, { answers: { "tools/call contit_response": () => new Promise(() => {}) } });
  await card.frame.evaluate(() => {
    window.heard = [];
    const live = document.querySelectorAll("[role=status]");
    live.forEach((it) => new MutationObserver(() => window.heard.push(it.textContent)).observe(it, { childList: true, subtree: true, characterData: true }));
  });
  await card.drive("input", { prompt: QUESTION });
  await card.drive("result", result(RUNNING));
  await says(card, /1 min 9 s/);
  await card.drive("result", result(COMPLETED));
  await says(card, /Answered in 12 s/);
  assert.deepEqual((await card.frame.evaluate(() => window.heard)).filter(Boolean).map((it) => it.trim()), ["Answered in 12 s."]);
  await card.close();
});

test("a tall answer is clipped until the user wants all of it, or tabs into it", async () => {
  const card = await openCard(browser, hosts);
  const height = () => card.frame.evaluate(() => document.querySelector(".answer").clientHeight);
  await card.drive("input", { prompt: QUESTION });
  await card.drive("result", result({ ...COMPLETED, response: `${"a paragraph\n\n".repeat(200)}[a link](https://example.org)` }));
  await says(card, /Show all/);
  assert.ok((await height()) <= 480);
  await card.frame.click(".all");
  assert.ok((await height()) > 2_000);
  await card.frame.click(".all");
  assert.ok((await height()) <= 480);
  await card.frame.focus("[role=link]");
  assert.ok((await height()) > 2_000);
  await card.close();
});

test("the host's colours are used, and no address in them is fetched", async () => {
  const variables = { "--color-background-primary": "rgb(1, 2, 3)", "--color-text-primary": "url(http://attacker.invalid/x)", "--font-sans": "Georgia" };
  const card = await openCard(browser, hosts, { context: { styles: { variables } } });
  const style = await card.frame.evaluate(() => {
    const { backgroundColor } = getComputedStyle(document.querySelector(".card"));
    const { fontFamily, color } = getComputedStyle(document.body);
    return { backgroundColor, fontFamily, color };
  });
  assert.deepEqual(style, { backgroundColor: "rgb(1, 2, 3)", fontFamily: "Georgia", color: "rgb(26, 33, 48)" });
  assert.deepEqual(requestsOf(card.seen, card.frame), []);
  await card.close();
});

test("right-to-left text is written so, with its lists and tables, in a card that is not", async () => {
  const card = await openCard(browser, hosts);
  const response = "# عنوان\n\n1. الأول\n\n| عنوان | حالة |\n|---|---|\n| [رابط](https://example.org) | مسودة |\n\nplain English\n\n- [x] done";
  await card.drive("input", { prompt: "ما الجديد؟" });
  await card.drive("result", result({ ...COMPLETED, response }));
  await card.frame.waitForSelector(".answer table");
  const directions = await card.frame.evaluate(() =>
    Object.fromEntries(
      [".question", ".answer h3", ".answer ol", ".answer table", ".target", ".answer > p", ".answer ul", "header"].map((selector) => [
        selector, getComputedStyle(document.querySelector(selector)).direction,
      ]),
    ),
  );
  assert.deepEqual(directions, {
    ".question": "rtl", ".answer h3": "rtl", ".answer ol": "rtl", ".answer table": "rtl", ".target": "ltr", ".answer > p": "ltr",
    ".answer ul": "ltr", header: "ltr",
  });
  await card.close();
});

test("messages from another window are ignored", async () => {
  const card = await answered();
  await card.frame.evaluate((forged) => window.postMessage(forged, "*"), {
    jsonrpc: "2.0", method: "ui/notifications/tool-result", params: result({ ...COMPLETED, response: "forged" }),
  });
  await sleep(100);
  assert.ok(!(await card.frame.evaluate(() => document.body.innerText)).includes("forged"));
  await card.close();
});
