// Search and sort for the tables of texts. Without it they are plain tables. Texts are only read here, never parsed.
"use strict";

for (const table of document.querySelectorAll("table.texts")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const find = table.parentElement.previousElementSibling;
  const status = find.querySelector("[role=status]");
  const contents = rows.map((row) => row.textContent.toLowerCase());

  find.hidden = false;
  find.querySelector("input").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    let found = 0;
    rows.forEach((row, number) => {
      row.hidden = !contents[number].includes(wanted);
      if (!row.hidden) found += 1;
    });
    status.textContent = wanted ? `${found} of ${rows.length} texts` : `${rows.length} texts`;
  });

  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const number = head.dataset.sort === "number";
    const keys = new Map(rows.map((row) => {
      const cell = row.cells[column].textContent.trim();
      return [row, number ? parseFloat(cell) : cell];
    }));
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = (a, b) => (number ? keys.get(a) - keys.get(b) : keys.get(a).localeCompare(keys.get(b)));
      body.append(...[...rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
    });
  });
}
