// Regions as a tree by allocation. Only the rows in sight are in the document.

const ROW = 24;
// Browsers do not scroll farther than some million pixels; then a pixel of the
// scroll bar is more than a row.
const FAR = 6000000;

const regions = { rows: new Int32Array(0), expanded: new Set(), cursor: 0, pool: [], own: false };

const COLUMNS = [
  ["address", "Address", ""], ["kind", "Type", ""], ["size", "Size", "num"],
  ["committed", "Committed", "num"], ["captured", "Captured", "num"], ["blocks", "Blocks", "num"],
  ["access", "Protection", ""], ["label", "Details", "grow"],
];

function buildRegions(panel) {
  const choose = (key, label, options) => el("select", {
    "aria-label": label, onchange: (event) => filterBy({ [key]: event.target.value }),
  }, options.map(([value, text]) => el("option", { value }, text)));
  const accesses = [...new Set(model.classes.map((of) => of.access).filter(Boolean))].sort();
  regions.query = el("input", {
    id: "query", type: "search", placeholder: "Filter: name, use, thread, address", size: 28,
    "aria-label": "Filter by name, use, thread or address", spellcheck: "false", autocomplete: "off",
    oninput: () => filterBy({ query: regions.query.value }),
    onkeydown: (event) => {
      if (event.key === "ArrowDown" || event.key === "Enter") {
        event.preventDefault();
        regions.grid.focus();
      }
    },
  });
  regions.states = choose("states", "State", [["", "any state"], ["commit", "commit"], ["reserve", "reserve"], ["free", "free"], ["unknown", "unknown"]]);
  regions.access = choose("access", "Protection", [["", "any protection"], ...accesses.map((text) => [text, text])]);
  regions.min = el("input", {
    type: "text", size: 7, placeholder: "min size", "aria-label": "Least size, such as 64K",
    oninput: () => {
      regions.min.setAttribute("aria-invalid", String(regions.min.value !== "" && parseSize(regions.min.value) === null));
      filterBy({ min: regions.min.value });
    },
  });
  const button = (text, run) => el("button", { type: "button", onclick: run }, text);
  regions.heads = COLUMNS.map(([key, title, cls]) => el("div", { role: "columnheader", class: cls },
    el("button", { type: "button", tabindex: -1, onclick: () => sortBy(key) }, title)));
  regions.body = el("div", { role: "rowgroup", class: "rows" });
  regions.grid = el("div", {
    id: "grid", class: "grid", role: "treegrid", tabindex: 0, "aria-label": "Regions by allocation",
    "aria-colcount": COLUMNS.length, onkeydown: gridKey, onscroll: drawRows,
  },
    el("div", { role: "rowgroup", class: "heads" }, el("div", { role: "row" }, regions.heads)),
    regions.body);
  regions.count = el("p", { class: "fine count", role: "status" });
  put(panel,
    el("div", { class: "controls" }, regions.query, regions.states, regions.access, regions.min,
      button("Expand all", () => expandAll(true)), button("Collapse all", () => expandAll(false)),
      button("Clear", clearFilter)),
    regions.grid, regions.count);
  regions.body.addEventListener("click", (event) => {
    const node = event.target.closest(".row");
    if (!node) return;
    regions.cursor = node.index;
    if (event.target.closest(".twist")) toggle(node.index);
    else selectRow(node.index);
    drawRows();
  });
  regions.body.addEventListener("dblclick", (event) => {
    const node = event.target.closest(".row");
    if (node && !event.target.closest(".twist")) toggle(node.index);
  });
  new ResizeObserver(() => {
    fillPool();
    drawRows();
  }).observe(regions.grid);
  watch((what) => {
    if (what.has("filter")) {
      if (document.activeElement !== regions.query) regions.query.value = state.query;
      regions.states.value = state.states;
      regions.access.value = state.access;
      if (document.activeElement !== regions.min) regions.min.value = state.min;
      listRows();
    }
    if (what.has("at")) follow();
    if (what.has("tab") && state.tab === "regions") follow();
  });
  regions.query.value = state.query;
  regions.states.value = state.states;
  regions.access.value = state.access;
  regions.min.value = state.min;
  listRows();
  follow();
}

