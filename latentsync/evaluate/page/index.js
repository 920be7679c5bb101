"use strict";
// Sorts the table of a batch: every cell knows its row's place in the order of its column (data-key).
(() => {
  document.documentElement.classList.add("js");
  const table = document.querySelector("table.batch");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const status = document.querySelector("[role=status]");

  const place = (row, column) => Number((row.cells[column] || row.cells[1]).dataset.key);

  const sort = (column, way) => {
    const rows = [...body.rows].sort((a, b) => way * (place(a, column) - place(b, column)));
    body.append(...rows);
    heads.forEach((head, other) => {
      if (other === column) head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    status.textContent = `Sorted by ${heads[column].textContent}, ${way > 0 ? "first or best" : "last or worst"} on top.`;
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      sort(column, head.getAttribute("aria-sort") === "ascending" ? -1 : 1);
    });
    head.replaceChildren(button);
  });
})();
