// Tables that are sorted by their headings and filtered by a text.
"use strict";

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const value = (row, column) => {
    const cell = row.cells[column];
    const number = cell.dataset.value;
    return number === undefined ? cell.textContent.trim() : number === "" ? -Infinity : Number(number);
  };
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = heading.querySelector("button");
    button?.addEventListener("click", () => {
      // Numbers start with the largest, names with A.
      const numeric = body.rows.length > 0 && typeof value(body.rows[0], column) === "number";
      const before = heading.getAttribute("aria-sort");
      const up = before ? before === "descending" : !numeric;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].map((row, place) => ({ row, place, key: value(row, column) }));
      rows.sort((one, two) => {
        const order =
          typeof one.key === "number" && typeof two.key === "number"
            ? one.key - two.key || 0
            : String(one.key).localeCompare(String(two.key), undefined, { numeric: true });
        return (up ? order : -order) || one.place - two.place;
      });
      body.append(...rows.map(({ row }) => row));
    });
  });
}

for (const input of document.querySelectorAll("input[data-filter]")) {
  const table = document.getElementById(input.dataset.filter);
  const count = document.getElementById(`${input.dataset.filter}-count`);
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const texts = new Map([...table.tBodies[0].rows].map((row) => [row, plain(row.textContent)]));
  const apply = () => {
    const words = plain(input.value).split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of texts) {
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = words.length ? `${shown} of ${texts.size}` : "";
  };
  input.addEventListener("input", apply);
  apply();
}
