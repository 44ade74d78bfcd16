// Free memory: its blocks by size, and what stands between them.

function buildFree(panel) {
  const free = doc.summary.summary.free;
  if (!free) {
    put(panel, el("p", { class: "empty" }, "What was free is not known from this dump: it has no list of regions, or only a part of one."));
    return;
  }
  const blocks = [];
  for (let i = 0; i < model.count; i += 1) if (isKind(kindOf(i), "free")) blocks.push(i);
  blocks.sort((a, b) => model.bytes[b] - model.bytes[a] || a - b);
  const largest = blocks[0] ?? -1;
  strip.largest = largest;
  const top = largest >= 0 ? model.bytes[largest] : 1;
  const next = (i, by) => {
    let at = i + by;
    while (at >= 0 && at < model.count && isKind(kindOf(at), "unusable")) at += by;
    return at >= 0 && at < model.count ? at : -1;
  };
  const fence = (i) => (i < 0 ? "the end of the range" : el("span", {}, swatch(kindOf(i)), labelOf(i) || model.kinds[kindOf(i)][1], " ", go(hexOf(i))));
  put(panel,
    el("p", {}, `${counted(free.blocks, "free block")}, ${human(free.size)} in all; the largest has `,
      el("b", {}, human(free.largest)), " at ", go(free.largest_address),
      free.fragmentation === null ? "." : `. ${free.fragmentation} % of the free memory is not in it; ${human(free.tiny)} lie in blocks under 1 MiB.`),
    histogram("Free bytes by size of block", powers(blocks.map((i) => [model.bytes[i], 1]))),
    table({
      label: "Free blocks", rows: blocks.slice(0, 20000),
      columns: [
        { title: "Address", key: (i) => model.page[i], cell: (i) => el("code", {}, hexOf(i)) },
        { title: "Size", num: true, key: (i) => model.bytes[i], cell: (i) => kib(model.bytes[i]) },
        { title: "Beside the largest", cell: (i) => bar([[model.bytes[i] / top, i === largest ? "m-used" : "m-free"]], `${percent(model.bytes[i], top)} of the largest`) },
        { title: "", cell: (i) => (i === largest ? el("b", { class: "badge" }, "largest") : "") },
        { title: "Fenced below by", cell: (i) => fence(next(i, -1)) },
        { title: "Fenced above by", cell: (i) => fence(next(i, 1)) },
      ],
      addressOf: startOf,
      holds: (i) => i === state.at,
    }),
    fences());
}

function fences() {
  const answer = doc.fences?.answer;
  if (!answer || answer.fences.top.length === 0) return null;
  return el("div", {},
    el("h3", {}, "What splits the free memory"),
    el("p", {}, `${group(answer.fences.count)} fences stand between free blocks. Without one of these, the two blocks beside it would be one.`),
    table({
      label: "Fences", rows: answer.fences.top,
      columns: [
        { title: "Address", cell: (row) => el("code", {}, row.base) },
        { title: "Owner", cell: (row) => row.owner, key: (row) => row.owner },
        { title: "Size", num: true, key: (row) => row.size, cell: (row) => kib(row.size) },
        { title: "Allocations", num: true, key: (row) => row.allocations, cell: (row) => group(row.allocations) },
        { title: "Free below", num: true, key: (row) => row.free_before, cell: (row) => kib(row.free_before) },
        { title: "Free above", num: true, key: (row) => row.free_after, cell: (row) => kib(row.free_after) },
        { title: "Would fit without it", num: true, key: (row) => row.joined, cell: (row) => kib(row.joined) },
      ],
      addressOf: (row) => parseAddress(row.base),
      holds: (row, address) => within(row.base, row.size)(address),
    }));
}

// [bytes, count] to [power of two, bytes, count], in order.
function powers(sizes) {
  const sums = new Map();
  for (const [size, count] of sizes) {
    const power = 2 ** Math.ceil(Math.log2(Math.max(1, size)));
    const sum = sums.get(power) ?? [power, 0, 0];
    sum[1] += size * count;
    sum[2] += count;
    sums.set(power, sum);
  }
  return [...sums.values()].sort((a, b) => a[0] - b[0]);
}

// Bars over powers of two: [up to, bytes, count].
function histogram(title, rows) {
  if (rows.length === 0) return null;
  const most = Math.max(...rows.map(([, bytes]) => bytes));
  return el("div", { class: "histogram" },
    el("h3", {}, title),
    el("table", {}, el("tbody", {}, rows.map(([power, bytes, count]) => el("tr", {},
      el("th", { scope: "row", class: "num" }, `≤ ${human(power)}`),
      el("td", { class: "wide" }, bar([[bytes / most, "m-free"]], `${human(bytes)} in ${group(count)}`)),
      el("td", { class: "num" }, human(bytes)),
      el("td", { class: "num" }, counted(count, "block")))))));
}
