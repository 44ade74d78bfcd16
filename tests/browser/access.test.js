// What axe finds, in both themes and in every tab.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, test } from "node:test";
import { LINUX, X64_CRASH, X86_FULL, close, open, pageOf } from "./pages.js";

after(close);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing serious, ${colorScheme}`, async () => {
    for (const dump of colorScheme === "light" ? [X86_FULL, X64_CRASH, LINUX] : [X64_CRASH]) {
      const page = await open(pageOf(dump), { colorScheme });
      await page.keyboard.press("s");
      await page.keyboard.press("End");
      for (const tab of ["regions", "free", "threads", "heaps", "images", "crash"]) {
        await page.click(`#tab-${tab}`);
        for (const summary of await page.locator(`#panel-${tab} summary`).all()) await summary.click();
        await page.mouse.move(0, 0);
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run());
        const bad = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
        const lines = bad.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.any?.[0]?.message ?? ""}`).join("\n  ")}`);
        assert.deepEqual(lines, [], `${dump} ${tab}`);
      }
      await page.context().close();
    }
  });
}
