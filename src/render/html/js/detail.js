// The selected piece: facts, what it is and who says so, and the losing claims.

function buildDetail() {
  watch((what) => what.has("at") && drawDetail());
  drawDetail();
}

function drawDetail() {
  const node = byId("detail");
  if (!state.address) {
    put(node, el("h2", {}, "Nothing selected"),
      el("p", {}, "Select a region in the strip, a row, a register or an address, and everything else follows."),
      el("p", {}, el("button", { type: "button", onclick: showKeys }, "Keys (?)")));
    return;
  }
  if (state.at < 0) {
    const { page, rest } = state.address;
    put(node, el("h2", {}, hexAt(page, rest)), el("p", {}, "No region of the map holds this address."));
    return;
  }
  const i = state.at;
  const cls = classOf(i);
  const [usage, name, thread, heap] = standingOf(i);
  const g = model.of[i];
  const into = (state.address.page - model.page[i]) * PAGE + state.address.rest - model.rest[i];
  const base = model.base[g];
  const facts = [
    into > 0 && ["Address", `${hexAt(state.address.page, state.address.rest)}, ${group(into)} bytes in`],
    ["Range", `${hexOf(i)}–${endOf(i)}`],
    ["Size", `${kib(model.bytes[i])} (${group(model.bytes[i])} bytes)`],
    ["State", [cls.state, cls.type].filter(Boolean).join(", ")],
    cls.protect && ["Protection", `${cls.words} (${cls.protect})`],
    base && ["Allocation", `${hexAt(base.page, base.rest)}, ${kib(model.groupBytes[g])}, ${counted(model.groupBlocks[g], "block")}`],
    cls.allocation_protect && ["Allocated as", cls.allocation_protect],
    cls.state !== "free" && ["Captured", model.captured[i] === model.bytes[i] ? "all of it" : kib(model.captured[i])],
    usage && ["Use", usage],
    name && name !== usage && ["Name", name],
  ];
  put(node,
    el("h2", {}, swatch(cls.kind), `${model.kinds[cls.kind][1]}`, el("span", { class: `known ${cls.confidence}` }, cls.confidence)),
    el("dl", { class: "pairs" }, facts.filter(Boolean).map(([key, value]) => [el("dt", {}, key), el("dd", {}, value)])),
    links(i, thread, heap),
    el("h3", {}, "Evidence"), evidence(i),
    el("h3", {}, "Around it"), neighbours(i),
    el("div", { class: "buttons" },
      el("button", { type: "button", onclick: () => copy(textOf(i), "the region as text") }, "Copy text"),
      el("button", { type: "button", onclick: () => copy(commandsOf(i), "WinDbg commands") }, "Copy WinDbg"),
      el("button", { type: "button", onclick: copyLink }, "Copy link"),
      el("button", { type: "button", onclick: () => zoomTo(i) }, "Zoom")));
}

function copyLink() {
  writeHash();
  copy(location.href, "a link to this view");
}

function links(i, thread, heap) {
  const tab = (id, text) => el("button", { type: "button", class: "link", onclick: () => showTab(id) }, text);
  const image = isKind(kindOf(i), "image") && standingOf(i)[1];
  const found = [
    thread !== null && tab("threads", `Thread ${thread}`),
    heap && tab("heaps", `Heap ${short(heap)}`),
    image && tab("images", fileName(image)),
    isKind(kindOf(i), "free") && tab("free", "Free memory"),
  ].filter(Boolean);
  return found.length > 0 && el("p", { class: "links" }, "See ", found);
}

// The winner first, those who say otherwise last; the region's own state and
// type stand between.
function evidence(i) {
  const cls = classOf(i);
  const [, , , , claims, more] = standingOf(i);
  const all = claims.map((id) => model.claims[id]);
  const agree = all.filter(([, , kind]) => kind === cls.kind);
  const remarks = all.filter(([, , kind]) => kind === null);
  const lost = all.filter(([, , kind]) => kind !== null && kind !== cls.kind);
  const line = ([source, confidence, kind, detail], role) => el("li", { class: role },
    el("span", { class: "role" }, role),
    kind !== null && [swatch(kind), model.kinds[kind][1], " "],
    el("code", {}, source), ` ${confidence}`, detail && el("div", { class: "why" }, detail));
  const base = cls.base[2] === cls.kind || agree.length === 0 ? "says" : "holds it";
  return el("ul", { class: "evidence" },
    agree.map((claim, at) => line(claim, at === 0 ? "wins" : "agrees")),
    line(cls.base, agree.length === 0 ? "wins" : base === "says" ? "agrees" : "record"),
    remarks.map((claim) => line(claim, "remark")),
    lost.map((claim) => line(claim, "loses")),
    more > 0 && el("li", {}, `and ${group(more)} more`));
}

function neighbours(i) {
  const row = (at, word) => at >= 0 && at < model.count && el("li", {},
    el("button", { type: "button", class: "link", onclick: () => (selectPiece(at), reveal()) },
      `${word}: `, hexOf(at)), ` ${kib(model.bytes[at])} ${model.kinds[kindOf(at)][1]} ${labelOf(at)}`);
  return el("ul", { class: "around" }, row(i + 1, "above"), row(i - 1, "below"));
}
