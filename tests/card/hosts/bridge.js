// A host on the app bridge of @modelcontextprotocol/ext-apps. The test drives it through window.host and answers
// what the card asks through window.answer(method, params).
import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

// The policy that the specification gives a card that asks for no domains.
const POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'none'; img-src 'none'; " +
  "font-src 'none'; media-src 'none'; frame-src 'none'; object-src 'none'; worker-src 'none'; base-uri 'self'; form-action 'none'";

let bridge;

window.host = {
  async open({ html, capabilities, context, proxy }) {
    const policed = html.replace("<head>", `<head><meta http-equiv="Content-Security-Policy" content="${POLICY}">`);
    document.documentElement.style.colorScheme = context.theme ?? "";
    const frame = document.createElement("iframe");
    frame.title = "Contit";
    frame.setAttribute("sandbox", proxy ? "allow-scripts allow-same-origin" : "allow-scripts");
    bridge = new AppBridge(null, { name: "bridge", version: "1" }, capabilities, { hostContext: context });
    bridge.oncalltool = (params) => window.answer("tools/call", params);
    bridge.onreadresource = (params) => window.answer("resources/read", params);
    bridge.onopenlink = (params) => window.answer("ui/open-link", params);
    bridge.ondownloadfile = (params) => window.answer("ui/download-file", params);
    bridge.onmessage = (params) => window.answer("ui/message", params);
    bridge.onupdatemodelcontext = (params) => window.answer("ui/update-model-context", params);
    bridge.onsizechange = ({ height }) => (frame.style.height = `${height}px`);
    const initialized = new Promise((resolve) => (bridge.oninitialized = resolve));
    document.getElementById("root").replaceChildren(frame);
    await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
    if (proxy) {
      const ready = new Promise((resolve) => (bridge.onsandboxready = resolve));
      frame.src = proxy;
      await ready;
      await bridge.sendSandboxResourceReady({ html: policed });
    } else {
      frame.srcdoc = policed;
    }
    await initialized;
  },
  input: (args) => bridge.sendToolInput({ arguments: args }),
  result: (result) => bridge.sendToolResult(result),
  cancelled: () => bridge.sendToolCancelled({ reason: "the user stopped it" }),
  context(context) {
    document.documentElement.style.colorScheme = context.theme ?? "";
    return bridge.sendHostContextChange(context);
  },
  teardown: () => bridge.teardownResource({}),
};