function clearFilter() {
  filterBy({ query: "", kinds: new Set(), states: "", access: "", min: "" });
}

function sortBy(key) {
  const down = state.sort === key ? !state.down : ["size", "committed", "captured", "blocks"].includes(key);
  filterBy({ sort: key, down });
}

// ---- which rows ---------------------------------------------------------------

const filtered = () => Boolean(state.query || state.kinds.size || state.states || state.access || state.min);

// A function that says whether a piece meets the filter.
function filterNow() {
  const query = state.query.trim().toLowerCase();
  const address = query.length > 3 ? parseAddress(query) : null;
  const holder = address ? pieceAt(address) : -1;
  const min = parseSize(state.min || "0") ?? 0;
  const classes = model.classes.map((of) =>
    (!state.kinds.size || state.kinds.has(model.kinds[of.kind][0]))
    && (!state.states || of.state === state.states)
    && (!state.access || of.access === state.access));
  const texts = model.classes.map((of) =>
    `${model.kinds[of.kind][1]} ${of.state} ${of.type ?? ""} ${of.protect}`.toLowerCase().includes(query));
  const standings = [false, ...model.standings.map(([usage, name, thread, heap]) =>
    `${usage}\n${name}\n${thread === null ? "" : `thread ${thread}`}\n${heap ? `heap ${heap}` : ""}`.toLowerCase().includes(query))];
  return (i) => classes[model.cls[i]] && model.bytes[i] >= min
    && (!query || standings[model.standing[i]] || texts[model.cls[i]] || i === holder);
}

function listRows() {
  const meets = filtered() ? filterNow() : null;
  let order = new Int32Array(model.groups);
  let kept = 0;
  let bytes = 0;
  for (let g = 0; g < model.groups; g += 1) {
    let keep = !meets;
    for (let i = model.first[g]; i < model.first[g + 1] && meets; i += 1) {
      if (!meets(i)) continue;
      keep = true;
      bytes += model.bytes[i];
    }
    if (keep) order[kept++] = g;
  }
  order = order.subarray(0, kept);
  sortGroups(order);
  regions.order = order;
  regions.meets = meets;
  regions.bytes = meets ? bytes : model.bytes.reduce((sum, size) => sum + size, 0);
  flatten();
}

function sortGroups(order) {
  const sign = state.down ? -1 : 1;
  if (state.sort === "address") {
    if (state.down) order.reverse();
    return;
  }
  if (state.sort === "label" || state.sort === "access") {
    const text = state.sort === "label" ? groupLabel : groupAccess;
    const keys = new Array(model.groups);
    for (const g of order) keys[g] = text(g).toLowerCase();
    order.sort((a, b) => sign * (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : 0) || a - b);
    return;
  }
  const keys = {
    kind: model.groupKind, size: model.groupBytes, committed: model.groupCommitted,
    captured: model.groupCaptured, blocks: model.groupBlocks,
  }[state.sort];
  order.sort((a, b) => sign * (keys[a] - keys[b]) || a - b);
}

// Rows: a group as ~group, a piece of an expanded one as itself.
function flatten() {
  const { order, expanded, meets } = regions;
  let length = order.length;
  for (const g of expanded) length += model.first[g + 1] - model.first[g];
  const rows = new Int32Array(length);
  let at = 0;
  for (const g of order) {
    rows[at++] = ~g;
    if (!expanded.has(g)) continue;
    for (let i = model.first[g]; i < model.first[g + 1]; i += 1) if (!meets || meets(i)) rows[at++] = i;
  }
  regions.rows = rows.subarray(0, at);
  regions.cursor = Math.max(0, Math.min(regions.cursor, at - 1));
  regions.grid.setAttribute("aria-rowcount", String(at + 1));
  const high = at * ROW;
  regions.far = high > FAR;
  regions.grid.style.setProperty("--rows", String(Math.min(at, 1000)));
  regions.body.style.height = `${Math.min(high, FAR)}px`;
  regions.count.textContent = `${group(order.length)} of ${group(model.groups)} rows, ${kib(regions.bytes)}`
    + (filtered() ? " meet the filter" : "");
  COLUMNS.forEach(([key], n) => {
    if (key === state.sort) regions.heads[n].setAttribute("aria-sort", state.down ? "descending" : "ascending");
    else regions.heads[n].removeAttribute("aria-sort");
  });
  fillPool();
  drawRows();
}

