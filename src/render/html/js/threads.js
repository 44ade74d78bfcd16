// Threads and their stacks; the one that crashed first.

function buildThreads(panel) {
  const stacks = doc.stacks.map((stack) => {
    const top = parseAddress(stack.base);
    const low = place(top) - stack.size / PAGE;
    return { ...stack, low, top: place(top), start_at: { page: Math.floor(low), rest: Math.round((low % 1) * PAGE) } };
  });
  if (stacks.length === 0) {
    put(panel, el("p", { class: "empty" }, `The dump lists ${group(doc.summary.dump.threads)} threads, and no stack of theirs is known.`));
    return;
  }
  const crashed = (row) => doc.crash.thread_id !== null && row.thread_id === doc.crash.thread_id;
  const ranges = doc.summary.findings
    .filter((found) => found.rule === "stack-near-overflow" || found.rule === "stack-overflow")
    .flatMap((found) => found.ranges.map((range) => [place(parseAddress(range.base)), found.rule]));
  const alarm = (row) => ranges.find(([at]) => at >= row.low && at < row.top)?.[1];
  stacks.sort((a, b) => crashed(b) - crashed(a) || Boolean(alarm(b)) - Boolean(alarm(a)));
  const bits = stacks.some((row) => row.bits !== doc.summary.dump.pointer_bits);
  const badges = (row) => [
    crashed(row) && el("b", { class: "badge error" }, doc.crash.recorded ? "crashed" : "asked for the dump"),
    alarm(row) && el("b", { class: "badge warning" }, alarm(row) === "stack-overflow" ? "overflowed" : "near overflow"),
    row.thread_id === null && el("b", { class: "badge" }, "no thread"),
  ];
  put(panel,
    el("p", { class: "key" },
      el("span", { class: "keybox m-used" }), "used ", el("span", { class: "keybox m-committed" }), "committed ",
      el("span", { class: "keybox m-guard" }), "guard ", el("span", { class: "keybox m-reserved" }), "reserved. The base is at the left."),
    table({
      label: "Threads and stacks", rows: stacks,
      columns: [
        { title: "Thread", num: true, key: (row) => row.thread_id, cell: (row) => (row.thread_id === null ? "?" : `${row.thread_id} (0x${row.thread_id.toString(16)})`) },
        { title: "Name", key: (row) => row.name ?? "", cell: (row) => el("span", {}, row.name, " ", badges(row)) },
        bits && { title: "Bits", num: true, key: (row) => row.bits, cell: (row) => row.bits },
        { title: "Stack", cell: meterOf },
        { title: "Reserved", num: true, key: (row) => row.size, cell: (row) => kib(row.size) },
        { title: "Committed", num: true, key: (row) => row.committed, cell: (row) => kib(row.committed) },
        { title: "Used", num: true, key: (row) => row.used, cell: (row) => (row.used === null ? "?" : `${kib(row.used)} · ${percent(row.used, row.size)}`) },
        { title: "Stack pointer", cell: (row) => (row.stack_pointer ? go(row.stack_pointer, short(row.stack_pointer)) : "?") },
        { title: "Base", key: (row) => row.base, cell: (row) => el("code", {}, short(row.base)) },
        { title: "Began at", key: (row) => row.start ?? "", cell: (row) => (row.start_address ? go(row.start_address, row.start ?? short(row.start_address)) : "?") },
        { title: "Known", key: (row) => row.confidence, cell: (row) => row.confidence },
      ].filter(Boolean),
      addressOf: (row) => (row.stack_pointer ? parseAddress(row.stack_pointer) : row.start_at),
      holds: (row, address) => place(address) >= row.low && place(address) < row.top,
      mark: (row) => (crashed(row) || alarm(row) ? "alarm" : null),
    }));
}

function meterOf(row) {
  const used = row.used ?? 0;
  const committed = Math.max(0, (row.committed ?? 0) - used);
  const guard = row.guard ?? 0;
  const text = `${kib(row.used)} used, ${kib(row.committed)} committed, ${kib(row.guard)} guard, ${kib(row.size)} reserved`;
  return bar([
    [used / row.size, "m-used"], [committed / row.size, "m-committed"], [guard / row.size, "m-guard"],
    [Math.max(0, row.size - used - committed - guard) / row.size, "m-reserved"],
  ], text);
}
