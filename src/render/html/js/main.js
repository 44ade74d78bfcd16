// Puts the page together once the data is there.

const BUILD = {
  regions: buildRegions, free: buildFree, threads: buildThreads, heaps: buildHeaps,
  images: buildImages, crash: buildCrash,
};
const panels = {};

async function start() {
  theme(() => model && strip.canvas && redraw(true));
  byId("tools").append(el("button", { type: "button", onclick: showKeys }, "Keys"));
  if (typeof DecompressionStream === "undefined") {
    return trouble("This browser is too old for the strip and the tables (it cannot unpack their data). The numbers above are complete.");
  }
  try {
    await load();
  } catch (error) {
    return trouble(`The data of this page cannot be read: ${error.message}. The numbers above are complete.`);
  }
  document.documentElement.classList.add("live");
  byId("stage").hidden = false;
  readHash();
  strip.crash = -1;
  strip.largest = -1;
  const crashed = doc.crash.recorded && (doc.crash.accessed ?? doc.crash.instruction);
  if (crashed) strip.crash = pieceAt(parseAddress(crashed));
  buildTabs();
  buildStrip();
  buildDetail();
  upgrade();
  window.addEventListener("hashchange", () => {
    if (location.hash.slice(1) === hash()) return;
    readHash();
    layOut();
    changed("at", "filter", "tab");
    reveal();
  });
  document.addEventListener("keydown", globalKey);
  changed("tab");
  if (state.at >= 0 && !state.view) reveal();
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

function trouble(text) {
  const node = byId("trouble");
  node.textContent = text;
  node.hidden = false;
}

// A tab is built when it is first shown.
function buildTabs() {
  const buttons = TABS.map(([id, title]) => el("button", {
    type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}`,
    onclick: () => showTab(id), onkeydown: tabKey,
  }, title));
  put(byId("tabs"), buttons);
  put(byId("panels"), TABS.map(([id]) => {
    panels[id] = el("div", { role: "tabpanel", id: `panel-${id}`, "aria-labelledby": `tab-${id}`, tabindex: -1, hidden: true });
    return panels[id];
  }));
  watch((what) => {
    if (!what.has("tab") && !what.has("at")) return;
    const panel = panels[state.tab];
    if (what.has("tab")) {
      for (const [id] of TABS) {
        const on = id === state.tab;
        panels[id].hidden = !on;
        byId(`tab-${id}`).setAttribute("aria-selected", String(on));
        byId(`tab-${id}`).tabIndex = on ? 0 : -1;
      }
      if (!panel.built) {
        panel.built = true;
        BUILD[state.tab](panel);
      }
      redraw(false);
    }
    for (const list of panel.children) list.toSelection?.();
  });
}

function tabKey(event) {
  const at = TABS.findIndex(([id]) => id === state.tab);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const [id] = TABS[(to + TABS.length) % TABS.length];
  showTab(id);
  byId(`tab-${id}`).focus();
}

// Script for what Rust wrote: rows of the table filter, findings show where
// they are.
function upgrade() {
  for (const row of byId("types").querySelectorAll("tr[data-kind]")) {
    const word = row.dataset.kind;
    if (word === "total" || !model.kinds.some(([kind]) => kind === word)) continue;
    const name = row.querySelector(".kind");
    const button = el("button", {
      type: "button", class: "link", "aria-pressed": "false", title: `Only ${name.textContent}`,
      onclick: () => {
        toggleKind(word);
        showTab("regions");
      },
    });
    button.append(...name.childNodes);
    name.append(button);
    watch(() => button.setAttribute("aria-pressed", String(state.kinds.has(word))));
  }
  for (const card of document.querySelectorAll("[data-finding]")) {
    const { ranges } = doc.summary.findings[Number(card.dataset.finding)];
    if (ranges.length === 0) continue;
    const shown = ranges.slice(0, 12);
    card.append(el("p", { class: "where" }, "Show: ",
      shown.map((range) => el("button", {
        type: "button", class: "link mono",
        onclick: () => {
          select(parseAddress(range.base));
          reveal();
          byId("space").scrollIntoView({ block: "nearest" });
        },
      }, short(range.base))), ranges.length > shown.length && ` and ${group(ranges.length - shown.length)} more`));
  }
}

// ---- keys -------------------------------------------------------------------

const KEYS = [
  ["/", "filter"], ["g", "go to an address"], ["s", "to the strip"], ["r", "to the list of regions"],
  ["1 … 6", "tabs"], ["Esc", "drop filter, then selection"], ["c", "copy the selection as text"],
  ["w", "copy WinDbg commands"], ["l", "copy a link to this view"], ["z", "zoom to the selection"],
  ["↑ ↓ → ←", "in lists: move, open, close; in the strip: allocations, pieces"],
  ["+ − 0", "in the strip: zoom in, out, all"], ["?", "these keys"],
];

function showKeys() {
  const dialog = byId("keys") ?? document.body.appendChild(el("dialog", { id: "keys", "aria-label": "Keys" },
    el("h2", {}, "Keys"),
    el("dl", { class: "pairs" }, KEYS.map(([key, text]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)])),
    el("form", { method: "dialog" }, el("button", {}, "Close"))));
  dialog.showModal();
}

function globalKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys")?.open) return;
  if (event.key === "Escape") {
    if (typing(event)) event.target.blur();
    else if (filtered()) clearFilter();
    else if (state.address) select(null);
    return;
  }
  if (typing(event)) return;
  const number = Number(event.key);
  if (number >= 1 && number <= TABS.length) return showTab(TABS[number - 1][0]);
  const keys = {
    "/": () => (showTab("regions"), regions.query.focus(), regions.query.select()),
    g: () => byId("go").focus(),
    s: () => strip.box.focus(),
    r: () => (showTab("regions"), regions.grid.focus()),
    c: () => state.at >= 0 && copy(textOf(state.at), "the region as text"),
    w: () => state.at >= 0 && copy(commandsOf(state.at), "WinDbg commands"),
    l: copyLink,
    z: () => zoomTo(state.at),
    "?": showKeys,
  };
  const run = keys[event.key];
  if (!run) return;
  event.preventDefault();
  run();
}

start();
