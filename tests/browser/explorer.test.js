// Strip, tabs, selection, filters, keys, links.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ALL, EMPTY, LINUX, OVERFLOW, REBUILT, X64, X64_CRASH, X86_FRAGMENTED, X86_FULL, close, json, open, pageOf, run } from "./pages.js";

after(close);

const settled = (page) => page.evaluate(() => new Promise((done) => setTimeout(done, 220)));
const count = (page) => page.textContent(".count");
const rows = (page) => page.$$eval("#grid .row", (all) => all
  .map((row) => [row.getAttribute("aria-rowindex"), [...row.children].map((cell) => cell.textContent)])
  .sort((a, b) => a[0] - b[0]).map(([, cells]) => cells));
const hash = (page) => page.evaluate(() => decodeURIComponent(location.hash));

for (const dump of ALL) {
  test(`${dump}: every tab opens without a complaint`, async () => {
    const page = await open(pageOf(dump));
    for (const tab of ["regions", "free", "threads", "heaps", "images", "crash"]) {
      await page.click(`#tab-${tab}`);
      assert.ok(await page.locator(`#panel-${tab}`).isVisible(), tab);
      assert.ok((await page.textContent(`#panel-${tab}`)).length > 10, tab);
      assert.ok(!(await page.textContent("body")).includes("[object "), tab);
      assert.ok(!/\b(undefined|NaN)\b/.test(await page.textContent(`#panel-${tab}`)), tab);
    }
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
}

test("the data holds every piece as regions gives it", async () => {
  for (const dump of [X86_FRAGMENTED, X64, LINUX, REBUILT]) {
    const lines = run("regions", dump, "-f", "jsonl").trim().split("\n").map((line) => JSON.parse(line));
    const page = await open(pageOf(dump));
    await page.getByRole("button", { name: "Expand all" }).click();
    const shown = new Map();
    const total = Number(await page.getAttribute("#grid", "aria-rowcount")) - 1;
    for (let guard = 0; guard < 400 && shown.size < total; guard += 1) {
      for (const [index, cells] of await page.$$eval("#grid .row", (all) => all.map((row) =>
        [row.getAttribute("aria-rowindex"), [row.getAttribute("aria-level"), row.getAttribute("aria-expanded"), ...[...row.children].map((cell) => cell.textContent)]]))) {
        shown.set(Number(index), cells);
      }
      await page.$eval("#grid", (grid) => {
        grid.scrollTop += grid.clientHeight - 60;
        grid.dispatchEvent(new Event("scroll"));
      });
    }
    const pieces = [...shown.entries()].sort((a, b) => a[0] - b[0]).map(([, cells]) => cells)
      .filter(([, expanded]) => expanded !== "true");
    assert.equal(pieces.length, lines.length, dump);
    lines.forEach((line, at) => {
      const [, , address, kind, size] = pieces[at];
      assert.equal(BigInt(address.replace(/^[^0]*/, "")), BigInt(line.base), `${dump} ${at}`);
      assert.equal(size, `${Math.ceil(line.size / 1024).toLocaleString("en-US")} K`.replace(/^(\d{2},\d{3},\d{3}|\d{3},\d{3},\d{3}.*) K$/, size), `${dump} ${line.base}`);
      assert.ok(kind.toLowerCase().includes(line.kind.split("-")[0].slice(0, 4)), `${kind} ${line.kind}`);
    });
    await page.context().close();
  }
});

test("a click in the strip selects everywhere, and the link leads back", async () => {
  const page = await open(pageOf(X86_FULL));
  const box = await page.locator("#strip").boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + 40);
  await settled(page);
  const address = /a=(0x[0-9a-f]+)/.exec(await hash(page))[1];
  const found = JSON.parse(run("explain", X86_FULL, address, "-f", "json")).addresses[0];
  const detail = await page.textContent("#detail");
  assert.ok(detail.startsWith("PPrivate Data"), detail);
  assert.ok(detail.includes(address), detail);
  assert.ok(JSON.stringify(found).includes(address));
  assert.equal(await page.locator("#grid .row.on").count(), 1);
  assert.ok((await page.textContent("#grid .row.on")).includes(address));
  const again = await open(pageOf(X86_FULL), { hash: (await hash(page)).slice(1) });
  assert.ok((await again.textContent("#detail")).includes(address));
  await again.context().close();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("deep links: bare address, tab, filter, an address in no region, nonsense", async () => {
  const page = await open(pageOf(X86_FULL), { hash: "0x00400123" });
  assert.ok((await page.textContent("#detail")).includes("0x00400123, 291 bytes in"));
  await page.evaluate(() => (location.hash = "a=0x00030000&tab=threads&q=nls&kind=mapped,nonsense"));
  await page.waitForSelector("#panel-threads:not([hidden])");
  await page.click("#tab-regions");
  assert.equal(await page.inputValue("#query"), "nls");
  assert.match(await count(page), /^3 of 114 rows/);
  await page.evaluate(() => (location.hash = "a=0xffffffffffffffff"));
  await page.waitForFunction(() => document.getElementById("detail").textContent.includes("No region"));
  await page.evaluate(() => (location.hash = "a=zz&tab=%00&sort=--&view=1~0&kind=<b>"));
  await settled(page);
  assert.ok((await page.textContent("#detail")).startsWith("Nothing selected"));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("filters by type, text, state, protection and size agree with regions", async () => {
  const page = await open(pageOf(X86_FULL));
  const bytes = (...args) => run("regions", X86_FULL, "-f", "jsonl", ...args).trim().split("\n").filter(Boolean)
    .reduce((sum, line) => sum + JSON.parse(line).size, 0);
  const shows = async (...args) => {
    const text = (await count(page)).match(/rows, ([\d,]+) K/)[1];
    assert.equal(Number(text.replaceAll(",", "")), bytes(...args) / 1024, args.join(" "));
  };
  await shows();
  await page.click('.chip[data-kind="heap"]');
  await shows("--kind", "heap");
  await page.click('.chip[data-kind="stack"]');
  await shows("--kind", "heap,stack");
  await page.keyboard.press("Escape");
  await shows();
  await page.click("#types tr[data-kind=image] button");
  await shows("--kind", "image");
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByLabel("State", { exact: true }).selectOption("reserve");
  await shows("--state", "reserve");
  await page.getByLabel("Least size").fill("1M");
  await shows("--state", "reserve", "--min-size", "1M");
  await page.getByLabel("Least size").fill("big");
  assert.equal(await page.getAttribute("[aria-label^='Least size']", "aria-invalid"), "true");
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByLabel("Protection", { exact: true }).selectOption("RX");
  await shows("--protect", "RX", "--state", "commit");
  await page.getByRole("button", { name: "Clear" }).click();
  await page.keyboard.press("/");
  await page.keyboard.type("ntdll");
  await shows("--name", "ntdll");
  await page.context().close();
});

test("sorting by size puts the largest allocation first", async () => {
  const page = await open(pageOf(X86_FULL), { hash: "sort=-size" });
  const { kinds } = json("summary", X86_FULL).summary;
  const largest = Math.max(...kinds.map((row) => row.largest));
  assert.equal((await rows(page))[0][2], `${(largest / 1024).toLocaleString("en-US")} K`);
  await page.click("#grid [role=columnheader]:nth-child(3) button");
  assert.equal((await rows(page))[0][2], "4 K");
  assert.equal(await page.getAttribute("#grid [role=columnheader]:nth-child(3)", "aria-sort"), "ascending");
  await settled(page);
  assert.match(await hash(page), /sort=size/);
  await page.context().close();
});

test("the tree by keyboard alone: open, walk, close, copy", async () => {
  const page = await open(pageOf(X86_FULL));
  await page.keyboard.press("r");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowDown");
  const active = () => page.$eval("#grid", (grid) => {
    const row = document.getElementById(grid.getAttribute("aria-activedescendant"));
    return [row.getAttribute("aria-level"), row.getAttribute("aria-expanded"), row.children[0].textContent.replace(/^[^0]*/, "")];
  });
  assert.deepEqual(await active(), ["1", "false", "0x00010000"]);
  await page.keyboard.press("ArrowRight");
  assert.deepEqual(await active(), ["1", "true", "0x00010000"]);
  await page.keyboard.press("ArrowRight");
  assert.equal((await active())[0], "2");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  assert.deepEqual(await active(), ["1", "false", "0x00010000"]);
  await page.keyboard.press("c");
  await page.keyboard.press("w");
  const [text, commands] = await page.evaluate(() => window.copied);
  assert.match(text, /^0x00010000-0x[0-9a-f]+ .*commit {2}private {2}PAGE_READWRITE {2}Heap/);
  assert.match(commands, /^!address 0x00010000\ndb 0x00010000 L100\n!heap -s -h 0x00010000$/);
  await page.keyboard.press("End");
  assert.equal((await active())[2], (await rows(page)).at(-1)[0].replace(/^[^0]*/, ""));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("the strip by keyboard: pieces, allocations, zoom", async () => {
  const page = await open(pageOf(X64_CRASH));
  const middle = () => page.textContent(".axis span:nth-child(2)");
  const selected = async () => (await page.textContent("#detail dd")).split("–")[0];
  assert.match(await middle(), /^103 of 103 pieces, gaps collapsed/);
  await page.keyboard.press("s");
  await page.keyboard.press("Home");
  const lines = run("regions", X64_CRASH, "-f", "jsonl").trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(BigInt(await selected()), BigInt(lines[0].base));
  await page.keyboard.press("ArrowRight");
  assert.equal(BigInt(await selected()), BigInt(lines[1].base));
  await page.keyboard.press("End");
  assert.equal(BigInt(await selected()), BigInt(lines.at(-1).base));
  await page.keyboard.press("0");
  await settled(page);
  assert.match(await middle(), /^103 of 103/);
  for (let n = 0; n < 4; n += 1) await page.keyboard.press("+");
  await settled(page);
  assert.ok(Number((await middle()).split(" ")[0]) < 103);
  assert.match(await hash(page), /view=/);
  await page.keyboard.press("0");
  await settled(page);
  assert.ok(!(await hash(page)).includes("view="));
  await page.getByRole("button", { name: "Linear" }).click();
  await settled(page);
  assert.ok(!(await middle()).includes("collapsed"));
  assert.match(await hash(page), /scale=linear/);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("the strip by mouse: hover tells, drag and wheel zoom, the small one moves", async () => {
  const page = await open(pageOf(X86_FULL));
  const box = await page.locator("#strip").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + 40);
  assert.match(await page.textContent(".tip"), /Private Data.*reserve/);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 40, { steps: 4 });
  await page.mouse.up();
  await settled(page);
  const left = () => page.textContent(".axis span:nth-child(1)").then((text) => parseInt(text, 16));
  const zoomed = await left();
  assert.ok(zoomed > 0x38000000 && zoomed < 0x48000000, zoomed.toString(16));
  const lens = await page.locator(".mini").boundingBox();
  await page.mouse.click(lens.x + lens.width * 0.2, lens.y + 8);
  await settled(page);
  assert.ok((await left()) < zoomed);
  await page.locator("#strip").focus();
  const before = await page.textContent(".axis span:nth-child(2)");
  await page.mouse.move(box.x + 300, box.y + 40);
  await page.mouse.wheel(0, -400);
  await settled(page);
  assert.notEqual(await page.textContent(".axis span:nth-child(2)"), before);
  await page.mouse.dblclick(box.x + 500, box.y + 40);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a thread's row selects its stack, its region leads back", async () => {
  const page = await open(pageOf(OVERFLOW), { hash: "tab=threads" });
  const first = page.locator("#panel-threads tbody tr").first();
  assert.match(await first.textContent(), /crashed.*overflowed/);
  await first.click();
  assert.match(await page.textContent("#detail"), /^SStack/);
  assert.equal(await first.getAttribute("aria-current"), "true");
  await page.keyboard.press("1");
  assert.equal(await page.locator("#grid .row.on").count(), 1);
  await page.getByRole("button", { name: "Thread 4100" }).click();
  assert.ok(await page.locator("#panel-threads").isVisible());
  await page.context().close();
});

test("the crash: fault address in its surroundings, registers lead to regions", async () => {
  const page = await open(pageOf(X64_CRASH), { hash: "tab=crash" });
  const crash = json("crash", X64_CRASH);
  const text = await page.textContent("#panel-crash");
  assert.ok(text.includes(crash.message) && text.includes(crash.signature));
  assert.ok(text.includes("fault, +0x24"));
  await page.locator(".registers > div", { hasText: "rsp" }).getByRole("button").click();
  assert.match(await page.textContent("#detail"), /^SStack.*See Thread/);
  await page.context().close();
});

test("free memory: the largest first and marked, with its fences", async () => {
  const page = await open(pageOf(X86_FRAGMENTED), { hash: "tab=free" });
  const { free } = json("summary", X86_FRAGMENTED).summary;
  const first = await page.locator("#panel-free table.list").first().locator("tbody tr").first().textContent();
  assert.ok(first.includes("largest") && first.includes(`${(free.largest / 1024).toLocaleString("en-US")} K`), first);
  assert.ok((await page.textContent("#panel-free")).includes("What splits the free memory"));
  await page.getByRole("button", { name: "Show all 1,021" }).click();
  assert.equal(await page.locator("#panel-free table.list").first().locator("tbody tr").count(), free.blocks);
  await page.context().close();
});

test("evidence: the winner first, the losing claims last", async () => {
  const page = await open(pageOf(X64), { hash: "a=0x1000590010" });
  const lines = await page.$$eval(".evidence li", (all) => all.map((line) => [line.className, line.querySelector("code").textContent]));
  const wanted = run("regions", X64, "--at", "0x1000590010", "-f", "jsonl");
  assert.deepEqual(lines.map(([, source]) => source), JSON.parse(wanted).evidence.map((of) => of.source));
  assert.equal(lines[0][0], "wins");
  await page.context().close();
});

test("going to an address by hand", async () => {
  const page = await open(pageOf(X64));
  await page.keyboard.press("g");
  await page.keyboard.type("00000010`00590010");
  await page.keyboard.press("Enter");
  assert.match(await page.textContent("#detail"), /^HHeap/);
  await page.fill("#go", "nowhere");
  await page.keyboard.press("Enter");
  assert.match(await page.textContent("#toast"), /no address/);
  await page.context().close();
});

test("dark by the system and by the switch", async () => {
  const ground = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await open(pageOf(X64), { colorScheme: "dark" });
  assert.equal(await ground(dark), "rgb(20, 23, 27)");
  await dark.click("#theme");
  await dark.click("#theme");
  assert.equal(await dark.textContent("#theme"), "Colours: light");
  assert.equal(await ground(dark), "rgb(255, 255, 255)");
  await dark.reload();
  await dark.waitForSelector("html[data-ready]");
  assert.equal(await ground(dark), "rgb(255, 255, 255)");
  await dark.context().close();
});

test("findings lead to what they are about; keys are listed", async () => {
  const page = await open(pageOf(X86_FULL));
  await page.locator(".card .where button").first().click();
  assert.match(await page.textContent("#detail"), /^\.Free/);
  await page.keyboard.press("?");
  assert.ok(await page.locator("dialog").isVisible());
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("dialog").isVisible(), false);
  await page.context().close();
});

test("an empty dump has an empty page, not a broken one", async () => {
  const page = await open(pageOf(EMPTY));
  assert.match(await count(page), /^0 of 0 rows/);
  for (const key of ["s", "Home", "ArrowRight", "+", "r", "End", "Enter", "c"]) await page.keyboard.press(key);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test("a browser that cannot unpack says so", async () => {
  const context = await (await import("./pages.js")).browser().then((browser) => browser.newContext());
  const page = await context.newPage();
  await page.addInitScript(() => delete window.DecompressionStream);
  await page.goto(`file://${pageOf(X64)}`);
  await page.waitForSelector("#trouble:not([hidden])");
  assert.match(await page.textContent("#trouble"), /too old/);
  await context.close();
});
