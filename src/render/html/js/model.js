// The data of the page: the documents of the commands, and the pieces of the
// map as columns (columns.rs has the other end).

let model = null;
let doc = null;

async function load() {
  const text = atob(byId("data").textContent.replaceAll("\n", ""));
  byId("data").remove();
  const packed = new Uint8Array(text.length);
  for (let at = 0; at < packed.length; at += 1) packed[at] = text.charCodeAt(at);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const { page, regions } = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  doc = page;
  model = decode(regions, bytes.subarray(4 + length), page.summary.dump.pointer_bits);
}

// One column of varints.
function column(reader, count, Type) {
  const { bytes } = reader;
  const out = new Type(count);
  let at = reader.at;
  for (let row = 0; row < count; row += 1) {
    let byte = bytes[at++];
    let value = byte & 0x7f;
    let unit = 128;
    while (byte & 0x80) {
      byte = bytes[at++];
      value += (byte & 0x7f) * unit;
      unit *= 128;
    }
    out[row] = value;
  }
  reader.at = at;
  return out;
}

function decode(tables, bytes, bits) {
  const { count } = tables;
  const reader = { bytes, at: 0 };
  const gap = column(reader, count, Float64Array);
  const gapRest = column(reader, count, Uint16Array);
  const pages = column(reader, count, Float64Array);
  const sizeRest = column(reader, count, Uint16Array);
  const cls = column(reader, count, Uint32Array);
  const standing = column(reader, count, Uint32Array);
  const marks = column(reader, count, Uint8Array);
  const captured = column(reader, count, Float64Array);
  const others = marks.reduce((sum, mark) => sum + ((mark & 3) === 3 ? 1 : 0), 0);
  const otherPage = column(reader, others, Float64Array);
  const otherRest = column(reader, others, Uint16Array);

  const page = new Float64Array(count);
  const rest = new Uint16Array(count);
  const bytesOf = new Float64Array(count);
  // Groups: an allocation, or a piece that is in none.
  const of = new Int32Array(count);
  const first = [];
  const base = [];
  let [endPage, endRest, other] = [0, 0, 0];
  for (let i = 0; i < count; i += 1) {
    let low = endRest + gapRest[i];
    page[i] = endPage + gap[i] + (low >= PAGE ? 1 : 0);
    rest[i] = low % PAGE;
    low = rest[i] + sizeRest[i];
    endPage = page[i] + pages[i] + (low >= PAGE ? 1 : 0);
    endRest = low % PAGE;
    const size = pages[i] * PAGE + sizeRest[i];
    bytesOf[i] = size;
    captured[i] = captured[i] === 0 ? 0 : captured[i] === 1 ? size : captured[i] - 2;
    const mark = marks[i] & 3;
    if (mark !== 2) {
      first.push(i);
      if (mark === 0) base.push(null);
      else if (mark === 1) base.push({ page: page[i], rest: rest[i] });
      else {
        base.push({ page: otherPage[other], rest: otherRest[other] });
        other += 1;
      }
    }
    of[i] = first.length - 1;
  }
  const out = {
    ...tables, count, bits, page, rest, bytes: bytesOf, cls, standing, marks, captured, of, base,
    first: Int32Array.from([...first, count]), endPage, endRest,
    groups: first.length,
  };
  out.kindOf = Uint8Array.from(tables.classes, (of) => of.kind);
  out.stateOf = tables.classes.map((of) => of.state);
  sumGroups(out);
  return out;
}

// Sums of each group: kind with most bytes, size, committed, captured, blocks.
function sumGroups(m) {
  const kinds = m.kinds.length;
  const sums = new Float64Array(kinds);
  m.groupKind = new Uint8Array(m.groups);
  m.groupBytes = new Float64Array(m.groups);
  m.groupCommitted = new Float64Array(m.groups);
  m.groupCaptured = new Float64Array(m.groups);
  m.groupBlocks = new Uint32Array(m.groups);
  const committed = m.stateOf.map((state) => state === "commit");
  for (let g = 0; g < m.groups; g += 1) {
    const [from, to] = [m.first[g], m.first[g + 1]];
    if (to - from > 1) sums.fill(0);
    let most = m.kindOf[m.cls[from]];
    for (let i = from; i < to; i += 1) {
      const cls = m.cls[i];
      m.groupBytes[g] += m.bytes[i];
      m.groupCaptured[g] += m.captured[i];
      if (committed[cls]) m.groupCommitted[g] += m.bytes[i];
      if (m.marks[i] & 4) m.groupBlocks[g] += 1;
      if (to - from > 1) {
        const kind = m.kindOf[cls];
        sums[kind] += m.bytes[i];
        if (sums[kind] > sums[most]) most = kind;
      }
    }
    m.groupKind[g] = most;
  }
}

