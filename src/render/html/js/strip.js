// The address space as a strip: every column of pixels shows, from the bottom
// up, the shares of what lies under it. Reserved memory is hatched.

const strip = {
  pos: null, // where each piece begins, in pages of the picture
  wide: null, // and how wide it is
  end: 0,
  from: 0,
  to: 0,
  hover: -1,
  drag: null,
  pending: false,
  inks: [],
};
const HEIGHT = 92;
const MINI = 16;

function buildStrip() {
  const canvas = () => el("canvas", { "aria-hidden": "true" });
  strip.canvas = canvas();
  strip.over = canvas();
  strip.mini = canvas();
  strip.lens = el("div", { class: "lens" });
  strip.tip = el("div", { class: "tip", hidden: true });
  strip.box = el("div", {
    class: "strip", tabindex: 0, role: "application", id: "strip",
    "aria-label": "Address space strip", "aria-describedby": "strip-help",
  }, strip.canvas, strip.over);
  strip.map = el("div", { class: "mini", "aria-hidden": "true" }, strip.mini, strip.lens);
  strip.left = el("span");
  strip.middle = el("span");
  strip.right = el("span");
  strip.scales = [["linear", "Linear"], ["collapsed", "Gaps collapsed"]].map(([id, title]) =>
    el("button", { type: "button", "data-scale": id, onclick: () => setScale(id) }, title));
  const button = (text, label, run) =>
    el("button", { type: "button", "aria-label": label, title: label, onclick: run }, text);
  const go = el("input", {
    id: "go", type: "text", placeholder: "0x7ff6e7900000", size: 18, spellcheck: "false",
    autocomplete: "off", "aria-label": "Go to an address",
    onkeydown: (event) => {
      if (event.key !== "Enter") return;
      if (!selectText(go.value)) return toast(`${go.value} is no address`);
      reveal();
    },
  });
  put(byId("space"),
    el("div", { class: "spacehead" },
      el("h2", {}, "Address space"),
      el("div", { class: "buttons", role: "group", "aria-label": "Scale" }, strip.scales),
      el("div", { class: "buttons", role: "group", "aria-label": "Zoom" },
        button("−", "Zoom out (−)", () => zoom(2)),
        button("+", "Zoom in (+)", () => zoom(0.5)),
        button("All", "Show all (0)", () => show(0, strip.end)),
        button("Selection", "Zoom to the selection (z)", () => zoomTo(state.at))),
      go),
    strip.box, strip.map,
    el("p", { class: "axis" }, strip.left, strip.middle, strip.right),
    legend(),
    el("p", { class: "fine", id: "strip-help" },
      "Click selects, drag zooms, Shift+drag or a drag below moves. Keys: ← → piece, ↑ ↓ allocation, "
      + "+ − zoom, Shift+← → move, 0 all, z selection. The wheel zooms with Ctrl, or once the strip has the focus."));
  document.body.append(strip.tip);
  listenToStrip();
  new ResizeObserver(() => redraw(true)).observe(strip.box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw(true));
  layOut();
  watch((what) => {
    if (what.has("at")) redraw(false);
    if (what.has("filter")) redraw(true);
  });
}

// The kinds, each a switch of the filter.
function legend() {
  const present = new Uint8Array(model.kinds.length);
  for (let i = 0; i < model.count; i += 1) present[kindOf(i)] = 1;
  const chips = model.kinds.map(([word, title], kind) => present[kind] === 1 && el("button", {
    type: "button", class: "chip", "data-kind": word, "aria-pressed": "false",
    onclick: () => toggleKind(word),
  }, swatch(kind), title));
  watch(() => {
    for (const chip of chips) {
      if (chip) chip.setAttribute("aria-pressed", String(state.kinds.has(chip.dataset.kind)));
    }
  });
  return el("div", { class: "chips", role: "group", "aria-label": "Only these types" }, chips);
}

