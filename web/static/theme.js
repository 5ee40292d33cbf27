// Chooses light or dark before anything is painted: what was chosen here, else what the system prefers.
(() => {
  const key = "fusebox-theme";
  let chosen = null;
  try { chosen = localStorage.getItem(key); } catch { /* storage is forbidden: the system's preference it is */ }
  const system = matchMedia("(prefers-color-scheme: light)");
  const apply = () => {
    document.documentElement.dataset.theme = chosen ?? (system.matches ? "light" : "dark");
    document.dispatchEvent(new Event("themechange"));
  };
  system.addEventListener("change", apply);
  window.fuseboxTheme = {
    get chosen() { return chosen ?? "system"; },
    next() {
      const order = ["system", "light", "dark"];
      const next = order[(order.indexOf(chosen ?? "system") + 1) % order.length];
      chosen = next === "system" ? null : next;
      try {
        if (chosen === null) localStorage.removeItem(key); else localStorage.setItem(key, chosen);
      } catch { /* for this visit only, then */ }
      apply();
      return next;
    },
  };
  apply();
})();
