// The answer card: the questions and answers of one conversation with Contit, kept up to date through the host.

import { callTool, connect, notify, request } from "./host.js";
import { renderMarkdown, visible } from "./markdown.js";
import { duration, wordsFor } from "./words.js";

// One call waits this long on the server, well inside the time that hosts give a call.
const WAIT_SECONDS = 20;
const PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 30_000;
const MOST_FAULTS = 6; // in a row, before a turn is paused
const MOST_PARTS = 200; // of one answer, in a download
const MOST_TURNS = 50;
const MOST_EARLIER = 5;
const WORTH_CLIPPING = 1.3; // an answer that is little taller than the clip is shown whole
const RUNS_URI = "contit://runs";
const CONTEXT_CHARACTERS = 20_000; // that the model is told

const main = document.querySelector("main");
const turnsBox = main.querySelector(".turns");
const followUp = main.querySelector(".follow-up");
const promptBox = followUp.querySelector("textarea");
const announcements = main.querySelector(".announcements");

let words;
let capabilities = {};
let closed = false;
const turns = [];
let hostTurn; // the question whose call this card belongs to

// A turn is one question and its answer. A new turn goes to the end, an `earlier` one to the front.
function addTurn(prompt, threadId, { earlier = false } = {}) {
  const box = document.getElementById("turn").content.cloneNode(true).firstElementChild;
  const turn = {
    box, prompt, threadId, runId: undefined, part: (name) => box.querySelector(`.${name}`),
    state: "running", text: "", start: 0, total: undefined, nextOffset: undefined, reason: "", seconds: undefined,
    startedAt: performance.now(), seen: true, polling: false, expanded: false,
  };
  turn.part("again").addEventListener("click", () => retry(turn));
  turn.part("all").addEventListener("click", () => expand(turn, !turn.expanded));
  turn.part("copy").addEventListener("click", () => copyAnswer(turn));
  turn.part("download").addEventListener("click", () => download(turn));
  turn.box.querySelector(".part button").addEventListener("click", () => showNextPart(turn));
  // Focus must never be on something that is clipped away.
  turn.part("answer").addEventListener("focusin", () => expand(turn, true));
  turnsBox[earlier ? "prepend" : "append"](box);
  turns[earlier ? "unshift" : "push"](turn);
  show(turn);
  return turn;
}

// ---- what the host reports

function onInput({ arguments: args = {} }) {
  hostTurn.prompt = textOf(args.prompt) ?? hostTurn.prompt;
  hostTurn.threadId ??= textOf(args.thread_id);
  hostTurn.runId ??= textOf(args.run_id);
  const continues = textOf(args.prompt) && textOf(args.thread_id);
  main.querySelector("p.earlier").hidden = !continues || Boolean(capabilities.serverResources);
  main.querySelector("button.earlier").hidden = !continues || !capabilities.serverResources;
  show(hostTurn);
}

function onResult(result) {
  take(hostTurn, result, { seen: true });
}

function onCancelled() {
  if (hostTurn.state === "running" && !hostTurn.polling) end(hostTurn, "stopped", words.stoppedText);
}

