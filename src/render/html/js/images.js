// Images with their sections; what no list names, and what is there twice.

function buildImages(panel) {
  const { images, not_images: others, unloaded } = doc.images;
  const times = new Map();
  for (const { path } of [...images, ...others.map((of) => ({ path: of.name }))]) {
    if (path) times.set(fileName(path).toLowerCase(), (times.get(fileName(path).toLowerCase()) ?? 0) + 1);
  }
  const twice = (path) => Boolean(path) && times.get(fileName(path).toLowerCase()) > 1;
  const badges = (row) => [
    !row.listed && el("b", { class: "badge warning" }, "unlisted"),
    row.listed && !row.mapped && el("b", { class: "badge warning" }, "not mapped"),
    twice(row.path) && el("b", { class: "badge" }, "there twice"),
  ];
  const folder = (path) => path.slice(0, path.length - fileName(path).length);
  put(panel,
    images.length === 0 && el("p", { class: "empty" }, "The dump lists no image."),
    images.length > 0 && table({
      label: "Images", rows: images,
      columns: [
        { title: "Base", key: (row) => row.base, cell: (row) => el("code", {}, short(row.base)) },
        { title: "Image", key: (row) => (row.path ? fileName(row.path).toLowerCase() : ""), cell: (row) => el("span", {}, row.path ? fileName(row.path) : "no name", " ", badges(row)) },
        { title: "Size", num: true, key: (row) => row.size, cell: (row) => kib(row.size) },
        { title: "Version", key: (row) => row.version ?? "", cell: (row) => row.version ?? "" },
        { title: "Folder", key: (row) => row.path ?? "", cell: (row) => el("span", { class: "path" }, row.path ? folder(row.path) : "") },
      ],
      addressOf: (row) => parseAddress(row.base),
      holds: (row, address) => within(row.base, row.size)(address),
      mark: (row) => (!row.listed || twice(row.path) ? "alarm" : null),
      expand: imageMore,
    }),
    others.length > 0 && el("section", {},
      el("h3", {}, "PE files in memory that are no images"),
      table({
        label: "PE files that are no images", rows: others,
        columns: [
          { title: "Address", key: (row) => row.base, cell: (row) => el("code", {}, short(row.base)) },
          { title: "Name", key: (row) => row.name ?? "", cell: (row) => row.name ?? "no name" },
          { title: "Type", key: (row) => row.type, cell: (row) => (row.type === "mapped" ? "mapped as data" : "private, executable") },
          { title: "Size", num: true, key: (row) => row.size, cell: (row) => kib(row.size) },
        ],
        addressOf: (row) => parseAddress(row.base),
        holds: (row, address) => within(row.base, row.size)(address),
      })),
    unloaded.length > 0 && el("section", {},
      el("h3", {}, "Unloaded"),
      table({
        label: "Unloaded modules", rows: unloaded,
        columns: [
          { title: "Was at", key: (row) => row.base, cell: (row) => el("code", {}, short(row.base)) },
          { title: "Module", key: (row) => row.path, cell: (row) => row.path },
          { title: "Size", num: true, key: (row) => row.size, cell: (row) => kib(row.size) },
        ],
        addressOf: (row) => parseAddress(row.base),
        holds: (row, address) => within(row.base, row.size)(address),
      })));
}

function imageMore(row) {
  if (row.sections.length === 0) return null;
  return el("details", {},
    el("summary", {}, `${counted(row.sections.length, row.has_header ? "section" : "run")}${row.has_header ? "" : " of one protection (its header is not captured)"}`),
    row.debug_file && el("p", { class: "fine" }, `PDB ${row.debug_file} ${row.debug_id ?? ""}`),
    el("table", { class: "list" },
      el("thead", {}, el("tr", {}, ["Section", "Address", "Size", "Protection"].map((title) => el("th", { scope: "col" }, title)))),
      el("tbody", {}, row.sections.slice(0, 500).map((section) => el("tr", {},
        el("td", {}, section.name), el("td", {}, go(section.base, short(section.base))),
        el("td", { class: "num" }, kib(section.size)), el("td", {}, section.protect ?? ""))))));
}
