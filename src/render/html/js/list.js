// Pages of tables, which Rust wrote whole: rows can be sorted, filtered and
// grouped. What is shown stands behind # in the address.

const lists = [];

function start() {
  theme();
  for (const table of document.querySelectorAll("table.sortable")) lists.push(sortable(table));
  const main = lists.find((list) => list.table.dataset.groups !== undefined);
  if (main) controls(main);
  document.documentElement.classList.add("live");
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

const valueOf = (cell) => {
  if (!cell) return "";
  const raw = cell.dataset.sort;
  if (raw === undefined) return cell.textContent.trim().toLowerCase();
  return raw === "" ? -Infinity : Number(raw);
};

// A table whose headings sort it.
function sortable(table) {
  const list = { table, rows: [...table.tBodies[0].rows], by: -1, down: false, query: "", group: -1 };
  list.heads = [...table.tHead.rows[0].cells];
  list.heads.forEach((head, at) => {
    const numbers = head.classList.contains("num");
    const button = el("button", { type: "button", onclick: () => {
      list.down = list.by === at ? !list.down : numbers;
      list.by = at;
      arrange(list);
    } });
    button.append(...head.childNodes);
    head.append(button);
  });
  return list;
}

function arrange(list) {
  let rows = list.rows;
  if (list.query) {
    const wanted = list.query.toLowerCase();
    rows = rows.filter((row) => row.textContent.toLowerCase().includes(wanted));
  }
  if (list.by >= 0) {
    const keyed = rows.map((row, at) => [valueOf(row.cells[list.by]), at, row]);
    const sign = list.down ? -1 : 1;
    keyed.sort(([a, m], [b, n]) => {
      const order = typeof a === "number" && typeof b === "number" ? (a < b ? -1 : a > b ? 1 : 0) : String(a).localeCompare(String(b), "en");
      return sign * order || m - n;
    });
    rows = keyed.map(([, , row]) => row);
  }
  list.heads.forEach((head, at) => {
    if (at === list.by) head.setAttribute("aria-sort", list.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
  list.table.tBodies[0].replaceChildren(...(list.group >= 0 ? grouped(list, rows) : rows));
  list.changed?.(rows.length);
}

// Rows under a heading for each value of a column, the largest group first.
function grouped(list, rows) {
  const groups = new Map();
  for (const row of rows) {
    const name = row.cells[list.group]?.textContent.trim() || "none";
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  const all = [...groups].sort((a, b) => b[1].length - a[1].length || a[0].localeCompare(b[0], "en"));
  return all.flatMap(([name, members]) => [
    el("tr", { class: "grouphead" }, el("th", { scope: "rowgroup", colspan: list.heads.length },
      `${name}: ${members.length} ${members.length === 1 ? "dump" : "dumps"}`)),
    ...members,
  ]);
}

// Filter, groups and count of the main table, and its state in the address.
function controls(list) {
  const names = list.heads.map((head) => head.textContent.trim());
  const groups = list.table.dataset.groups.split(" ").map(Number);
  const query = el("input", {
    type: "search", id: "query", placeholder: "Filter", "aria-label": "Filter rows", size: 28,
    oninput: () => ((list.query = query.value), arrange(list)),
  });
  const choose = el("select", { "aria-label": "Group by", onchange: () => ((list.group = Number(choose.value)), arrange(list)) },
    el("option", { value: "-1" }, "no groups"), groups.map((at) => el("option", { value: String(at) }, `by ${names[at].toLowerCase()}`)));
  const shown = el("span", { class: "fine", role: "status" });
  byId("controls").append(query, choose, shown);
  list.changed = (count) => {
    shown.textContent = `${count} of ${list.rows.length} rows`;
    const parts = new URLSearchParams();
    if (list.query) parts.set("q", list.query);
    if (list.by >= 0) parts.set("sort", (list.down ? "-" : "") + names[list.by]);
    if (list.group >= 0) parts.set("group", names[list.group]);
    if (parts.toString() === location.hash.slice(1)) return;
    try {
      history.replaceState(null, "", `#${parts}`);
    } catch {
      // A frame without an address of its own keeps the state to itself.
    }
  };
  const read = () => {
    const parts = new URLSearchParams(location.hash.slice(1));
    list.query = query.value = parts.get("q") ?? "";
    const sort = parts.get("sort") ?? "";
    list.down = sort.startsWith("-");
    list.by = names.indexOf(sort.replace(/^-/, ""));
    list.group = names.indexOf(parts.get("group") ?? "");
    choose.value = String(list.group);
    arrange(list);
  };
  window.addEventListener("hashchange", read);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !typing(event)) {
      event.preventDefault();
      query.focus();
    }
    if (event.key === "Escape" && event.target === query) {
      query.value = list.query = "";
      arrange(list);
    }
  });
  read();
}

start();
