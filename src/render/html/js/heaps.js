// Heaps: what is busy and free in them, sizes of blocks, contradictions.

function buildHeaps(panel) {
  const { heaps, managed, walked, captured } = doc.heaps;
  if (heaps.length === 0 && managed.length === 0) {
    put(panel, el("p", { class: "empty" }, "No heap is known. Only heap headers say which memory is a heap, so the dump must hold them."));
    return;
  }
  put(panel,
    heaps.length > 0 && !walked && el("p", { class: "warn" },
      `The entries were not counted: ${human(captured)} of heaps would have to be read. dumpmap heaps counts them.`),
    heaps.length > 0 && el("p", { class: "key" },
      el("span", { class: "keybox m-used" }), "busy ", el("span", { class: "keybox m-free" }), "free ",
      el("span", { class: "keybox m-guard" }), "headers ", el("span", { class: "keybox m-reserved" }), "not committed or not read"),
    heaps.length > 0 && table({
      label: "Heaps", rows: heaps,
      columns: [
        { title: "Heap", key: (row) => row.address, cell: (row) => el("span", {}, el("code", {}, short(row.address)), " ", row.is_default && el("b", { class: "badge" }, "default"), row.corruption.length > 0 && el("b", { class: "badge error" }, "contradicts itself")) },
        { title: "Type", key: (row) => row.type ?? "", cell: (row) => [row.type ?? "?", row.front_end && row.front_end !== "none" ? ` ${row.front_end}` : ""].join("") },
        { title: "Use", cell: heapMeter },
        { title: "Size", num: true, key: (row) => row.size, cell: (row) => kib(row.size) },
        { title: "Committed", num: true, key: (row) => row.committed, cell: (row) => kib(row.committed) },
        { title: "Busy", num: true, key: (row) => row.busy_bytes, cell: (row) => kib(row.busy_bytes) },
        { title: "Blocks", num: true, key: (row) => row.busy_blocks, cell: (row) => (row.busy_blocks === null ? "?" : group(row.busy_blocks)) },
        { title: "Free", num: true, key: (row) => row.free_bytes, cell: (row) => kib(row.free_bytes) },
        { title: "Largest free", num: true, key: (row) => row.largest_free, cell: (row) => kib(row.largest_free) },
        { title: "Fragmented", num: true, key: (row) => row.external_fragmentation, cell: (row) => (row.external_fragmentation === null ? "?" : `${row.external_fragmentation.toFixed(1)} %`) },
        { title: "Known", key: (row) => row.confidence, cell: (row) => row.confidence },
      ],
      addressOf: (row) => parseAddress(row.address),
      holds: (row, address) => row.parts.some((part) => within(part.base, part.size)(address)),
      mark: (row) => (row.corruption.length > 0 ? "alarm" : null),
      expand: heapMore,
    }),
    managed.map(runtime));
}

function heapMeter(row) {
  if (!row.size) return "?";
  const part = (bytes) => (bytes ?? 0) / row.size;
  const rest = Math.max(0, 1 - part(row.busy_bytes) - part(row.free_bytes) - part(row.internal_bytes));
  return bar([
    [part(row.busy_bytes), "m-used"], [part(row.free_bytes), "m-free"], [part(row.internal_bytes), "m-guard"], [rest, "m-reserved"],
  ], `${kib(row.busy_bytes)} busy, ${kib(row.free_bytes)} free of ${kib(row.size)}`);
}

function heapMore(row) {
  const sizes = row.sizes?.histogram ?? [];
  return el("details", {},
    el("summary", {}, [
      counted(row.parts.length, "part"),
      sizes.length > 0 && "sizes of blocks",
      row.problems.length > 0 && counted(row.problems.length, "remark"),
      row.all_read === false && "not all of it could be read",
    ].filter(Boolean).join(", ")),
    row.problems.length > 0 && el("ul", {}, row.problems.slice(0, 50).map((text) => el("li", {}, text))),
    histogram("Bytes asked for, by size of block", sizes.map((of) => [of.size, of.bytes, of.count])),
    el("table", { class: "list" },
      el("thead", {}, el("tr", {}, ["Part", "Address", "Size", "Committed"].map((title) => el("th", { scope: "col" }, title)))),
      el("tbody", {}, row.parts.slice(0, 500).map((part) => el("tr", {},
        el("td", {}, part.role), el("td", {}, go(part.base, short(part.base))),
        el("td", { class: "num" }, kib(part.size)), el("td", { class: "num" }, kib(part.committed)))))));
}

// A .NET runtime: its fields by name.
function runtime(of) {
  const { generations = [], ...rest } = of;
  const plain = Object.entries(rest).filter(([, value]) => value !== null && typeof value !== "object");
  return el("section", {},
    el("h3", {}, ".NET runtime"),
    el("dl", { class: "pairs" }, plain.map(([key, value]) => [
      el("dt", {}, key.replaceAll("_", " ")),
      el("dd", {}, typeof value === "number" && value >= PAGE ? kib(value) : String(value)),
    ])),
    generations.length > 0 && el("table", { class: "list" },
      el("thead", {}, el("tr", {}, Object.keys(generations[0]).map((key) => el("th", { scope: "col" }, key.replaceAll("_", " "))))),
      el("tbody", {}, generations.map((row) => el("tr", {}, Object.values(row).map((value) =>
        el("td", { class: typeof value === "number" ? "num" : null }, value === null ? "?" : typeof value === "number" && value >= PAGE ? kib(value) : String(value))))))));
}