const many = (g) => model.first[g + 1] - model.first[g] > 1;

function toggle(index, on) {
  const row = regions.rows[index];
  if (row === undefined || row >= 0 || !many(~row)) return;
  const g = ~row;
  if (on ?? !regions.expanded.has(g)) regions.expanded.add(g);
  else regions.expanded.delete(g);
  flatten();
}

function expandAll(on) {
  regions.expanded.clear();
  for (const g of on ? regions.order : []) if (many(g)) regions.expanded.add(g);
  flatten();
  follow();
}

// ---- what is in sight -----------------------------------------------------------

const inSight = () => Math.max(1, Math.floor((regions.grid.clientHeight - 28) / ROW));

function fillPool() {
  const wanted = Math.min(regions.rows.length, inSight() + 3);
  while (regions.pool.length < wanted) {
    const slot = regions.pool.length;
    const cells = COLUMNS.map(([, , cls]) => el("div", { role: "gridcell", class: cls }));
    const twist = el("span", { class: "twist", "aria-hidden": "true" });
    const address = document.createTextNode("");
    cells[0].append(twist, address);
    const square = el("span", { class: "swatch", "aria-hidden": "true" });
    const kind = document.createTextNode("");
    cells[1].append(square, kind);
    const texts = cells.slice(2).map((cell) => cell.appendChild(document.createTextNode("")));
    const node = el("div", { role: "row", class: "row", id: `row-${slot}` }, cells);
    Object.assign(node, { twist, address, square, kind, texts, index: -1, shows: null });
    regions.pool.push(node);
    regions.body.append(node);
  }
  while (regions.pool.length > wanted) regions.pool.pop().remove();
}

// The row at the top, maybe a part of it.
function topRow() {
  const { grid, rows } = regions;
  if (!regions.far) return grid.scrollTop / ROW;
  const reach = grid.scrollHeight - grid.clientHeight;
  return reach > 0 ? (grid.scrollTop / reach) * (rows.length - inSight()) : 0;
}

function drawRows() {
  const { pool, rows, grid } = regions;
  if (pool.length === 0) return;
  const top = topRow();
  const first = Math.max(0, Math.min(Math.floor(top), rows.length - pool.length));
  for (let n = 0; n < pool.length; n += 1) {
    const index = first + n;
    const node = pool[index % pool.length];
    const y = regions.far ? grid.scrollTop + (index - top) * ROW : index * ROW;
    if (node.y !== y) node.style.transform = `translateY(${node.y = y}px)`;
    drawRow(node, index);
  }
  const cursor = regions.cursor;
  if (cursor >= first && cursor < first + pool.length) {
    grid.setAttribute("aria-activedescendant", pool[cursor % pool.length].id);
  } else grid.removeAttribute("aria-activedescendant");
}

function drawRow(node, index) {
  const row = regions.rows[index];
  const g = row < 0 ? ~row : model.of[row];
  const open = row < 0 && regions.expanded.has(g);
  const here = state.at >= 0 && model.of[state.at] === g;
  const on = row < 0 ? here && !open : row === state.at;
  const key = `${row} ${open} ${on} ${here} ${index === regions.cursor}`;
  if (node.index === index && node.shows === key) return;
  if (node.index !== index) node.setAttribute("aria-rowindex", String(index + 2));
  node.index = index;
  node.shows = key;
  const kind = row < 0 ? model.groupKind[g] : kindOf(row);
  const i = row < 0 ? model.first[g] : row;
  const loose = classOf(i).state === "free";
  node.className = `row${on ? " on" : ""}${here ? " here" : ""}${index === regions.cursor ? " cursor" : ""}${row < 0 ? "" : " child"}`;
  node.setAttribute("aria-level", row < 0 ? "1" : "2");
  node.setAttribute("aria-selected", String(on));
  if (row < 0 && many(g)) node.setAttribute("aria-expanded", String(open));
  else node.removeAttribute("aria-expanded");
  node.twist.textContent = row < 0 && many(g) ? (open ? "▾" : "▸") : "";
  node.address.data = hexOf(i);
  node.square.textContent = model.kinds[kind][2];
  node.square.style.background = model.kinds[kind][3];
  node.kind.data = model.kinds[kind][1];
  const [size, committed, captured, blocks, access, label] = node.texts;
  const cls = classOf(i);
  if (row < 0) {
    size.data = kib(model.groupBytes[g]);
    committed.data = loose ? "" : cls.state === "unknown" ? "?" : kib(model.groupCommitted[g]);
    captured.data = loose ? "" : kib(model.groupCaptured[g]);
    blocks.data = loose || !model.groupBlocks[g] ? "" : group(model.groupBlocks[g]);
    access.data = groupAccess(g);
    label.data = many(g) ? groupLabel(g) : labelOf(i);
  } else {
    size.data = kib(model.bytes[i]);
    committed.data = cls.state === "commit" ? kib(model.bytes[i]) : cls.state === "unknown" ? "?" : "";
    captured.data = loose ? "" : kib(model.captured[i]);
    blocks.data = "";
    access.data = accessOf(i);
    label.data = labelOf(i);
  }
}

