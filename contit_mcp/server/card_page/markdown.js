// Markdown to DOM. A lexer splits the text into tokens; the functions below make elements and text nodes of them.
// No HTML is parsed: an HTML tag in an answer is shown as the text that it is.

import { Lexer } from "marked";

// Beyond one of these, the text is shown as it is. Answers come in parts of 60,000 characters.
const MOST_CHARACTERS = 120_000;
const MOST_EMPHASIS_WORK = 2e8;
const MOST_ELEMENTS = 20_000;
const DEEPEST = 40;
const LONGEST_ADDRESS = 2_048;
const LONGEST_PATH = 40;

// C0 and C1 controls except tab and newline, bidi controls, invisible operators, tags.
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

const ENTITIES = {
  amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", trade: "™", euro: "€",
  hellip: "…", ndash: "–", mdash: "—", laquo: "«", raquo: "»", lsquo: "‘", rsquo: "’", ldquo: "“", rdquo: "”",
  bull: "•", middot: "·", times: "×", deg: "°", agrave: "à", egrave: "è", eacute: "é", igrave: "ì", ograve: "ò",
  ugrave: "ù", Agrave: "À", Egrave: "È", Eacute: "É", Igrave: "Ì", Ograve: "Ò", Ugrave: "Ù", rarr: "→", larr: "←",
};

/** Remove characters that change how other characters are shown, or that nobody sees. */
export function visible(text) {
  return String(text).replace(/\r\n?/g, "\n").replace(HIDDEN, "");
}

/**
 * Return a fragment that shows Markdown, and whether it is formatted (false: it is plain text).
 * `openLink` gets the address of a link that the user follows; without it, links are text.
 */
export function renderMarkdown(markdown, words, openLink) {
  const text = visible(markdown);
  try {
    if (text.length > MOST_CHARACTERS || emphasisWork(text) > MOST_EMPHASIS_WORK) throw new RangeError("too long");
    const fragment = document.createDocumentFragment();
    const page = { words, openLink, elements: 0, depth: 0, level: 2, link: false };
    blocks(page, fragment, new Lexer({ gfm: true }).lex(text));
    // Each block is written in the direction of its own first letter; what is in it follows, numbers and columns too.
    for (const block of fragment.children) block.dir ||= "auto";
    return [fragment, true];
  } catch (error) {
    // The lexer overflows the stack on thousands of nested quotes. Any fault of it must leave the text readable.
    console.debug("contit-answer-card: shown as plain text:", error.name);
    const plain = document.createElement("div");
    plain.className = "plain";
    plain.textContent = text;
    return [plain, false];
  }
}

// For each mark of emphasis the lexer searches the rest of its paragraph; a text at the limit takes a second.
function emphasisWork(text) {
  const marks = (paragraph) => paragraph.match(/[*_~]/g)?.length ?? 0;
  return text.split(/\n\s*\n|\n {0,3}(?=[-*+] )/).reduce((work, part) => work + part.length * marks(part), 0);
}

function add(page, parent, tag, className) {
  if (++page.elements > MOST_ELEMENTS) throw new RangeError("too many elements");
  const element = document.createElement(tag);
  if (className) element.className = className;
  parent.append(element);
  return element;
}

function deeper(page, render) {
  if (++page.depth > DEEPEST) throw new RangeError("too deep");
  render();
  page.depth--;
}

function blocks(page, parent, tokens) {
  deeper(page, () => {
    for (const token of tokens) (BLOCKS[token.type] ?? unknownBlock)(page, parent, token);
  });
}

function inlines(page, parent, tokens) {
  deeper(page, () => {
    for (const token of tokens) (INLINES[token.type] ?? unknownInline)(page, parent, token);
  });
}

function unknownBlock(page, parent, token) {
  add(page, parent, "p").append(token.raw);
}

function unknownInline(page, parent, token) {
  parent.append(token.raw);
}

const BLOCKS = {
  space() {},
  def() {},
  checkbox,
  hr(page, parent) {
    add(page, parent, "hr");
  },
  html: unknownBlock,
  paragraph(page, parent, token) {
    inlines(page, add(page, parent, "p"), token.tokens);
  },
  text(page, parent, token) {
    if (token.tokens) inlines(page, parent, token.tokens);
    else parent.append(decoded(token.text));
  },
  heading(page, parent, token) {
    // The question is the h2 above; an answer's own levels follow it without a gap, for screen readers to navigate.
    page.level = Math.min(token.depth + 2, page.level + 1, 6);
    inlines(page, add(page, parent, `h${page.level}`), token.tokens);
  },
  code(page, parent, token) {
    const pre = scrollable(add(page, parent, "pre"), page.words.code);
    pre.dir = "ltr";
    add(page, pre, "code").textContent = token.text;
  },
  blockquote(page, parent, token) {
    blocks(page, add(page, parent, "blockquote"), token.tokens);
  },
  list(page, parent, token) {
    const list = add(page, parent, token.ordered ? "ol" : "ul");
    if (token.ordered) {
      const start = Number.isSafeInteger(token.start) ? token.start : 1;
      if (start !== 1) list.start = start;
      list.style.setProperty("--digits", String(start + token.items.length).length);
    }
    for (const item of token.items) {
      blocks(page, add(page, list, "li", item.task ? "task" : ""), item.tokens);
    }
  },
  table(page, parent, token) {
    const table = add(page, scrollable(add(page, parent, "div", "wide"), page.words.table), "table");
    const head = add(page, add(page, table, "thead"), "tr");
    for (const cell of token.header) tableCell(page, head, "th", cell).scope = "col";
    const body = add(page, table, "tbody");
    for (const row of token.rows) {
      const line = add(page, body, "tr");
      for (const cell of row) tableCell(page, line, "td", cell);
    }
  },
};

