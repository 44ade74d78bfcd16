// Why the process died: the exception, the fault address and what is around
// it, the thread with its registers, the frames.

function buildCrash(panel) {
  const crash = doc.crash;
  if (!crash.recorded) {
    put(panel, el("p", { class: "empty" }, crash.on_request
      ? `No crash is recorded: somebody asked for this dump, of thread ${crash.thread_id}.`
      : "No crash is recorded in this dump."));
    return;
  }
  const at = crash.accessed ?? crash.instruction;
  const address = at && parseAddress(at);
  const facts = [
    ["Exception", `${crash.name} (0x${crash.code.toString(16)})`],
    crash.accessed && ["Accessed", [go(crash.accessed, short(crash.accessed)), crash.access && ` (${crash.access})`]],
    crash.instruction && ["Instruction", [go(crash.instruction, short(crash.instruction)), " ", whose(crash.instruction)]],
    crash.fault && ["Fault", crash.fault],
    crash.requested !== null && ["Asked for", human(crash.requested)],
    ["Thread", `${crash.thread_id}${crash.thread?.name ? ` ${crash.thread.name}` : ""}`],
    crash.signature && ["Signature", el("code", {}, crash.signature)],
  ].filter(Boolean);
  put(panel,
    el("h3", {}, crash.message ?? crash.name),
    el("ul", {}, crash.explanation.map((text) => el("li", {}, text))),
    el("dl", { class: "pairs" }, facts.map(([key, value]) => [el("dt", {}, key), fill(el("dd"), [value])])),
    address && around(address),
    frames(crash.frames),
    crash.thread?.registers.length > 0 && registers(crash.thread.registers),
    stackUse(crash.thread?.stack));
}

const whose = (hex) => {
  const address = parseAddress(hex);
  const i = address ? pieceAt(address) : -1;
  if (i < 0) return "";
  return el("span", {}, swatch(kindOf(i)), labelOf(i) || model.kinds[kindOf(i)][1]);
};

// The pieces around an address, highest first as debuggers draw stacks.
function around(address) {
  let i = pieceAt(address);
  const hit = i;
  if (i < 0) {
    let [low, high] = [0, model.count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (model.page[middle] <= address.page) low = middle + 1;
      else high = middle;
    }
    i = low - 1;
  }
  const rows = [];
  for (let at = Math.min(model.count - 1, i + 3); at >= Math.max(0, i - 3); at -= 1) rows.push(at);
  return el("div", {},
    el("h3", {}, "Around the address"),
    hit < 0 && el("p", {}, `${hexAt(address.page, address.rest)} is in no region of the map.`),
    table({
      label: "Regions around the fault address", rows,
      columns: [
        { title: "Address", cell: (at) => el("code", {}, hexOf(at)) },
        { title: "", cell: (at) => (at === hit ? el("b", { class: "badge error" }, `fault, +0x${((address.page - model.page[at]) * PAGE + address.rest - model.rest[at]).toString(16)}`) : "") },
        { title: "Size", num: true, cell: (at) => kib(model.bytes[at]) },
        { title: "Type", cell: (at) => el("span", {}, swatch(kindOf(at)), model.kinds[kindOf(at)][1]) },
        { title: "Protection", cell: accessOf },
        { title: "Details", cell: labelOf },
      ],
      addressOf: (at) => (at === hit ? address : startOf(at)),
      holds: (at) => at === state.at,
      mark: (at) => (at === hit ? "alarm" : null),
    }));
}

function frames(list) {
  if (list.length === 0) return null;
  return el("div", {},
    el("h3", {}, "Frames"),
    table({
      label: "Frames", rows: list.map((frame, n) => ({ ...frame, n })),
      columns: [
        { title: "#", num: true, cell: (row) => row.n },
        { title: "Address", cell: (row) => el("code", {}, short(row.address)) },
        { title: "Location", cell: (row) => `${row.location}${row.unloaded ? " (unloaded)" : ""}` },
        { title: "Found by", cell: (row) => row.trust },
        { title: "Known", cell: (row) => row.confidence },
      ],
      addressOf: (row) => parseAddress(row.address),
      holds: (row, address) => row.address && place(parseAddress(row.address)) === place(address),
    }),
    el("p", { class: "fine" }, "By frame pointers and a scan of the stack, without symbols: a debugger knows better. Frames by scan may be left over from earlier calls."));
}

function registers(list) {
  return el("div", {},
    el("h3", {}, "Registers"),
    el("div", { class: "registers" }, list.map(({ name, value }) => {
      const i = pieceAt(parseAddress(value));
      const known = i >= 0 && classOf(i).state !== "free";
      return el("div", {}, el("b", {}, name), " ", known ? go(value, short(value)) : el("code", {}, short(value)),
        " ", known && whose(value));
    })));
}

function stackUse(stack) {
  if (!stack) return null;
  return el("div", {},
    el("h3", {}, "Stack"),
    el("p", {}, `${kib(stack.used)} of ${kib(stack.size)} used (${percent(stack.used, stack.size)})`
      + (stack.left === null ? "" : `, ${kib(stack.left)} left below the stack pointer`), ". From ",
      go(stack.low, short(stack.low)), " to ", el("code", {}, short(stack.base)), "."),
    bar([[stack.used / stack.size, "m-used"], [1 - stack.used / stack.size, "m-reserved"]], `${percent(stack.used, stack.size)} used`));
}
