// The card of the real server in the Inspector's own page: listed, read, shown, and called from.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { axe, cardFrame, launch, requestsOf, watch } from "./harness.mjs";

const PYTHON = process.env.PYTHON ?? join(import.meta.dirname, "..", "..", ".venv", "bin", "python");
let browser, home, server;
const children = [];

before(async () => {
  home = await mkdtemp(join(tmpdir(), "contit-card-"));
  browser = await launch();
  server = await startServer();
});
after(async () => {
  await browser?.close();
  for (const child of children) child.kill();
  await rm(home, { recursive: true, force: true });
});

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Start a program and return the first match of `pattern` in its output. */
function start(command, args, env, pattern) {
  const child = spawn(command, args, { env: { PATH: process.env.PATH, HOME: home, ...env }, stdio: ["ignore", "pipe", "pipe"] });
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
    child.on("exit", (code) => reject(new Error(`${command} ended with ${code}:\n${output}`)));
    setTimeout(() => reject(new Error(`${command} did not start:\n${output}`)), 40_000).unref();
  });
}
