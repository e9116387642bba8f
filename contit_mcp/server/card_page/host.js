// The MCP Apps messages that the card needs: JSON-RPC 2.0 between this frame and its host (specification 2026-01-26).

const PROTOCOL_VERSION = "2026-01-26";
const REQUEST_MS = 120_000;
const METHOD_NOT_FOUND = -32601;

let lastId = 0;
const pending = new Map();

function post(message) {
  window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
}

/** Send a notification to the host. */
export function notify(method, params = {}) {
  post({ method, params });
}

/** Send a request to the host; return its result; throw what the host reported, or a timeout after two minutes. */
export function request(method, params) {
  const id = ++lastId;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(id, { error: { message: "timeout" } }), REQUEST_MS);
    pending.set(id, { resolve, reject, timer });
    post({ id, method, params });
  });
}

function settle(id, { result, error }) {
  const waiting = pending.get(id);
  if (!waiting) return;
  pending.delete(id);
  clearTimeout(waiting.timer);
  if (error) waiting.reject(new Error(String(error.message)));
  else waiting.resolve(result ?? {});
}

/** Call a tool of the server through the host. */
export function callTool(name, args) {
  return request("tools/call", { name, arguments: args });
}

/**
 * Introduce the card to its host and return what the host says about itself.
 * `handlers` maps the host's notifications and requests to functions of their parameters.
 */
export async function connect(version, handlers) {
  window.addEventListener("message", (event) => {
    const message = event.data;
    if (event.source !== window.parent || message?.jsonrpc !== "2.0") return;
    if (message.method === undefined) return settle(message.id, message);
    const handle = Object.hasOwn(handlers, message.method) ? handlers[message.method] : undefined;
    const result = handle?.(message.params ?? {});
    if (message.id === undefined) return;
    if (handle) post({ id: message.id, result: result ?? {} });
    else post({ id: message.id, error: { code: METHOD_NOT_FOUND, message: "Method not found" } });
  });
  const host = await request("ui/initialize", {
    protocolVersion: PROTOCOL_VERSION,
    appInfo: { name: "contit-answer-card", version },
    appCapabilities: {},
  });
  notify("ui/notifications/initialized");
  return { capabilities: host.hostCapabilities ?? {}, context: host.hostContext ?? {} };
}
