// What is selected and shown. One value, kept in the address bar behind #, so
// that a link leads back here.

const state = {
  at: -1, // the selected piece
  address: null, // and the address in it
  tab: "regions",
  query: "",
  kinds: new Set(), // words of kinds; empty for all
  states: "",
  access: "",
  min: "",
  sort: "address",
  down: false,
  scale: "", // linear or collapsed
  view: null, // [from, to] of the strip, in its own units; null for all
};

const listeners = [];
// f(what): what changed, a set of "at", "filter", "tab", "view".
const watch = (f) => listeners.push(f);

let hashTimer = 0;
function changed(...what) {
  const set = new Set(what);
  for (const listener of listeners) listener(set);
  clearTimeout(hashTimer);
  hashTimer = setTimeout(writeHash, 150);
}

function select(address, { quiet = false, piece = null } = {}) {
  state.address = address;
  state.at = piece ?? (address ? pieceAt(address) : -1);
  changed("at");
  if (address && !quiet) {
    say(state.at < 0 ? `${hexAt(address.page, address.rest)} is in no region of the map` : textOf(state.at));
  }
}

const selectPiece = (i, options = {}) => select(startOf(i), { ...options, piece: i });

function selectText(text) {
  const address = parseAddress(text);
  if (address) select(address);
  return address !== null;
}

function showTab(tab) {
  state.tab = tab;
  changed("tab");
}

function filterBy(change) {
  Object.assign(state, change);
  changed("filter");
}

function hash() {
  const parts = new URLSearchParams();
  if (state.address) parts.set("a", hexAt(state.address.page, state.address.rest));
  if (state.tab !== "regions") parts.set("tab", state.tab);
  if (state.query) parts.set("q", state.query);
  if (state.kinds.size) parts.set("kind", [...state.kinds].join(","));
  for (const key of ["states", "access", "min"]) if (state[key]) parts.set(key, state[key]);
  if (state.sort !== "address" || state.down) parts.set("sort", (state.down ? "-" : "") + state.sort);
  if (state.scale && state.scale !== defaultScale()) parts.set("scale", state.scale);
  if (state.view) parts.set("view", state.view.map((at) => at.toPrecision(12).replace(/\.?0+$/, "")).join("~"));
  return parts.toString();
}

const defaultScale = () => (model.bits === 32 ? "linear" : "collapsed");

function writeHash() {
  const now = hash();
  if (now === location.hash.slice(1)) return;
  try {
    history.replaceState(null, "", `#${now}`);
  } catch {
    // A frame without an address of its own keeps the state to itself.
  }
}

// From the address bar. #0x7ff6e7900000 alone is an address too.
function readHash() {
  const text = location.hash.slice(1);
  const parts = new URLSearchParams(parseAddress(text) ? `a=${text}` : text);
  state.tab = TABS.some(([id]) => id === parts.get("tab")) ? parts.get("tab") : "regions";
  state.query = parts.get("q") ?? "";
  const known = new Set(model.kinds.map(([word]) => word));
  state.kinds = new Set((parts.get("kind") ?? "").split(",").filter((word) => known.has(word)));
  for (const key of ["states", "access", "min"]) state[key] = parts.get(key) ?? "";
  const sort = parts.get("sort") ?? "address";
  state.down = sort.startsWith("-");
  state.sort = SORTS.includes(sort.replace("-", "")) ? sort.replace("-", "") : "address";
  state.scale = ["linear", "collapsed"].includes(parts.get("scale")) ? parts.get("scale") : defaultScale();
  const view = (parts.get("view") ?? "").split("~").map(Number);
  state.view = view.length === 2 && view.every(Number.isFinite) && view[1] > view[0] ? view : null;
  const address = parts.get("a") && parseAddress(parts.get("a"));
  state.address = address || null;
  state.at = address ? pieceAt(address) : -1;
}

const SORTS = ["address", "kind", "size", "committed", "captured", "blocks", "access", "label"];
const TABS = [
  ["regions", "Regions"],
  ["free", "Free memory"],
  ["threads", "Threads and stacks"],
  ["heaps", "Heaps"],
  ["images", "Images"],
  ["crash", "Crash"],
];