// The piece that holds an address, or -1.
function pieceAt(address) {
  const { page, rest, count, bytes } = model;
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    const before = page[middle] < address.page
      || (page[middle] === address.page && rest[middle] <= address.rest);
    if (before) low = middle + 1;
    else high = middle;
  }
  const i = low - 1;
  if (i < 0) return -1;
  const into = (address.page - page[i]) * PAGE + address.rest - rest[i];
  return into < bytes[i] ? i : -1;
}

const startOf = (i) => ({ page: model.page[i], rest: model.rest[i] });
const hexOf = (i) => hexAt(model.page[i], model.rest[i]);

function endOf(i) {
  if (i + 1 === model.count) return hexAt(model.endPage, model.endRest);
  const low = model.rest[i] + (model.bytes[i] % PAGE);
  return hexAt(model.page[i] + Math.floor(model.bytes[i] / PAGE) + (low >= PAGE ? 1 : 0), low % PAGE);
}

const classOf = (i) => model.classes[model.cls[i]];
const kindOf = (i) => model.kindOf[model.cls[i]];
const isKind = (kind, word) => model.kinds[kind][0] === word;

// Use, name, thread, heap, claims, more.
const NOTHING = ["", "", null, null, [], 0];
const standingOf = (i) => (model.standing[i] ? model.standings[model.standing[i] - 1] : NOTHING);

// The part behind the last separator; the backslash of an escape is none.
const fileName = (path) => path.replace(/^.*[\\/](?!u\{[0-9a-f]+\})/, "");

// Whose a piece is, in a few words.
function wordsOf(standing, kind) {
  const [usage, name, thread, heap] = standing;
  const file = fileName(name);
  if (isKind(kind, "image")) {
    return [file, usage.replace(/^section /, "")].filter(Boolean).join(" ");
  }
  return [
    usage === name ? "" : usage,
    heap && `heap ${heap.replace(/^0x0+(?=.)/, "0x")}`,
    thread !== null && `thread ${thread}`,
    file,
  ].filter(Boolean).join(" · ");
}

const labelOf = (i) => wordsOf(standingOf(i), kindOf(i));

// The words of a group: of the first of its pieces that has some.
function groupLabel(g) {
  const end = Math.min(model.first[g + 1], model.first[g] + 64);
  for (let i = model.first[g]; i < end; i += 1) {
    if (!model.standing[i] || kindOf(i) !== model.groupKind[g]) continue;
    const standing = standingOf(i);
    if (isKind(kindOf(i), "image") && standing[1]) return fileName(standing[1]);
    const words = wordsOf(standing, kindOf(i));
    if (words) return words;
  }
  return "";
}

function accessOf(i) {
  const cls = classOf(i);
  return cls.state === "commit" ? cls.access || "?" : cls.state === "unknown" ? "?" : cls.state;
}

// A piece as a line of text, and as commands of a debugger.
function textOf(i) {
  const cls = classOf(i);
  const parts = [
    `${hexOf(i)}-${endOf(i)}`, kib(model.bytes[i]), cls.state, cls.type, cls.protect,
    model.kinds[cls.kind][1], labelOf(i), `(${cls.confidence})`,
  ];
  return parts.filter(Boolean).join("  ");
}

function commandsOf(i) {
  const cls = classOf(i);
  const [, name, thread, heap] = standingOf(i);
  const lines = [`!address ${hexOf(i)}`];
  if (model.captured[i] > 0) lines.push(`db ${hexOf(i)} L100`);
  if (isKind(cls.kind, "image") && name) lines.push(`lmDva ${hexOf(i)}`);
  if (heap) lines.push(`!heap -s -h ${heap}`);
  if (thread !== null) lines.push(`~~[0x${thread.toString(16)}]k`);
  return lines.join("\n");
}
