"use strict";
// Filters the cells of the matrix. Without it the page shows everything, in closed groups.
const box = document.getElementById("filter");
if (box) {
  const words = document.getElementById("filter-words");
  const verdict = document.getElementById("filter-verdict");
  const count = document.getElementById("filter-count");
  const groups = [...document.querySelectorAll("details.pair")].map((group) => ({
    group,
    open: group.open,
    rows: [...group.querySelectorAll("tbody tr")].map((row) => ({ row, text: row.textContent.toLowerCase() })),
  }));
  const apply = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const active = wanted.length > 0 || verdict.value !== "";
    let shown = 0;
    for (const { group, open, rows } of groups) {
      let here = 0;
      for (const { row, text } of rows) {
        const fits = wanted.every((word) => text.includes(word)) && (verdict.value === "" || row.dataset.is.split(" ").includes(verdict.value));
        row.hidden = !fits;
        here += fits;
      }
      group.hidden = here === 0;
      group.open = active ? here > 0 && here <= 200 : open;
      shown += here;
    }
    count.textContent = shown + (shown === 1 ? " cell" : " cells");
  };
  let timer = 0;
  words.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(apply, 120); });
  verdict.addEventListener("change", apply);
  box.hidden = false;
  apply();
}
// A link from the overview opens the group that it leads to.
const reveal = () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") { target.hidden = false; target.open = true; target.scrollIntoView(); }
};
window.addEventListener("hashchange", reveal);
reveal();
// Paper has no triangles to click: the entries of the devices are printed open.
window.addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details.acl")) { one.open = true; } });
