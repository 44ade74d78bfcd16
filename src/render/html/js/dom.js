// Elements, and nothing else. Text is set as text: no string of a dump is ever
// read as markup.

const byId = (id) => document.getElementById(id);

// el("td", {class: "num", onclick: f}, "text", child): attributes, listeners
// (on...), children. null and false leave an attribute or a child out.
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  fill(node, children);
  return node;
}

function fill(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child);
  }
  return node;
}

// Replaces what is in `node`.
function put(node, ...children) {
  node.replaceChildren();
  return fill(node, children);
}

// Says something to a screen reader.
function say(text) {
  byId("live").textContent = text;
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages from a mail attachment may not have the clipboard.
    const area = el("textarea", { class: "away", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(`Copied ${what}`);
}

let toastTimer = 0;
function toast(text) {
  const node = byId("toast") || document.body.appendChild(el("div", { id: "toast", class: "toast" }));
  node.textContent = text;
  node.hidden = false;
  say(text);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (node.hidden = true), 1600);
}

// Whether a key belongs to a field that somebody types in.
function typing(event) {
  return event.target.closest("input, select, textarea") !== null;
}

// A horizontal bar of parts: [share of 1, class, title].
function bar(parts, label) {
  const node = el("div", { class: "meter", role: "img", "aria-label": label, title: label });
  for (const [share, cls, title] of parts) {
    if (!(share > 0)) continue;
    const part = el("span", { class: cls, title });
    part.style.width = `${Math.min(100, share * 100)}%`;
    node.append(part);
  }
  return node;
}
