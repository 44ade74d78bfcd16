// A hundred thousand regions: ready within a second, steps within 8 ms.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { close, open, pageOf, root } from "./pages.js";

const maker = join(process.env.DUMPMAP_SHARED ?? join(root, "..", "shared"), "bench", "mkbig.py");
const folder = mkdtempSync(join(tmpdir(), "dumpmap-large-"));
after(async () => {
  await close();
  rmSync(folder, { recursive: true, force: true });
});

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

test("100,000 regions", { skip: existsSync(maker) ? false : `no ${maker}` }, async () => {
  const make = (regions) => {
    const dump = join(folder, `${regions}.dmp`);
    execFileSync("python3", [maker, dump, "--regions", String(regions), "--no-mem"]);
    return pageOf(dump);
  };
  const path = make(100000);
  const each = (statSync(path).size - statSync(make(100)).size) / 100000;
  assert.ok(each <= 12, `${each} bytes a region`);

  let ready = Infinity;
  let page;
  for (let turn = 0; turn < 4 && ready > 1000; turn += 1) {
    await page?.context().close();
    page = await open(path);
    ready = Math.min(ready, Number(await page.getAttribute("html", "data-ready")));
  }
  assert.ok(ready <= 1000, `ready after ${ready} ms`);

  const steps = await page.evaluate(async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    // Script of the frame and the layout it leads to.
    const times = [];
    const own = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (run) => own((now) => {
      const start = performance.now();
      run(now);
      document.body.getBoundingClientRect();
      times.push(performance.now() - start);
    });
    const grid = document.getElementById("grid");
    const strip = document.getElementById("strip");
    const scroll = [];
    for (let n = 0; n < 40; n += 1) {
      const start = performance.now();
      grid.scrollTop += n % 2 ? 96 : 6000;
      grid.dispatchEvent(new Event("scroll"));
      document.body.getBoundingClientRect();
      scroll.push(performance.now() - start);
      await frame();
    }
    strip.focus();
    await frame();
    times.length = 0;
    for (let n = 0; n < 40; n += 1) {
      strip.dispatchEvent(new KeyboardEvent("keydown", { key: n % 20 < 10 ? "+" : "-", bubbles: true }));
      await new Promise((done) => own(() => setTimeout(done)));
    }
    return { scroll, zoom: times };
  });
  assert.ok(steps.zoom.length >= 20, `${steps.zoom.length} frames`);
  assert.ok(median(steps.scroll) <= 8, `scroll ${median(steps.scroll)} ms`);
  assert.ok(median(steps.zoom) <= 8, `zoom ${median(steps.zoom)} ms`);
  assert.deepEqual(page.faults, []);
  console.log(`    ${each.toFixed(1)} bytes a region, ready ${ready} ms, scroll ${median(steps.scroll).toFixed(1)} ms, zoom ${median(steps.zoom).toFixed(1)} ms`);
  await page.context().close();
});
