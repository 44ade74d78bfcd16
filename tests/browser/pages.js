// What the tests share: pages made by the program, and a browser to open them.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
export const program = process.env.DUMPMAP_BIN ?? join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug", "dumpmap");
const folder = mkdtempSync(join(tmpdir(), "dumpmap-pages-"));

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const CHROMIUM = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);

let running = null;
export async function browser() {
  running ??= await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  return running;
}

export async function close() {
  await running?.close();
  rmSync(folder, { recursive: true, force: true });
}

export const run = (...args) => execFileSync(program, args, { cwd: root, maxBuffer: 1 << 28, encoding: "utf8" });
export const json = (command, dump) => JSON.parse(run(command, dump, "-f", "json"));

// The page of a dump, made once.
const made = new Map();
export function pageOf(...dumps) {
  const key = dumps.join(" ");
  if (!made.has(key)) {
    const path = join(folder, `${made.size}-${basename(dumps.at(-1))}.html`);
    run("report", ...dumps, "-o", path);
    made.set(key, path);
  }
  return made.get(key);
}

// Opens a page and keeps count of what it must not do: talk to the network,
// complain, or open a dialog.
export async function open(path, { hash = "", script = true, wait = true, ...options } = {}) {
  const context = await (await browser()).newContext({
    viewport: { width: 1440, height: 1000 }, javaScriptEnabled: script, ...options,
  });
  const page = await context.newPage();
  const url = pathToFileURL(path).href + (hash && `#${hash}`);
  page.faults = [];
  page.on("console", (message) => page.faults.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => page.faults.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    page.faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    const own = request.url().startsWith("file:") && request.isNavigationRequest();
    if (!own && !request.url().startsWith("data:")) page.faults.push(`request: ${request.url()}`);
  });
  if (script) {
    // What is copied can be read back without the system's clipboard.
    await page.addInitScript(() => {
      window.copied = [];
      const clipboard = { writeText: async (text) => void window.copied.push(text) };
      Object.defineProperty(navigator, "clipboard", { value: clipboard });
    });
  }
  await page.goto(url);
  if (script && wait) await page.waitForSelector("html[data-ready]");
  return page;
}

export const X86_FULL = "fixtures/scenarios/x86-exhausted.info.dmp";
export const X86_FRAGMENTED = "fixtures/scenarios/x86-fragmented.info.dmp";
export const X64_CRASH = "fixtures/scenarios/x64-crash-null.mini.dmp";
export const X64 = "fixtures/windows-x64.dmp";
export const OVERFLOW = "fixtures/stack-overflow.dmp";
export const LINUX = "fixtures/scenarios/lx-python3.dmp";
export const REBUILT = "fixtures/rebuilt-map.dmp";
export const HOSTILE = "fixtures/hostile-names.dmp";
export const EMPTY = "fixtures/no-streams.dmp";
export const ALL = [X86_FULL, X86_FRAGMENTED, X64_CRASH, X64, OVERFLOW, LINUX, REBUILT, HOSTILE, EMPTY];
