// A table of a tab: sorted by any column, its rows tied to addresses.

const SHOWN = 300;

// columns: {title, key(row) to sort by, cell(row) text or node, num, down}.
// `addressOf(row)` gives what a click selects, `holds(row, address)` whether
// the row is about the selection.
function table({ label, rows, columns, addressOf, holds, mark, expand }) {
  const sort = { by: -1, down: false };
  let all = false;
  const body = el("tbody");
  const heads = columns.map((column, at) => el("th", { scope: "col", class: column.num ? "num" : null },
    column.key ? el("button", { type: "button", onclick: () => order(at) }, column.title) : column.title));
  const more = el("button", { type: "button", hidden: true, onclick: () => ((all = true), draw()) });
  const node = el("div", {},
    el("div", { class: "scroll tall", tabindex: 0, role: "region", "aria-label": label },
      el("table", { class: "list" }, el("thead", {}, el("tr", {}, heads)), body)), more);

  function order(at) {
    sort.down = sort.by === at ? !sort.down : Boolean(columns[at].num);
    sort.by = at;
    draw();
  }

  function sorted() {
    if (sort.by < 0) return rows;
    const { key } = columns[sort.by];
    const sign = sort.down ? -1 : 1;
    const value = (row) => key(row) ?? -Infinity;
    return [...rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      return sign * (typeof x === "string" && typeof y === "string" ? x.localeCompare(y, "en") : x < y ? -1 : x > y ? 1 : 0);
    });
  }

  function draw() {
    heads.forEach((head, at) => {
      if (sort.by === at) head.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const list = sorted();
    const shown = all ? list : list.slice(0, SHOWN);
    body.replaceChildren(...shown.flatMap(line));
    more.hidden = shown.length === list.length;
    more.textContent = `Show all ${group(list.length)}`;
    follow();
  }

  function line(row) {
    const address = addressOf(row);
    const cells = columns.map((column) => el("td", { class: column.num ? "num" : null }, column.cell(row)));
    const tr = el("tr", {
      class: mark?.(row), tabindex: address ? 0 : null,
      onclick: (event) => {
        if (event.target.closest("button, summary, a") || !address) return;
        select(address);
        reveal();
      },
      onkeydown: (event) => rowKey(event, tr, address),
    }, cells);
    tr.row = row;
    const extra = expand?.(row);
    return extra ? [tr, el("tr", { class: "extra" }, el("td", { colspan: columns.length }, extra))] : [tr];
  }

  function follow() {
    for (const tr of body.children) {
      if (!tr.row) continue;
      const on = Boolean(state.address && holds?.(tr.row, state.address));
      if (on !== tr.classList.contains("on")) {
        tr.classList.toggle("on", on);
        if (on) tr.setAttribute("aria-current", "true");
        else tr.removeAttribute("aria-current");
      }
    }
  }

  node.toSelection = () => {
    if (!state.address || !holds) return;
    const row = rows.find((other) => holds(other, state.address));
    if (!row) return;
    if (![...body.children].some((tr) => tr.row === row)) {
      all = true;
      draw();
    }
    [...body.children].find((tr) => tr.row === row)?.scrollIntoView({ block: "nearest" });
  };
  watch((what) => what.has("at") && follow());
  draw();
  return node;
}

function rowKey(event, tr, address) {
  if (event.target !== tr) return;
  const step = (next) => {
    let row = tr;
    do row = row[next];
    while (row && row.tabIndex < 0);
    row?.focus();
  };
  const piece = address ? pieceAt(address) : -1;
  const keys = {
    ArrowDown: () => step("nextElementSibling"),
    ArrowUp: () => step("previousElementSibling"),
    Enter: () => address && (select(address), reveal()),
    " ": () => address && (select(address), reveal()),
    c: () => piece >= 0 && copy(textOf(piece), "the region as text"),
    w: () => piece >= 0 && copy(commandsOf(piece), "WinDbg commands"),
  };
  const run = keys[event.key];
  if (!run || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  run();
}

// An address as a button that selects it.
function go(hex, text = hex) {
  const address = hex && parseAddress(hex);
  if (!address) return text ?? "";
  return el("button", { type: "button", class: "link mono", onclick: () => (select(address), reveal()) }, text);
}

const short = (hex) => (hex ? hex.replace(/^0x0+(?=[0-9a-f]{12}$)/, "0x").replace(/^0x0000(?=.{12}$)/, "0x") : "");

const within = (base, size) => {
  const start = base && parseAddress(base);
  if (!start) return () => false;
  const from = place(start);
  return (address) => place(address) >= from && place(address) < from + size / PAGE;
};
