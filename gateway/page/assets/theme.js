// Light or dark before the first paint: what the person chose here, else what the system says.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null;
    }
  };
  const apply = () => {
    const theme = chosen();
    root.dataset.theme = theme === "light" || theme === "dark" ? theme : system.matches ? "dark" : "light";
    dispatchEvent(new Event("themechange"));
  };
  addEventListener("storage", apply);
  addEventListener("themewanted", apply);
  system.addEventListener("change", apply);
  if (new URLSearchParams(location.search).has("wall")) root.dataset.wall = "";
  apply();
})();