const INLINES = {
  text(page, parent, token) {
    if (token.tokens) inlines(page, parent, token.tokens);
    else parent.append(decoded(token.text));
  },
  escape(page, parent, token) {
    parent.append(token.text);
  },
  html(page, parent, token) {
    if (/^<br ?\/?>$/i.test(token.text)) add(page, parent, "br");
    else parent.append(token.raw);
  },
  br(page, parent) {
    add(page, parent, "br");
  },
  strong(page, parent, token) {
    inlines(page, add(page, parent, "strong"), token.tokens);
  },
  em(page, parent, token) {
    inlines(page, add(page, parent, "em"), token.tokens);
  },
  del(page, parent, token) {
    inlines(page, add(page, parent, "del"), token.tokens);
  },
  codespan(page, parent, token) {
    add(page, parent, "code").textContent = token.text;
  },
  checkbox,
  link(page, parent, token) {
    if (page.link) return inlines(page, parent, token.tokens);
    const span = add(page, parent, "span");
    page.link = true;
    inlines(page, span, token.tokens);
    page.link = false;
    follow(page, parent, span, token.href);
  },
  image(page, parent, token) {
    // No image is loaded: its address is shown, and the user decides.
    const span = page.link ? parent : add(page, parent, "span");
    span.append(`${page.words.image}: ${decoded(token.text) || "–"}`);
    if (span !== parent) follow(page, parent, span, token.href);
  },
};

function checkbox(page, parent, token) {
  const box = add(page, parent, "span", "box");
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", token.checked ? page.words.done : page.words.open);
  box.append(token.checked ? "☑" : "☐");
}

function tableCell(page, row, tag, cell) {
  const element = add(page, row, tag);
  if (cell.align) element.classList.add(cell.align);
  inlines(page, element, cell.tokens);
  return element;
}

function scrollable(element, label) {
  element.tabIndex = 0;
  element.setAttribute("role", "region");
  element.setAttribute("aria-label", label);
  return element;
}

// Make a link of `span`, and say beside it where it goes. It has no href, so that no host lets the frame go there.
function follow(page, parent, span, href) {
  const url = address(decoded(href));
  const shown = span.textContent.trim();
  if (!url) {
    parent.append(` (${visible(decoded(href)).slice(0, LONGEST_ADDRESS)})`);
    return;
  }
  const target = url.href.replace(/^https?:\/\/|^mailto:/, "");
  const same = [url.href, target, target.replace(/\/$/, "")].includes(shown.replace(/^https?:\/\/|^mailto:/, ""));
  if (!same) {
    parent.append(" ");
    const place = add(page, parent, "span", "target");
    place.dir = "ltr";
    place.title = url.href;
    place.textContent = `(${page.openLink ? shortened(url) : url.href})`;
  }
  if (!page.openLink) return;
  span.className = "link";
  span.setAttribute("role", "link");
  span.tabIndex = 0;
  span.addEventListener("click", () => page.openLink(url.href));
  span.addEventListener("keydown", (event) => {
    if (event.key === "Enter") page.openLink(url.href);
  });
}

function address(href) {
  if (href.length > LONGEST_ADDRESS || !URL.canParse(href)) return null;
  const url = new URL(href);
  if (url.protocol === "mailto:") return url;
  if (url.protocol !== "https:" && url.protocol !== "http:") return null;
  // A name before the host (https://contit.cloud@example.org) only serves to deceive.
  url.username = url.password = "";
  return url;
}

// The host is always shown whole: it is what tells where a link goes.
function shortened(url) {
  const path = url.pathname === "/" ? "" : url.pathname;
  const rest = url.protocol === "mailto:" ? url.pathname : path + url.search + url.hash;
  return url.host + (rest.length <= LONGEST_PATH ? rest : `${rest.slice(0, LONGEST_PATH - 1)}…`);
}

function decoded(text) {
  return text.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-zA-Z]{2,8}));/g, (raw, decimal, hex, name) => {
    if (name) return Object.hasOwn(ENTITIES, name) ? ENTITIES[name] : raw;
    const code = decimal ? Number(decimal) : Number.parseInt(hex, 16);
    return code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? "\ufffd" : visible(String.fromCodePoint(code));
  });
}
