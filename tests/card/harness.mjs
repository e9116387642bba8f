// Opens the built card in hosts that run in headless Chromium, and watches what the card does there.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import esbuild from "esbuild";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const HERE = dirname(fileURLToPath(import.meta.url));
export const ROOT = join(HERE, "..", "..");
export const CARD = await readFile(join(ROOT, "contit_mcp", "server", "card_page", "answer-card.html"), "utf8");
const AXE = await readFile(require.resolve("axe-core/axe.min.js"), "utf8");
const INSPECTOR = dirname(require.resolve("@modelcontextprotocol/inspector/package.json"));
const PROXY = await readFile(join(INSPECTOR, "clients", "web", "static", "sandbox_proxy.html"), "utf8");
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

export const EVERYTHING = {
  openLinks: {}, downloadFile: {}, serverTools: {}, message: { text: {} }, updateModelContext: { text: {} },
};

/** Start Chromium; CHROMIUM names another one than Debian's. */
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

/** Serve the pages of the hosts, and on a second port, which is a second origin, the sandbox proxy. */
export async function serveHosts() {
  const built = await esbuild.build({
    entryPoints: [join(HERE, "hosts", "bridge.js"), join(HERE, "hosts", "mcp_ui.js")],
    bundle: true, minify: true, format: "esm", write: false, outdir: "/", define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "error",
  });
  const page = await readFile(join(HERE, "hosts", "page.html"), "utf8");
  const files = new Map(built.outputFiles.map((file) => [`/${file.path.split(/[\\/]/).at(-1)}`, file.text]));
  const hosts = await listen((path) =>
    files.has(path) ? ["text/javascript", files.get(path)] : ["text/html", page.replace("SCRIPT", `${path}.js`)],
  );
  const proxy = await listen(() => ["text/html", PROXY]);
  return { ...hosts, proxy: `${proxy.url}/`, close: () => [hosts, proxy].forEach((server) => server.close()) };
}

/** Serve on a free port what `respond` returns for a path: a media type and a text. */
export function listen(respond) {
  const server = createServer((incoming, outgoing) => {
    const [type, text] = respond(new URL(incoming.url, "http://host").pathname);
    outgoing.writeHead(200, { "content-type": `${type}; charset=utf-8` }).end(text);
  });
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () =>
      resolve({ url: `http://127.0.0.1:${server.address().port}`, close: () => server.closeAllConnections() ?? server.close() }),
    ),
  );
}

/**
 * Open the card in a host and return what the test needs to drive and judge it.
 * `answers` maps "tools/call contit_ask" or "ui/open-link" to a function of the parameters.
 */
export async function openCard(browser, hosts, options = {}) {
  const { host = "bridge", width = 900, theme = "light", locale = "en-GB", capabilities = EVERYTHING, answers = {} } = options;
  const page = await browser.newPage({ viewport: { width, height: 700 }, locale, deviceScaleFactor: options.scale ?? 1 });
  const seen = watch(page);
  seen.calls = [];
  if (options.clock) await page.clock.install();
  await page.exposeFunction("answer", async (method, params) => {
    seen.calls.push({ method, params });
    const name = method === "tools/call" ? `tools/call ${params.name}` : method;
    if (!answers[name]) return {};
    return answers[name](params.arguments ?? params, seen.calls.length);
  });
  await page.goto(`${hosts.url}/${host === "mcp-ui" ? "mcp_ui" : "bridge"}`);
  await page.waitForFunction(() => window.host);
  const context = { theme, locale, ...options.context };
  const proxy = host === "srcdoc" ? undefined : hosts.proxy;
  await page.evaluate((first) => window.host.open(first), { html: CARD, capabilities, context, proxy });
  const frame = await cardFrame(page);
  const drive = (name, value) => page.evaluate(([name, value]) => window.host[name](value), [name, value]);
  return { page, frame, seen, drive, close: () => page.close() };
}

/** Return the frame that the card runs in, once it is initialised. */
export async function cardFrame(page) {
  for (let tries = 0; tries < 200; tries++) {
    for (const frame of page.frames()) {
      const found = await frame.evaluate(() => Boolean(document.querySelector("main.card section.turn"))).catch(() => false);
      if (found) return frame;
    }
    await page.waitForTimeout(25);
  }
  throw new Error("the card did not start");
}

/** Collect what must not happen: reports of a policy, errors of the page, and requests, each with its frame. */
export function watch(page) {
  const seen = { policy: [], errors: [], requests: [], dialogs: [] };
  page.on("console", (message) => {
    if (/Content Security Policy|violates the following/i.test(message.text())) seen.policy.push(message.text());
    else if (message.type() === "error") seen.errors.push(message.text());
  });
  page.on("pageerror", (error) => seen.errors.push(error.message));
  page.on("request", (request) => seen.requests.push([request.frame(), request.url()]));
  page.on("dialog", (dialog) => {
    seen.dialogs.push(dialog.message());
    dialog.dismiss();
  });
  return seen;
}

/** The requests that the card's frame or a frame in it sent; without the document that its host writes. */
export function requestsOf(seen, frame) {
  return seen.requests.filter(([from, url]) => (from === frame || from.parentFrame() === frame) && url !== "about:srcdoc").map(([, url]) => url);
}

/** What axe-core finds wrong in the card, best practices included. */
export async function axe(frame) {
  await frame.evaluate(AXE);
  const { violations } = await frame.evaluate(() => window.axe.run(document));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ").slice(0, 300)}`);
}

/** A result of the four tools. */
export function result(data, text = data.response ?? "") {
  return { content: [{ type: "text", text }], structuredContent: data, isError: data.status === "failed" };
}
