// Prints how a host starts an unpacked bundle with what its user has filled in. The substitution is the packer's own,
// which is what hosts use. Arguments: the bundle's folder, and the user's values as JSON.
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { getMcpConfigForManifest } from "@anthropic-ai/mcpb/node";

const [extensionPath, filledIn] = process.argv.slice(2);
const start = await getMcpConfigForManifest({
  manifest: JSON.parse(readFileSync(join(extensionPath, "manifest.json"), "utf8")),
  extensionPath,
  systemDirs: { HOME: homedir() },
  userConfig: JSON.parse(filledIn),
  pathSeparator: "/",
});
process.stdout.write(JSON.stringify(start));
