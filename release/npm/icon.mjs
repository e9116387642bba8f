// Draws an SVG from stdin as a PNG of the width that is asked for, to stdout.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { Resvg, initWasm } from "@resvg/resvg-wasm";

const [width] = process.argv.slice(2);
await initWasm(readFileSync(createRequire(import.meta.url).resolve("@resvg/resvg-wasm/index_bg.wasm")));
const drawn = new Resvg(readFileSync(0, "utf8"), { fitTo: { mode: "width", value: Number(width) } }).render();
process.stdout.write(drawn.asPng());
