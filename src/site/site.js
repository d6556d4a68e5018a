"use strict";
// The language of the page, remembered where the browser allows it, and the search of the index.
(() => {
  const root = document.documentElement;
  const button = document.getElementById("language");
  const remembered = () => { try { return localStorage.getItem("opsmart-language"); } catch { return null; } };
  const remember = (language) => { try { localStorage.setItem("opsmart-language", language); } catch { /* a private window forgets */ } };
  const show = (language) => {
    root.lang = language;
    root.dataset.language = language;
    button.textContent = language === "zh" ? "English" : "中文";
    button.lang = language === "zh" ? "en" : "zh";
  };
  show(remembered() === "zh" ? "zh" : "en");
  button.addEventListener("click", () => { const next = root.lang === "zh" ? "en" : "zh"; remember(next); show(next); });

  // A wide drawing begins at the table that the page is about.
  for (const graph of document.querySelectorAll(".graph")) {
    const here = graph.querySelector(".here");
    if (here) graph.scrollLeft = here.getBBox().x - graph.clientWidth / 2 + here.getBBox().width / 2;
  }

  const search = document.getElementById("search");
  if (!search) return;
  const rows = [...document.querySelectorAll("tr[data-words]")];
  search.addEventListener("input", () => {
    const wanted = search.value.normalize("NFKC").toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const row of rows) {
      const isFound = wanted.every((word) => row.dataset.words.includes(word));
      row.hidden = !isFound;
      found += isFound ? 1 : 0;
    }
    document.querySelectorAll("section.group").forEach((group) => { group.hidden = ![...group.querySelectorAll("tr[data-words]")].some((row) => !row.hidden); });
    document.getElementById("found").textContent = wanted.length ? found + " / " + rows.length : "";
  });
})();
