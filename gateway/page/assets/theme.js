// Light or dark before the first paint: what the address says (?theme=), what was chosen here, else the system's.
(() => {
  const root = document.documentElement;
  const asked = new URLSearchParams(location.search);
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null;
    }
  };
  const apply = () => {
    const theme = asked.get("theme") ?? chosen();
    root.dataset.theme = theme === "light" || theme === "dark" ? theme : system.matches ? "dark" : "light";
    dispatchEvent(new Event("themechange"));
  };
  addEventListener("storage", apply);
  system.addEventListener("change", apply);
  if (asked.has("wall")) root.dataset.wall = "";
  apply();
})();
