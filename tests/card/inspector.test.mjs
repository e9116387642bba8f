// The card of the real server, with its sandbox, in the Inspector's own page: listed, read, shown, and called from.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { axe, cardFrame, launch, requestsOf, ROOT, watch } from "./harness.mjs";

const PYTHON = join(ROOT, ".venv", "bin", "python");
const INSPECTOR = join(import.meta.dirname, "node_modules", ".bin", "mcp-inspector");
const QUESTION = "Which articles were published in March 2026?";
const children = [];
let browser, home;

before(async () => {
  [browser, home] = await Promise.all([launch(), mkdtemp(join(tmpdir(), "contit-card-"))]);
});
after(async () => {
  await browser?.close();
  await Promise.all(children.map((child) => new Promise((resolve) => child.on("exit", resolve) && child.kill() || resolve())));
  await rm(home, { recursive: true, force: true });
});

/** Return this many free ports. */
async function freePorts(count) {
  const probes = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    probes.map((probe) => new Promise((resolve) => probe.listen(0, "127.0.0.1", () => resolve(probe.address().port)))),
  );
  await Promise.all(probes.map((probe) => new Promise((resolve) => probe.close(resolve))));
  return ports;
}

/** Start a program and return the first match of `pattern` in its output. */
function start(command, args, env, pattern) {
  const child = spawn(command, args, { cwd: ROOT, env: { PATH: process.env.PATH, HOME: home, ...env } });
  children.push(child);
  return new Promise((resolve, reject) => {
    let output = "";
    const read = (chunk) => {
      output += chunk;
      const found = pattern.exec(output);
      if (found) resolve(found[0]);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("exit", (code) => reject(new Error(`${command} ended with ${code}:\n${output}`)));
    setTimeout(() => reject(new Error(`${command} did not start:\n${output}`)), 40_000).unref();
  });
}

/** Open the Inspector's page, connected to a server of its own with this setting. */
async function inspected(setting) {
  const [port, client, sandbox, app] = await freePorts(4);
  const environment = { CONTIT_MCP_STORE: "memory", CONTIT_MCP_CARD: setting };
  await start(PYTHON, ["-m", "contit_mcp", "http", "--sandbox", "--port", String(port)], environment, /server\.listening/);
  const url = await start(
    INSPECTOR, ["--web", "--server-url", `http://127.0.0.1:${port}/mcp`, "--transport", "http"],
    { MCP_AUTO_OPEN_ENABLED: "false", CLIENT_PORT: client, MCP_SANDBOX_PORT: sandbox, MCP_APP_ORIGIN_PORT: app },
    /http:\/\/\S+MCP_INSPECTOR_API_TOKEN=\w+/,
  );
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 }, locale: "en-GB" });
  const seen = watch(page);
  await page.goto(url);
  await page.getByRole("switch").first().click({ force: true });
  await page.getByText("Connected", { exact: true }).waitFor();
  return { page, seen, mcp: `http://127.0.0.1:${port}/mcp` };
}

/** Call a tool of the server as a host without cards does, and return the text of its result. */
async function askPlainly(mcp, prompt) {
  const response = await fetch(mcp, {
    method: "POST",
    headers: { accept: "application/json, text/event-stream", "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "contit_ask", arguments: { prompt } } }),
  });
  const messages = (await response.text()).split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));
  return messages.find((message) => message.id === 1).result.content.map((block) => block.text).join("\n");
}

test("the Inspector shows the card of a real answer, and the card asks a follow-up through it", async () => {
  const { page, seen, mcp } = await inspected("on");
  await page.getByText("Apps", { exact: true }).first().click();
  await page.getByText("MCP Apps (2)").waitFor();
  await page.getByText("Ask Contit", { exact: true }).click();
  await page.getByRole("textbox", { name: /prompt/i }).first().fill(QUESTION);
  await page.getByRole("button", { name: "Open App" }).click();
  const frame = await cardFrame(page);
  const says = (pattern) => frame.waitForFunction((source) => new RegExp(source).test(document.body.innerText), pattern.source, { timeout: 40_000 });
  await says(/Which articles were published in March 2026\?[^]*Answered in \d+ s[^]*\w+/);
  const facts = (await frame.locator(".answer").innerText()).match(/[\p{L}\p{N}]+/gu);
  const text = await askPlainly(mcp, QUESTION);
  assert.ok(facts.length > 10);
  assert.deepEqual(facts.filter((fact) => !text.includes(fact)), [], "the text has each fact that the card shows");
  await frame.fill("#prompt", "How many are there?");
  await frame.press("#prompt", "Enter");
  await frame.waitForSelector(".turn:nth-child(2) .answer p", { timeout: 40_000 });
  assert.deepEqual(await axe(frame), []);
  assert.deepEqual(seen.policy, []);
  assert.deepEqual(requestsOf(seen, frame), []);
  if (process.env.CONTIT_CARD_IMAGES) await page.screenshot({ path: join(ROOT, "docs", "images", "card-in-the-inspector.png") });
  await page.close();
});

test("with the card off, the Inspector finds no app", async () => {
  const { page } = await inspected("off");
  await page.getByText("Tools", { exact: true }).first().waitFor();
  assert.equal(await page.getByText("Apps", { exact: true }).count(), 0);
  await page.close();
});
