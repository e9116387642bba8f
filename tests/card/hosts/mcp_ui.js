// A host on AppRenderer of @mcp-ui/client (React). The test drives it as it drives bridge.js.
import { AppRenderer } from "@mcp-ui/client";
import { createElement, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";

let update;

function Host({ first }) {
  const [state, setState] = useState(first);
  update = (change) => setState((before) => ({ ...before, ...change }));
  // AppRenderer loads the frame anew when one of these changes its identity.
  const fixed = useMemo(
    () => ({
      toolName: "contit_ask",
      html: first.html,
      sandbox: { url: new URL(first.proxy) },
      hostCapabilities: first.capabilities,
      onCallTool: (params) => window.answer("tools/call", params),
      onOpenLink: (params) => window.answer("ui/open-link", params),
      onMessage: (params) => window.answer("ui/message", params),
      onError: (error) => console.error("AppRenderer:", error.message),
    }),
    [],
  );
  return createElement(AppRenderer, {
    ...fixed,
    hostContext: state.context,
    toolInput: state.input,
    toolResult: state.result,
    toolCancelled: state.cancelled,
  });
}

window.host = {
  async open(first) {
    document.documentElement.style.colorScheme = first.context.theme ?? "";
    createRoot(document.getElementById("root")).render(createElement(Host, { first }));
  },
  input: (input) => update({ input }),
  result: (result) => update({ result }),
  cancelled: () => update({ cancelled: true }),
};
