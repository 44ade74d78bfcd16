// Pages of tables: many dumps, and what grew.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { HOSTILE, OVERFLOW, X64, X64_CRASH, X86_FULL, close, open, program, root, run } from "./pages.js";

const folder = mkdtempSync(join(tmpdir(), "dumpmap-many-"));
after(async () => {
  await close();
  rmSync(folder, { recursive: true, force: true });
});
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function noBarriers(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  const bad = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  assert.deepEqual(bad.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), []);
}

const dumps = join(folder, "dumps");
mkdirSync(join(dumps, "old"), { recursive: true });
for (const dump of [X86_FULL, X64, X64_CRASH, HOSTILE]) copyFileSync(join(root, dump), join(dumps, dump.split("/").at(-1)));
copyFileSync(join(root, OVERFLOW), join(dumps, "old", "stack overflow & <b>.dmp"));
writeFileSync(join(dumps, "broken.dmp"), "hello");
const many = join(folder, "crashes of today.html");

test("a folder: one row a dump, bad files too, each with its page", async () => {
  const call = () => execFileSync(program, ["report", dumps, "--pages", "-o", many], { encoding: "utf8", stdio: "pipe" });
  assert.throws(call, (error) => error.status === 2 && error.stderr.includes("1 could not be read"));
  const page = await open(many);
  const rows = page.locator("tbody tr");
  assert.equal(await rows.count(), 6);
  assert.match(await page.locator("tr.alarm").textContent(), /broken\.dmp.*could not be read: not a minidump/);
  const scan = JSON.parse(`[${run("scan", join(dumps, "x86-exhausted.info.dmp"), "-f", "jsonl").trim()}]`)[0];
  const values = await page.locator("tr", { hasText: "x86-exhausted" }).locator("td").evaluateAll((cells) => cells.map((cell) => cell.dataset.sort ?? cell.textContent));
  assert.deepEqual(values.slice(0, 6), [scan.process_name, scan.verdict, ...[scan.total_committed, scan.total_committed, scan.total_private, scan.free_largest].map(String)]);
  const link = page.getByRole("link", { name: "old/stack overflow & <b>.dmp" });
  await Promise.all([page.waitForURL(/pages/), link.click()]);
  await page.waitForSelector("html[data-ready]");
  assert.match(await page.textContent(".verdict"), /No sign/);
  assert.equal(readdirSync(join(folder, "crashes of today-pages")).length, 5);
  await page.context().close();
});

test("a folder's rows sort, filter and group, and the link keeps it", async () => {
  const page = await open(many);
  const names = () => page.$$eval("tbody th[scope=row]", (cells) => cells.map((cell) => cell.textContent));
  const head = (name) => page.getByRole("columnheader", { name, exact: true }).getByRole("button");
  await head("Private").click();
  const privates = await page.$$eval("tbody tr td:nth-child(6)", (cells) => cells.map((cell) => Number(cell.dataset.sort || 0)));
  assert.deepEqual(privates, [...privates].sort((a, b) => b - a));
  await head("Dump").click();
  assert.equal((await names())[0], "broken.dmp");
  await page.keyboard.press("/");
  await page.keyboard.type("amd64");
  assert.match(await page.textContent(".controls"), /4 of 6 rows/);
  await page.keyboard.press("Escape");
  await page.getByLabel("Group by").selectOption({ label: "by verdict" });
  assert.match(await page.locator(".grouphead").first().textContent(), /dumps?$/);
  const hash = await page.evaluate(() => location.hash);
  assert.match(hash, /group=Verdict/);
  const again = await open(many, { hash: hash.slice(1) });
  assert.equal(await again.locator(".grouphead").count(), await page.locator(".grouphead").count());
  await noBarriers(again);
  assert.deepEqual([...page.faults, ...again.faults], []);
  await again.context().close();
  await page.context().close();
});

test("a folder's page reads without script and is no wider than a telephone", async () => {
  const plain = await open(many, { script: false });
  assert.equal(await plain.locator("tbody tr").count(), 6);
  await plain.context().close();
  const narrow = await open(many, { viewport: { width: 360, height: 700 }, colorScheme: "dark" });
  assert.ok((await narrow.evaluate(() => document.documentElement.scrollWidth)) <= 360);
  assert.equal(await narrow.evaluate(() => document.images.length + document.querySelectorAll("th b").length), 0);
  await noBarriers(narrow);
  assert.deepEqual(narrow.faults, []);
  await narrow.context().close();
});

const shared = join(process.env.DUMPMAP_SHARED ?? join(root, "..", "shared"), "scenarios");
const before = join(shared, "x64-leak-before.info.dmp");
test("what grew: the numbers are those of diff", { skip: existsSync(before) ? false : `no ${before}` }, async () => {
  const after_ = join(shared, "x64-leak-after.info.dmp");
  const path = join(folder, "growth.html");
  run("report", "--diff", before, after_, "-o", path);
  const diff = JSON.parse(run("diff", before, after_, "-f", "json"));
  const page = await open(path);
  const total = diff.total.committed / 1024;
  assert.ok((await page.textContent("table")).includes(`+${total.toLocaleString("en-US")} K`));
  const heading = await page.textContent(".verdict h2");
  assert.equal(heading.toLowerCase(), diff.conclusion[0].toLowerCase());
  assert.equal(await page.locator(".bars svg rect").count() > 8, true);
  const owners = page.locator("section", { has: page.getByRole("heading", { name: "By owner" }) });
  assert.equal(await owners.locator("tbody tr").count(), diff.owners.length);
  await owners.getByRole("button", { name: "Size", exact: true }).click();
  const sizes = await owners.locator("tbody tr td:nth-child(2)").evaluateAll((cells) => cells.map((cell) => Number(cell.dataset.sort)));
  assert.deepEqual(sizes, [...sizes].sort((a, b) => b - a));
  await noBarriers(page);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
