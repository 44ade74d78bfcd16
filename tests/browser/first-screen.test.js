// What Rust wrote: complete without script, true to `summary`, harmless.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ALL, HOSTILE, LINUX, REBUILT, X64_CRASH, X86_FULL, close, json, open, pageOf } from "./pages.js";

after(close);

// The table of a page as the numbers that it carries; null for - and ?.
const table = (page) => page.$$eval("#types tbody tr", (rows) => Object.fromEntries(rows.map((row) => [
  row.dataset.kind,
  Object.fromEntries([...row.querySelectorAll("td")].map((cell) => {
    const data = cell.querySelector("data");
    return [cell.dataset.column, data ? Number(data.value) : null];
  })),
])));

for (const dump of ALL) {
  test(`${dump}: the numbers are those of summary -f json`, async () => {
    const { summary, verdict, findings, dump: head } = json("summary", dump);
    const page = await open(pageOf(dump), { script: false });
    const shown = await table(page);
    assert.deepEqual(Object.keys(shown), ["total", ...summary.kinds.map((row) => row.kind)]);
    for (const row of [{ kind: "total", ...summary.total }, ...summary.kinds]) {
      const free = row.kind === "free" || row.kind === "unusable";
      for (const column of ["size", "committed", "private", "captured", "blocks", "allocations", "largest"]) {
        const blank = free && ["committed", "private", "captured", "allocations"].includes(column);
        assert.equal(shown[row.kind][column], blank ? null : row[column], `${row.kind} ${column}`);
      }
    }
    assert.equal(await page.getAttribute("[data-verdict]", "data-verdict"), verdict);
    const cards = await page.$$eval("[data-finding] h3", (heads) => heads.map((head) => head.lastChild.textContent.trim()));
    assert.deepEqual(cards, findings.map((finding) => finding.rule));
    if (head.process_name) assert.ok((await page.title()).length > 0);
    await page.context().close();
  });
}

test("without script everything on the first screen is there", async () => {
  const page = await open(pageOf(X86_FULL), { script: false });
  assert.equal(await page.locator("#stage").isVisible(), false);
  for (const part of [".facts", ".bars svg", "#types", ".verdict", ".card", ".still svg", "noscript"]) {
    assert.ok(await page.locator(part).first().isVisible(), part);
  }
  await page.click(".lacks summary");
  assert.ok((await page.textContent(".lacks table")).includes("MiniDumpWith"));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("bars have VMMap's colours, and add up", async () => {
  const page = await open(pageOf(X86_FULL), { script: false });
  const bars = await page.$$eval(".barrow svg", (all) => all.map((bar) => [...bar.querySelectorAll("rect")].map((part) =>
    [part.getAttribute("fill"), parseFloat(part.getAttribute("width"))])));
  assert.equal(bars.length, 3);
  for (const bar of bars) {
    const sum = bar.reduce((total, [, width]) => total + width, 0);
    assert.ok(Math.abs(sum - 100) < 0.1, `${sum}`);
  }
  assert.deepEqual(bars[0].slice(0, 2).map(([fill]) => fill), ["#d2a0ff", "#ddeeff"]);
  await page.context().close();
});

test("a rebuilt map says what is not known", async () => {
  const page = await open(pageOf(REBUILT), { script: false });
  assert.ok(await page.locator(".warn").first().isVisible());
  assert.equal(await page.textContent('tr[data-kind="total"] [data-column="committed"]'), "?");
  await page.context().close();
});

test("print shows the first screen and the still picture", async () => {
  const page = await open(pageOf(X64_CRASH));
  assert.equal(await page.locator(".still").isVisible(), false);
  await page.emulateMedia({ media: "print" });
  assert.ok(await page.locator(".still").isVisible());
  assert.equal(await page.locator("#stage").isVisible(), false);
  await page.context().close();
});

test("no page is wider than a telephone", async () => {
  for (const dump of [X86_FULL, X64_CRASH, LINUX, HOSTILE]) {
    const page = await open(pageOf(dump), { viewport: { width: 360, height: 740 } });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 360, `${dump}: ${wide}`);
    await page.context().close();
  }
});

test("names that want to be markup stay text", async () => {
  const page = await open(pageOf(HOSTILE));
  const there = () => page.evaluate(() => ({
    scripts: document.scripts.length,
    images: document.images.length,
    bold: document.querySelectorAll("b b, code b, td > b:not(.badge)").length,
    marks: /[\u202a-\u202e\u2066-\u2069\u001b]/.test(document.body.textContent),
  }));
  for (const tab of ["regions", "free", "threads", "heaps", "images", "crash"]) {
    await page.click(`#tab-${tab}`);
    // The data's own element is gone once it is read.
    assert.deepEqual(await there(), { scripts: 1, images: 0, bold: 0, marks: false }, tab);
  }
  await page.click("#tab-images");
  const names = await page.textContent("#panel-images");
  assert.ok(names.includes("script><img src=x onerror=alert(1)>.dll"), names);
  assert.ok(names.includes("harmless\\u{202e}lld.exe"));
  assert.ok(names.includes("<b>gone</b>.dll"));
  await page.click("#tab-threads");
  assert.ok((await page.textContent("#panel-threads")).includes("</script><img src=x onerror='alert(1)'>\"\\u{202e}"));
  assert.ok((await page.title()).startsWith("script><img src=x"));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("the policy lets no other script and no request through", async () => {
  const page = await open(pageOf(X86_FULL));
  const stopped = [];
  page.on("requestfailed", (request) => stopped.push([request.url(), request.failure().errorText]));
  const result = await page.evaluate(async () => {
    const script = document.createElement("script");
    script.textContent = "window.broken = 1";
    document.body.append(script);
    const image = document.body.appendChild(document.createElement("img"));
    image.setAttribute("onerror", "window.broken = 2");
    image.src = "https://dumpmap.invalid/x.png";
    const style = document.createElement("p");
    style.setAttribute("style", "color: red");
    document.body.append(style);
    let fetched = "no";
    try {
      await fetch("https://dumpmap.invalid/");
      fetched = "yes";
    } catch {}
    await new Promise((done) => setTimeout(done, 50));
    return { broken: window.broken, fetched, red: getComputedStyle(style).color === "rgb(255, 0, 0)" };
  });
  assert.deepEqual(result, { broken: undefined, fetched: "no", red: false });
  const asked = page.faults.filter((fault) => fault.startsWith("request"));
  assert.deepEqual(asked.map((fault) => [fault.slice("request: ".length), "csp"]), stopped);
  await page.context().close();
});