function toggleKind(word) {
  const kinds = new Set(state.kinds);
  if (!kinds.delete(word)) kinds.add(word);
  filterBy({ kinds });
}

function swatch(kind) {
  const node = el("span", { class: "swatch", "aria-hidden": "true" }, model.kinds[kind][2]);
  node.style.background = model.kinds[kind][3];
  return node;
}

function setScale(scale) {
  const at = state.at >= 0 && inView(state.at) ? state.at : pieceUnder((strip.from + strip.to) / 2);
  const whole = strip.to - strip.from >= strip.end * 0.999;
  state.scale = scale;
  layOut();
  if (whole || at < 0) show(0, strip.end);
  else zoomTo(at);
}

const inView = (i) => strip.pos[i] < strip.to && strip.pos[i] + strip.wide[i] > strip.from;

// Where each piece lies in the picture. Collapsed: what is not committed, and
// holes in a rebuilt map, take at most half as much room as what is committed.
function layOut() {
  const { count, page, rest, bytes } = model;
  const [pos, wide] = [new Float64Array(count), new Float64Array(count)];
  const collapsed = state.scale === "collapsed";
  const loose = model.stateOf.map((word) => word === "free" || word === "reserve");
  let [committed, others] = [0, 1];
  for (let i = 0; i < count; i += 1) {
    if (loose[model.cls[i]]) others += 1;
    else committed += bytes[i] / PAGE;
  }
  const cap = Math.max(0.05, Math.min((committed || 1) / 100, ((committed || 1) * 0.5) / others));
  const origin = count ? page[0] + rest[0] / PAGE : 0;
  let at = 0;
  let end = origin;
  for (let i = 0; i < count; i += 1) {
    const start = page[i] + rest[i] / PAGE;
    const size = bytes[i] / PAGE;
    if (collapsed) {
      if (start > end) at += Math.min(start - end, cap);
      pos[i] = at;
      wide[i] = loose[model.cls[i]] ? Math.min(size, cap) : size;
      at += wide[i];
    } else {
      pos[i] = start - origin;
      wide[i] = size;
      at = pos[i] + size;
    }
    end = start + size;
  }
  Object.assign(strip, { pos, wide, end: at });
  [strip.from, strip.to] = state.view ?? [0, at];
  if (strip.to > at || strip.from >= at) [strip.from, strip.to] = [0, at];
  for (const button of strip.scales) {
    button.setAttribute("aria-pressed", String(button.dataset.scale === state.scale));
  }
  strip.stale = true;
  redraw(true);
}