function groupAccess(g) {
  const first = accessOf(model.first[g]);
  const end = Math.min(model.first[g + 1], model.first[g] + 200);
  for (let i = model.first[g] + 1; i < end; i += 1) if (accessOf(i) !== first) return "mixed";
  return first;
}

// ---- moving -------------------------------------------------------------------

function toRow(index) {
  const { grid } = regions;
  regions.cursor = Math.max(0, Math.min(regions.rows.length - 1, index));
  const [top, sight] = [topRow(), inSight()];
  let next = null;
  if (regions.cursor < Math.ceil(top)) next = regions.cursor;
  else if (regions.cursor >= Math.floor(top) + sight) next = regions.cursor - sight + 1;
  if (next !== null) {
    const reach = grid.scrollHeight - grid.clientHeight;
    grid.scrollTop = regions.far ? (next / (regions.rows.length - sight)) * reach : next * ROW;
  }
  drawRows();
}

// The row of the selection, if the filter shows it.
function follow() {
  // A selection made here leaves the cursor where it is.
  if (!regions.grid || state.at < 0 || regions.own) return drawRows();
  const g = model.of[state.at];
  const wanted = regions.expanded.has(g) ? state.at : ~g;
  let index = regions.rows.indexOf(wanted);
  if (index < 0) index = regions.rows.indexOf(~g);
  if (index >= 0) toRow(index);
  else drawRows();
}

function selectRow(index) {
  const row = regions.rows[index];
  if (row === undefined) return;
  regions.own = true;
  selectPiece(row < 0 ? model.first[~row] : row);
  regions.own = false;
  reveal();
}

function gridKey(event) {
  if (event.target !== regions.grid || event.ctrlKey || event.metaKey || event.altKey) return;
  const { cursor, rows } = regions;
  const row = rows[cursor];
  if (row === undefined) return;
  const g = row < 0 ? ~row : model.of[row];
  const open = regions.expanded.has(g);
  const move = (index) => {
    toRow(index);
    selectRow(regions.cursor);
  };
  const keys = {
    ArrowDown: () => move(cursor + 1),
    ArrowUp: () => move(cursor - 1),
    PageDown: () => move(cursor + inSight()),
    PageUp: () => move(cursor - inSight()),
    Home: () => move(0),
    End: () => move(rows.length - 1),
    ArrowRight: () => (row < 0 && many(g) && !open ? toggle(cursor, true) : open && row < 0 ? move(cursor + 1) : null),
    ArrowLeft: () => (row >= 0 ? move(rows.indexOf(~g)) : toggle(cursor, false)),
    Enter: () => (row < 0 ? toggle(cursor) : selectRow(cursor)),
    " ": () => selectRow(cursor),
    c: () => copy(textOf(row < 0 ? model.first[g] : row), "the region as text"),
    w: () => copy(commandsOf(row < 0 ? model.first[g] : row), "WinDbg commands"),
    z: () => zoomTo(row < 0 ? model.first[g] : row),
  };
  const run = keys[event.key];
  if (!run) return;
  event.preventDefault();
  event.stopPropagation();
  run();
}
