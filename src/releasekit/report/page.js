"use strict";
// Search and filter. Without this script everything can be read all the same.
(() => {
  const form = document.getElementById("filter");
  if (!form) return;
  const rows = [...document.querySelectorAll("#packages > tbody > tr")];
  const lines = [...document.querySelectorAll("#lines li")]; // the timeline's, in the same order, if there is one
  const chunks = document.querySelectorAll("#packages > tbody, #lines > ol");
  const search = document.getElementById("search");
  const boxes = [...form.querySelectorAll("input[type=checkbox]")];
  const shown = document.getElementById("shown");
  const texts = rows.map((row) =>
    [...row.querySelectorAll("[data-search]")].map((cell) => cell.textContent).join("\n").toLowerCase());

  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = boxes.filter((box) => box.checked).map((box) => box.value);
    let count = 0;
    rows.forEach((row, at) => {
      const states = row.dataset.states.split(" ");
      const fits = (!wanted.length || wanted.some((state) => states.includes(state))) &&
        words.every((word) => texts[at].includes(word));
      row.hidden = !fits;
      if (lines[at]) lines[at].hidden = !fits;
      count += fits;
    });
    // What is out of sight is not laid out; its height is guessed from the number of its rows.
    chunks.forEach((chunk) => {
      const left = [...chunk.children].filter((row) => !row.hidden).length;
      chunk.hidden = !left;
      chunk.style.setProperty("--rows", left);
    });
    shown.textContent = `${count} of ${rows.length} packages shown`;
  };

  // A link to a package shows it, whatever the filter says, and opens what there is to know.
  const arrive = () => {
    const row = document.getElementById(location.hash.slice(1))?.closest("#packages > tbody > tr");
    if (!row) return;
    if (row.hidden) {
      form.reset();
      apply();
    }
    row.querySelector("details").open = true;
    row.scrollIntoView();
  };

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply)); // when the fields are empty again
  addEventListener("hashchange", arrive);
  addEventListener("pageshow", apply); // a browser may have kept what was typed
  form.hidden = false;
  apply();
  if (location.hash) arrive();
})();
