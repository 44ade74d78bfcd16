// The picture that the README opens with.

import { execFileSync } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { X86_FULL, close, open, pageOf, root } from "./pages.js";

const page = await open(pageOf(X86_FULL), { viewport: { width: 1280, height: 1012 }, hash: "a=0x7bff0000" });
const path = join(root, "docs", "images", "report.png");
mkdirSync(join(root, "docs", "images"), { recursive: true });
await page.waitForTimeout(300);
await page.screenshot({ path });
try {
  execFileSync("pngquant", ["--force", "--output", path, "64", path]);
} catch {
  console.log("without pngquant the picture is larger than it has to be");
}
console.log(`${path}: ${statSync(path).size} bytes`);
await close();