// The last piece that begins at or before a place in the picture.
function pieceUnder(at) {
  let [low, high] = [0, model.count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (strip.pos[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function show(from, to) {
  const least = Math.min(strip.end, 0.25);
  const span = Math.min(strip.end, Math.max(least, to - from));
  const middle = (from + to) / 2;
  strip.from = Math.max(0, Math.min(strip.end - span, middle - span / 2));
  strip.to = strip.from + span;
  state.view = span >= strip.end * 0.9999 ? null : [strip.from, strip.to];
  changed("view");
  redraw(true);
}

// Zooms by a factor around a share of the width.
function zoom(factor, share = 0.5) {
  const span = strip.to - strip.from;
  const fixed = strip.from + span * share;
  const next = Math.max(Math.min(0.25, strip.end), Math.min(strip.end, span * factor));
  show(fixed - next * share, fixed + next * (1 - share));
}

const pan = (share) => {
  const by = (strip.to - strip.from) * share;
  const from = Math.max(0, Math.min(strip.end - (strip.to - strip.from), strip.from + by));
  show(from, from + strip.to - strip.from);
};

function zoomTo(i) {
  if (i < 0) return;
  const g = model.of[i];
  const [first, last] = [model.first[g], model.first[g + 1] - 1];
  const [from, to] = [strip.pos[first], strip.pos[last] + strip.wide[last]];
  const room = (to - from) * 0.75;
  show(from - room, to + room);
}

// Brings the selection into the strip.
function reveal() {
  if (state.at < 0) return;
  const width = (strip.wide[state.at] / (strip.to - strip.from)) * strip.box.clientWidth;
  if (!inView(state.at) || width < 2) zoomTo(state.at);
}

// ---- drawing ----------------------------------------------------------------

function redraw(all) {
  strip.all = strip.all || all;
  if (strip.pending) return;
  strip.pending = true;
  requestAnimationFrame(() => {
    strip.pending = false;
    if (strip.all) drawStrip();
    strip.all = false;
    drawOver();
  });
}

function fit(canvas, width, height) {
  const scale = Math.min(2, window.devicePixelRatio || 1);
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  return canvas.getContext("2d");
}

// The fills: a kind committed, and the same reserved.
function inks(context) {
  const style = getComputedStyle(document.documentElement);
  const ground = style.getPropertyValue("--ground").trim();
  strip.line = style.getPropertyValue("--text").trim();
  strip.accent = style.getPropertyValue("--accent").trim();
  const dim = state.kinds.size > 0;
  strip.inks = model.kinds.flatMap(([word, , , ink]) => {
    const colour = word === "free" ? ground : ink;
    const alpha = dim && !state.kinds.has(word) ? "30" : "";
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const draw = tile.getContext("2d");
    draw.fillStyle = ground;
    draw.fillRect(0, 0, 8, 8);
    draw.strokeStyle = colour + alpha;
    draw.lineWidth = 3;
    for (const at of [-8, 0, 8]) {
      draw.beginPath();
      draw.moveTo(at, 8);
      draw.lineTo(at + 8, 0);
      draw.stroke();
    }
    return [word === "free" ? ground : colour + alpha, context.createPattern(tile, "repeat")];
  });
  strip.ground = ground;
}

function drawStrip() {
  const width = strip.box.clientWidth;
  if (!width || !model.count) return;
  const context = fit(strip.canvas, width, HEIGHT);
  inks(context);
  paint(context, strip.from, strip.to, true);
  if (strip.stale || strip.drawnWidth !== width || strip.drawnTheme !== strip.ground + state.kinds.size) {
    paint(fit(strip.mini, width, MINI), 0, strip.end, false);
    Object.assign(strip, { stale: false, drawnWidth: width, drawnTheme: strip.ground + state.kinds.size });
  }
  const [from, to] = [strip.from / strip.end, strip.to / strip.end];
  strip.lens.style.left = `${from * 100}%`;
  strip.lens.style.width = `${Math.max(0.3, (to - from) * 100)}%`;
  strip.lens.hidden = to - from > 0.999;
  axis();
}

function axis() {
  const first = Math.max(0, pieceUnder(strip.from));
  const last = Math.max(0, pieceUnder(strip.to - 1e-9));
  const at = (i, place) => {
    // Inside a collapsed piece the nearest that can be said is where it begins.
    const into = strip.wide[i] === model.bytes[i] / PAGE ? Math.floor(Math.max(0, place - strip.pos[i])) : 0;
    return hexAt(model.page[i] + into, into ? 0 : model.rest[i]);
  };
  strip.left.textContent = at(first, strip.from);
  strip.right.textContent = last + 1 === model.count && strip.to >= strip.end * 0.9999 ? endOf(last) : at(last, strip.to);
  const shown = last - first + 1;
  strip.middle.textContent = `${group(shown)} of ${group(model.count)} pieces`
    + (state.scale === "collapsed" ? ", gaps collapsed" : "");
}

function paint(context, from, to, detailed) {
  const { width, height } = context.canvas;
  const { pos, wide } = strip;
  const buckets = model.kinds.length * 2;
  const free = model.kinds.findIndex(([word]) => word === "free");
  const shares = new Float32Array(width * buckets);
  const bucketOf = model.classes.map((of) => of.kind * 2 + (of.state === "reserve" ? 1 : 0));
  const runs = Array.from({ length: buckets }, () => []);
  const edges = [];
  const names = [];
  const scale = width / (to - from);
  context.fillStyle = strip.ground;
  context.fillRect(0, 0, width, height);
  for (let i = Math.max(0, pieceUnder(from)); i < model.count && pos[i] < to; i += 1) {
    const bucket = bucketOf[model.cls[i]];
    const left = Math.max(0, (pos[i] - from) * scale);
    const right = Math.min(width, (pos[i] + wide[i] - from) * scale);
    if (right <= left) continue;
    const [low, high] = [Math.floor(left), Math.floor(right)];
    if (low === high) {
      shares[low * buckets + bucket] += right - left;
      continue;
    }
    const whole = low === left ? low : low + 1;
    if (low < whole) shares[low * buckets + bucket] += whole - left;
    if (high < width) shares[high * buckets + bucket] += right - high;
    if (high <= whole) continue;
    if (bucket >> 1 !== free) runs[bucket].push(whole, high - whole);
    if (right - left > 5) edges.push(left);
    if (detailed && right - left > 46 && names.length < 200) names.push(i, left, right);
  }
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    context.fillStyle = strip.inks[bucket];
    const list = runs[bucket];
    for (let at = 0; at < list.length; at += 2) context.fillRect(list[at], 0, list[at + 1], height);
  }
  // Columns that several pieces share, from the bottom up.
  const tops = new Float32Array(width).fill(height);
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    if (bucket >> 1 === free) continue;
    context.fillStyle = strip.inks[bucket];
    for (let x = 0; x < width; x += 1) {
      const share = shares[x * buckets + bucket];
      if (share === 0) continue;
      const high = share * height;
      tops[x] -= high;
      context.fillRect(x, tops[x], 1, high);
    }
  }
  if (!detailed) return;
  context.fillStyle = "#0005";
  for (const x of edges) context.fillRect(Math.round(x), 0, 1, height);
  label(context, names, height);
}

function label(context, names, height) {
  const scale = height / HEIGHT;
  context.font = `${11 * scale}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  for (let at = 0; at < names.length; at += 3) {
    const [i, left, right] = [names[at], names[at + 1], names[at + 2]];
    const cls = classOf(i);
    const kind = model.kinds[cls.kind];
    const room = (right - left) / scale - 8;
    const light = kind[0] === "free" || cls.state === "reserve";
    const ink = light ? strip.line : "#000";
    const put = (text, y) => {
      if (!text) return;
      const fits = Math.floor(room / 6.2);
      const shown = text.length <= fits ? text : fits > 4 ? `${text.slice(0, fits - 1)}…` : "";
      if (!shown) return;
      if (light) {
        context.fillStyle = strip.ground;
        context.fillRect(left + 3 * scale, (y - 7) * scale, context.measureText(shown).width + 3 * scale, 14 * scale);
      }
      context.fillStyle = ink;
      context.fillText(shown, left + 4 * scale, y * scale);
    };
    put(labelOf(i) || kind[1], 20);
    put(human(model.bytes[i]), 37);
    put(accessOf(i), 54);
  }
}

// Selection, hover, the crash, and what is being dragged.
function drawOver() {
  const width = strip.box.clientWidth;
  if (!width) return;
  const context = fit(strip.over, width, HEIGHT);
  const { width: w, height: h } = context.canvas;
  const scale = w / (strip.to - strip.from);
  context.clearRect(0, 0, w, h);
  const box = (i, style, line) => {
    if (i < 0 || !inView(i)) return;
    const left = (strip.pos[i] - strip.from) * scale;
    const size = Math.max(2, strip.wide[i] * scale);
    context.strokeStyle = style;
    context.lineWidth = line;
    context.strokeRect(left, line / 2, size, h - line);
    return left + size / 2;
  };
  const tag = (i, text) => {
    if (i < 0 || !inView(i)) return;
    const x = Math.max(0, Math.min(w, (strip.pos[i] + strip.wide[i] / 2 - strip.from) * scale));
    context.font = `bold ${(11 * h) / HEIGHT}px system-ui, sans-serif`;
    const wide = context.measureText(text).width + 8;
    const left = Math.max(0, Math.min(w - wide, x - wide / 2));
    context.fillStyle = strip.line;
    context.fillRect(x - 1, 0, 2, h);
    context.fillRect(left, h - (15 * h) / HEIGHT, wide, (15 * h) / HEIGHT);
    context.fillStyle = strip.ground;
    context.fillText(text, left + 4, h - (4 * h) / HEIGHT);
  };
  if (strip.crash >= 0) tag(strip.crash, "crash");
  if (strip.largest >= 0 && state.tab === "free") tag(strip.largest, "largest free");
  box(strip.hover, strip.line, 2);
  const x = box(state.at, strip.accent, 4);
  if (x !== undefined) {
    context.fillStyle = strip.accent;
    context.beginPath();
    context.moveTo(x - 8, 0);
    context.lineTo(x + 8, 0);
    context.lineTo(x, 12);
    context.fill();
  }
  if (strip.drag?.band) {
    const [a, b] = strip.drag.band;
    context.fillStyle = `${strip.accent}44`;
    context.fillRect((Math.min(a, b) * w), 0, Math.abs(b - a) * w, h);
  }
}

// ---- hands ------------------------------------------------------------------

const shareOf = (event, node) => {
  const box = node.getBoundingClientRect();
  return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
};

// The piece under the pointer: of those that share a pixel, the widest.
function pieceUnderPointer(event) {
  const at = strip.from + shareOf(event, strip.box) * (strip.to - strip.from);
  const pixel = (strip.to - strip.from) / strip.box.clientWidth;
  let best = pieceUnder(at);
  if (best < 0) return -1;
  for (let i = pieceUnder(at - pixel / 2), n = 0; i >= 0 && i < model.count && strip.pos[i] < at + pixel / 2 && n < 5000; i += 1, n += 1) {
    if (strip.wide[i] > strip.wide[best]) best = i;
  }
  return best;
}

function listenToStrip() {
  const { box, map } = strip;
  const pointers = new Map();
  box.addEventListener("wheel", (event) => {
    const zooms = event.ctrlKey || event.metaKey || document.activeElement === box;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      pan(event.deltaX / box.clientWidth);
    } else if (zooms) {
      event.preventDefault();
      zoom(1.0015 ** Math.max(-400, Math.min(400, event.deltaY)), shareOf(event, box));
    }
  }, { passive: false });
  box.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    box.focus({ preventScroll: true });
    box.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event.clientX);
    const pans = event.shiftKey || event.pointerType === "touch";
    const share = shareOf(event, box);
    strip.drag = { x: event.clientX, share, pans, from: strip.from, moved: false };
  });
  box.addEventListener("pointermove", (event) => {
    if (pointers.has(event.pointerId)) {
      const before = [...pointers.values()];
      pointers.set(event.pointerId, event.clientX);
      const now = [...pointers.values()];
      if (now.length === 2) {
        const wide = (xs) => Math.max(12, Math.abs(xs[0] - xs[1]));
        zoom(wide(before) / wide(now), shareOf({ clientX: (now[0] + now[1]) / 2 }, box));
        strip.drag = null;
        return;
      }
    }
    const { drag } = strip;
    if (drag) {
      drag.moved = drag.moved || Math.abs(event.clientX - drag.x) > 4;
      if (!drag.moved) return;
      if (drag.pans) {
        const span = strip.to - strip.from;
        const from = drag.from - ((event.clientX - drag.x) / box.clientWidth) * span;
        const kept = Math.max(0, Math.min(strip.end - span, from));
        show(kept, kept + span);
      } else {
        drag.band = [drag.share, shareOf(event, box)];
        redraw(false);
      }
      return;
    }
    hover(event);
  });
  const up = (event) => {
    pointers.delete(event.pointerId);
    const { drag } = strip;
    strip.drag = null;
    if (!drag) return;
    if (drag.band) {
      const [a, b] = drag.band.map((share) => strip.from + share * (strip.to - strip.from));
      show(Math.min(a, b), Math.max(a, b));
    } else if (!drag.moved) {
      const i = pieceUnderPointer(event);
      if (i >= 0) selectPiece(i);
    }
    redraw(false);
  };
  box.addEventListener("pointerup", up);
  box.addEventListener("pointercancel", (event) => {
    pointers.delete(event.pointerId);
    strip.drag = null;
    redraw(false);
  });
  box.addEventListener("dblclick", (event) => zoomTo(pieceUnderPointer(event)));
  box.addEventListener("pointerleave", () => {
    strip.hover = -1;
    strip.tip.hidden = true;
    redraw(false);
  });
  box.addEventListener("keydown", stripKey);
  const move = (event) => {
    if (event.buttons !== 1) return;
    const span = strip.to - strip.from;
    const middle = shareOf(event, map) * strip.end;
    const from = Math.max(0, Math.min(strip.end - span, middle - span / 2));
    show(from, from + span);
  };
  map.addEventListener("pointerdown", (event) => {
    map.setPointerCapture(event.pointerId);
    move(event);
  });
  map.addEventListener("pointermove", move);
}

function stripKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = (by) => {
    const next = state.at < 0 ? Math.max(0, pieceUnder(strip.from)) : state.at + by;
    if (next < 0 || next >= model.count) return;
    selectPiece(next);
    reveal();
  };
  const allocation = (by) => {
    const g = state.at < 0 ? 0 : model.of[state.at] + by;
    if (g < 0 || g >= model.groups) return;
    selectPiece(model.first[g]);
    reveal();
  };
  const keys = {
    ArrowLeft: () => (event.shiftKey ? pan(-0.2) : step(-1)),
    ArrowRight: () => (event.shiftKey ? pan(0.2) : step(1)),
    ArrowUp: () => allocation(-1),
    ArrowDown: () => allocation(1),
    Home: () => model.count && (selectPiece(0), reveal()),
    End: () => model.count && (selectPiece(model.count - 1), reveal()),
    "+": () => zoom(0.5, focusShare()),
    "=": () => zoom(0.5, focusShare()),
    "-": () => zoom(2, focusShare()),
    0: () => show(0, strip.end),
    z: () => zoomTo(state.at),
    Enter: () => showTab("regions"),
  };
  const run = keys[event.key];
  if (!run) return;
  event.preventDefault();
  event.stopPropagation();
  run();
}

// Zooming by key keeps the selection where it is.
function focusShare() {
  if (state.at < 0 || !inView(state.at)) return 0.5;
  const middle = strip.pos[state.at] + strip.wide[state.at] / 2;
  return Math.max(0, Math.min(1, (middle - strip.from) / (strip.to - strip.from)));
}

function hover(event) {
  const i = pieceUnderPointer(event);
  const { tip } = strip;
  if (i !== strip.hover) {
    strip.hover = i;
    redraw(false);
    if (i >= 0) {
      const cls = classOf(i);
      put(tip,
        el("b", {}, swatch(cls.kind), model.kinds[cls.kind][1], labelOf(i) && ` · ${labelOf(i)}`),
        el("br"), el("code", {}, `${hexOf(i)}–${endOf(i)}`),
        el("br"), [human(model.bytes[i]), cls.state, cls.type, cls.words].filter(Boolean).join(" · "));
    }
  }
  tip.hidden = i < 0;
  const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${event.clientY + 18}px`;
}
