// Light and dark: as the system, or as the switch says.

function theme(changed = () => {}) {
  const root = document.documentElement;
  const kept = () => {
    try {
      return localStorage.getItem("dumpmap-theme");
    } catch {
      return null;
    }
  };
  const button = el("button", { type: "button", id: "theme", onclick: () => set({ "": "dark", dark: "light", light: "" }[root.dataset.theme ?? ""]) });
  const set = (word) => {
    if (word) root.dataset.theme = word;
    else delete root.dataset.theme;
    button.textContent = { "": "Colours: as the system", dark: "Colours: dark", light: "Colours: light" }[word];
    try {
      localStorage.setItem("dumpmap-theme", word);
    } catch {
      // Not kept then.
    }
    changed();
  };
  set(["dark", "light"].includes(kept()) ? kept() : "");
  byId("tools").append(button);
}