function onContext(context) {
  const root = document.documentElement;
  if (context.theme === "light" || context.theme === "dark") root.style.colorScheme = context.theme;
  for (const [name, value] of Object.entries(context.styles?.variables ?? {})) {
    // A value with an address would make the frame fetch it.
    if (/^--[a-z0-9-]+$/.test(name) && !/url\s*\(|image-set|@import/i.test(String(value))) {
      root.style.setProperty(name, String(value));
    }
  }
  if (context.locale || !words) speak(context.locale || navigator.language);
}

function speak(locale) {
  let language;
  [language, words] = wordsFor(locale);
  document.documentElement.lang = language;
  write(document);
  turns.forEach((turn) => {
    turn.shown = undefined;
    show(turn);
  });
}

function write(root) {
  for (const element of root.querySelectorAll("[data-word]")) element.textContent = words[element.dataset.word];
  for (const element of root.querySelectorAll("[data-word-placeholder]")) {
    element.placeholder = words[element.dataset.wordPlaceholder];
  }
}

// ---- results

/** Apply a tool's result to a turn. `seen` tells whether the model has read this result. */
function take(turn, result, { seen }) {
  const data = result.structuredContent;
  if (data === null || typeof data !== "object") {
    const text = textOf(result.content?.find((block) => block.type === "text")?.text) ?? "";
    if (result.isError) return end(turn, "failed", text);
    turn.text = text;
    return end(turn, "answered");
  }
  turn.threadId = textOf(data.thread_id) ?? turn.threadId;
  turn.runId = textOf(data.run_id) ?? turn.runId;
  turn.seconds = numberOf(data.elapsed_seconds) ?? turn.seconds;
  if (data.status === "failed" || result.isError) return end(turn, "failed", textOf(data.error) ?? words.failedText);
  if (data.status === "completed" && typeof data.response === "string") {
    turn.seen = seen;
    turn.text = data.response;
    turn.start = numberOf(data.response_offset) ?? 0;
    turn.total = numberOf(data.response_total);
    turn.nextOffset = numberOf(data.next_offset);
    end(turn, "answered");
    return tellModel();
  }
  turn.state = "running";
  if (turn.seconds !== undefined) turn.startedAt = performance.now() - turn.seconds * 1000;
  show(turn);
  if (!turn.polling) poll(turn);
}

function end(turn, state, reason = "") {
  turn.state = state;
  turn.reason = reason;
  if (turn.seconds === undefined && state === "answered" && turn.prompt) {
    turn.seconds = (performance.now() - turn.startedAt) / 1000;
  }
  show(turn);
  announce(`${stateText(turn)}. ${reason}`);
}

/** Wait for a run through the host until it ends. After a fault try again, with growing pauses, up to MOST_FAULTS. */
async function poll(turn) {
  if (!capabilities.serverTools || !turn.threadId || !turn.runId) return end(turn, "stopped", words.laterText);
  turn.polling = true;
  let faults = 0;
  while (!closed && turn.state === "running") {
    const args = { thread_id: turn.threadId, run_id: turn.runId, wait_seconds: WAIT_SECONDS };
    const began = performance.now();
    try {
      const result = await callTool("contit_response", args);
      if (closed) break;
      take(turn, result, { seen: false });
      faults = 0;
    } catch (error) {
      console.debug("contit-answer-card: contit_response:", error.message);
      if (++faults >= MOST_FAULTS) end(turn, "paused", words.pausedText);
    }
    const pause = faults ? Math.min(PAUSE_MS * 2 ** faults, LONGEST_PAUSE_MS) : PAUSE_MS;
    if (turn.state === "running") await sleep(Math.max(0, pause - (performance.now() - began)));
  }
  turn.polling = false;
}

/** Ask `turn`'s question, which the host passes to the server. A repeated question gets the run in flight. */
async function ask(turn, threadId) {
  const args = { prompt: turn.prompt, wait_seconds: WAIT_SECONDS };
  if (threadId) args.thread_id = threadId;
  try {
    take(turn, await callTool("contit_ask", args), { seen: false });
  } catch (error) {
    end(turn, "paused", `${words.pausedText} (${error.message})`);
  }
}

function retry(turn) {
  const known = turn.threadId && turn.runId && turn.state !== "failed";
  turn.state = "running";
  turn.seconds = undefined;
  turn.startedAt = performance.now();
  show(turn);
  announce(words.running);
  if (known || !turn.prompt) poll(turn);
  else ask(turn, turn.threadId);
}

/** Give the model the answers that only this card has fetched. Each message replaces the one before it. */
function tellModel() {
  const unseen = turns.filter((turn) => turn.state === "answered" && !turn.seen);
  if (!unseen.length || !capabilities.updateModelContext) return;
  const text = unseen.map((turn) => `Question to Contit: ${turn.prompt || "(above)"}\nContit's answer:\n${turn.text}`);
  const shortened = text.join("\n\n").slice(0, CONTEXT_CHARACTERS);
  accepts("ui/update-model-context", { content: [{ type: "text", text: shortened }] });
}

// ---- what the user does

async function submit() {
  const prompt = promptBox.value.trim();
  const last = turns.at(-1);
  if (!prompt || !last || last.state === "running") return;
  if (turns.length >= MOST_TURNS) return note(last, words.full);
  promptBox.value = "";
  if (capabilities.serverTools) {
    const turn = addTurn(prompt, last.threadId);
    announce(words.running);
    turn.box.scrollIntoView({ block: "nearest" });
    await ask(turn, last.threadId);
  } else {
    const accepted = await accepts("ui/message", { role: "user", content: [{ type: "text", text: prompt }] });
    if (!accepted) promptBox.value = prompt;
    note(last, accepted ? words.sent : words.notSent);
  }
}

async function nextPart(turn) {
  const args = { thread_id: turn.threadId, run_id: turn.runId, offset: turn.nextOffset };
  const { structuredContent: data, isError } = await callTool("contit_response", args);
  const next = numberOf(data?.next_offset);
  if (isError || typeof data?.response !== "string" || (next !== undefined && next <= turn.nextOffset)) {
    throw new Error("no part in the result");
  }
  turn.text += data.response;
  turn.nextOffset = next;
}

async function showNextPart(turn) {
  const button = turn.box.querySelector(".part button");
  if (button.getAttribute("aria-disabled")) return;
  button.setAttribute("aria-disabled", "true");
  note(turn, words.loading);
  try {
    await nextPart(turn);
    turn.expanded = true;
    note(turn, shownPart(turn));
  } catch (error) {
    console.debug("contit-answer-card: next part:", error.message);
    note(turn, words.partFailed);
  }
  button.removeAttribute("aria-disabled");
  show(turn);
  if (turn.nextOffset === undefined) turn.part("copy").focus();
}

/** Put the conversation's earlier answers in front, as far as the server remembers them. */
async function showEarlier() {
  const button = main.querySelector("button.earlier");
  if (button.getAttribute("aria-disabled")) return;
  button.setAttribute("aria-disabled", "true");
  announce(words.loading);
  let found = 0;
  try {
    const { runs } = JSON.parse(await readText(RUNS_URI));
    const before = runs.filter((run) => run.thread_id === hostTurn.threadId && run.status === "completed");
    const older = before.slice(before.findIndex((run) => run.run_id === hostTurn.runId) + 1);
    for (const run of older.slice(0, MOST_EARLIER)) {
      const text = await readText(run.uri);
      const turn = addTurn(textOf(run.title) ?? words.earlierQuestion, run.thread_id, { earlier: true });
      Object.assign(turn, { runId: run.run_id, text, state: "answered" });
      show(turn);
      found++;
    }
  } catch (error) {
    console.debug("contit-answer-card: contit://runs:", error.message);
  }
  button.hidden = true;
  announce(found ? words.earlierShown(found) : words.noEarlier);
  if (!found) {
    const remark = main.querySelector("p.earlier");
    remark.hidden = false;
    remark.textContent = words.noEarlier;
  }
}

async function readText(uri) {
  const { contents } = await request("resources/read", { uri });
  return contents[0].text;
}

function copyAnswer(turn) {
  const whole = turn.nextOffset === undefined && turn.start === 0 ? words.copied : words.copiedPart;
  note(turn, copy(turn.text) ? whole : words.notCopied);
  turn.part("copy").focus();
}

// Hosts withhold the clipboard API from the frame; the older command works from a click.
function copy(text) {
  const area = document.createElement("textarea");
  area.className = "unseen";
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}

async function download(turn) {
  try {
    for (let parts = 0; turn.nextOffset !== undefined; parts++) {
      if (parts === MOST_PARTS) throw new Error("too many parts");
      note(turn, words.downloading);
      await nextPart(turn);
    }
  } catch (error) {
    console.debug("contit-answer-card: next part:", error.message);
    show(turn);
    return note(turn, words.partFailed);
  }
  show(turn);
  const name = `contit-${(turn.runId ?? "").replace(/[^A-Za-z0-9_-]/g, "").slice(0, 40) || "answer"}.md`;
  const resource = { uri: `file:///${name}`, mimeType: "text/markdown", text: turn.text };
  const accepted = await accepts("ui/download-file", { contents: [{ type: "resource", resource }] });
  if (accepted) return note(turn, words.downloaded);
  note(turn, copy(turn.text) ? words.copiedInstead : words.notCopied);
  turn.part("download").focus();
}

async function openLink(url) {
  if (!(await accepts("ui/open-link", { url }))) announce(words.noLink);
}

/** Send a request that the host may refuse; return whether it did as asked. */
async function accepts(method, params) {
  try {
    return !(await request(method, params)).isError;
  } catch (error) {
    console.debug(`contit-answer-card: ${method}:`, error.message);
    return false;
  }
}

// ---- what is shown

function show(turn) {
  if (!words) return;
  write(turn.box);
  const { state, text } = turn;
  const question = turn.part("question");
  writeText(question, turn.prompt);
  turn.part("state").dataset.state = state;
  turn.part("state-text").textContent = stateText(turn);
  writeText(turn.part("failure"), state === "running" || state === "answered" ? "" : turn.reason);
  showAnswer(turn);
  turn.part("again").hidden = !capabilities.serverTools || !["failed", "paused", "stopped"].includes(state);
  turn.part("copy").hidden = state !== "answered" || !text;
  turn.part("download").hidden = state !== "answered" || !text || !capabilities.downloadFile;
  turn.part("actions").hidden = state === "running";
  const part = turn.part("part");
  part.hidden = state !== "answered" || (turn.nextOffset === undefined && turn.start === 0);
  part.firstElementChild.textContent = shownPart(turn);
  part.lastElementChild.hidden = !capabilities.serverTools || turn.nextOffset === undefined;
  followUp.hidden = !(capabilities.serverTools ? turns.at(-1).threadId : capabilities.message);
  followUp.querySelector("button").disabled = turns.at(-1).state === "running";
  fit(turn);
}

function writeText(element, text) {
  element.hidden = !text;
  element.textContent = visible(text);
  element.removeAttribute("dir"); // Chromium finds the direction of a text only when `dir` is set
  element.dir = "auto";
}

function showAnswer(turn) {
  const answer = turn.part("answer");
  answer.hidden = turn.state !== "answered";
  if (answer.hidden || turn.shown === turn.text) return;
  turn.shown = turn.text;
  const [content, formatted] = renderMarkdown(turn.text, words, capabilities.openLinks && openLink);
  answer.replaceChildren(content);
  if (!formatted) hint(answer, words.plainText);
  if (!turn.text.trim()) hint(answer, words.emptyAnswer);
}

function hint(answer, text) {
  const paragraph = document.createElement("p");
  paragraph.className = "hint";
  paragraph.textContent = text;
  answer.prepend(paragraph);
}

function expand(turn, expanded) {
  turn.expanded = expanded;
  fit(turn);
}

// Clip a tall answer, so that a card does not fill the conversation.
function fit(turn) {
  const answer = turn.part("answer");
  const button = turn.part("all");
  answer.classList.toggle("clipped", !turn.expanded);
  const tall = turn.expanded || answer.scrollHeight > answer.clientHeight * WORTH_CLIPPING;
  if (!tall) answer.classList.remove("clipped");
  button.hidden = answer.hidden || !tall;
  button.textContent = turn.expanded ? words.showLess : words.showAll;
  button.setAttribute("aria-expanded", String(turn.expanded));
}

function stateText(turn) {
  if (turn.state === "running") return `${words.running} · ${duration(words, elapsed(turn))}`;
  if (turn.state !== "answered") return words[turn.state];
  return turn.seconds === undefined ? words.answered : words.answeredIn(duration(words, turn.seconds));
}

function shownPart(turn) {
  const describe = capabilities.serverTools || turn.nextOffset === undefined ? words.part : words.rest;
  const count = (number) => number?.toLocaleString(document.documentElement.lang) ?? "?";
  return describe(count(turn.start + 1), count(turn.nextOffset ?? turn.total), count(turn.total));
}

function elapsed(turn) {
  return (performance.now() - turn.startedAt) / 1000;
}

function note(turn, text) {
  turn.part("note").textContent = text;
}

function announce(text) {
  announcements.textContent = text;
}

function textOf(value) {
  return typeof value === "string" && value ? value : undefined;
}

function numberOf(value) {
  return typeof value === "number" && value >= 0 ? value : undefined;
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// ---- start

// From here on, no script, style, image or connection can be added, whatever policy the host gives the frame. A tag in
// the page would come too late in hosts that put the page into a document of their own.
const policy = document.createElement("meta");
policy.httpEquiv = "Content-Security-Policy";
policy.content = "default-src 'none'; base-uri 'none'; form-action 'none'";
document.head.append(policy);

main.querySelector("button.earlier").addEventListener("click", showEarlier);
followUp.querySelector("button").addEventListener("click", submit);
promptBox.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
window.addEventListener("resize", () => turns.forEach((turn) => words && fit(turn)));
const clock = setInterval(() => {
  for (const turn of turns) {
    if (words && turn.state === "running") turn.part("state-text").textContent = stateText(turn);
  }
}, 1_000);
new ResizeObserver(() => {
  notify("ui/notifications/size-changed", { height: Math.ceil(document.documentElement.getBoundingClientRect().height) });
}).observe(document.documentElement);

connect("1", {
  "ui/notifications/tool-input": onInput,
  "ui/notifications/tool-result": onResult,
  "ui/notifications/tool-cancelled": onCancelled,
  "ui/notifications/host-context-changed": onContext,
  "ui/resource-teardown": () => {
    closed = true;
    clearInterval(clock);
  },
  ping: () => ({}),
}).then((host) => {
  capabilities = host.capabilities;
  onContext(host.context);
  hostTurn = addTurn("", undefined);
});
