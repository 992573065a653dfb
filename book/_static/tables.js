// Tables of claims and records: sort by a press on a header, filter by column or by any word. The table itself stands in the
// page; without this script it is whole, only not sortable. An address such as records.html?Scene=botswana sets a filter.
const FILTERS = ["Where", "Seeds", "Verdict", "Scene", "Method", "Split", "Query", "Profile", "Seed", "Pages", "Weights"];

const textOf = (row, column) => row.cells[column].textContent.trim();

function makeSortable(table, headers, rows) {
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...header.childNodes);
    header.append(button);
    header.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const direction = header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      headers.forEach((other) => other.setAttribute("aria-sort", other === header ? direction : "none"));
      const compare = new Intl.Collator("en", { numeric: true }).compare;
      const number = (row) => Number.parseFloat(textOf(row, column));
      const numeric = rows.every((row) => !textOf(row, column) || !Number.isNaN(number(row)));
      const sign = direction === "ascending" ? 1 : -1;
      rows.sort((a, b) => sign * (numeric ? (number(a) || 0) - (number(b) || 0) : compare(textOf(a, column), textOf(b, column))));
      table.tBodies[0].append(...rows);
    });
  });
}

// What a cell offers to a filter: each of several where it lists them (pages, places in the paper), else its text.
const LISTS = { Pages: /\s+/, Where: /(?: \([^)]*\))?(?:, |$)/ };
const values = (row, column, name) => (LISTS[name] ? textOf(row, column).split(LISTS[name]).filter(Boolean) : [textOf(row, column)]);

function choice(name, found) {
  const label = document.createElement("label");
  const select = document.createElement("select");
  select.name = name;
  select.append(new Option("all", ""), ...found.map((value) => new Option(value || "(none)", value || "-")));
  label.append(`${name} `, select);
  return [label, select];
}

function makeFilterable(box, table, headers, names, rows) {
  const bar = document.createElement("form");
  bar.className = "filters";
  bar.setAttribute("aria-label", "Filter the table");
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  const chosen = names.flatMap((name, column) => {
    if (!FILTERS.includes(name)) return [];
    const found = [...new Set(rows.flatMap((row) => values(row, column, name)))].sort(compare);
    const [label, select] = choice(name, found);
    bar.append(label);
    return [{ name, column, select }];
  });
  const label = document.createElement("label");
  const word = document.createElement("input");
  word.type = "search";
  word.name = "any";
  label.append("Any word ", word);
  const count = document.createElement("output");
  bar.append(label, count);
  const apply = () => {
    const wanted = word.value.toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = chosen.every(({ name, column, select }) =>
        !select.value || values(row, column, name).some((value) => (value || "-") === select.value));
      row.hidden = !(fits && row.textContent.toLowerCase().includes(wanted));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length} rows`;
  };
  const asked = new URLSearchParams(location.search);
  for (const { name, select } of chosen) {
    const value = asked.get(name);
    if (value && ![...select.options].some((option) => option.value === value)) select.append(new Option(value));
    if (value) select.value = value;  // also where no row has it: a page without runs shows none, not all
  }
  if (asked.has("any")) word.value = asked.get("any");
  bar.addEventListener("input", apply);
  bar.addEventListener("submit", (event) => event.preventDefault());
  box.prepend(bar);
  apply();
}

document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll(".filterable")) {
    const table = box.querySelector("table");
    const headers = [...table.tHead.rows[0].cells];
    const names = headers.map((header) => header.textContent.trim());
    const rows = [...table.tBodies[0].rows];
    makeSortable(table, headers, rows);
    makeFilterable(box, table, headers, names, rows);
  }
});

// The theme's folds in the sidebar have no name, and what scrolls sideways has to be reached by keyboard.
document.addEventListener("DOMContentLoaded", () => {
  for (const fold of document.querySelectorAll("nav summary")) if (!fold.textContent.trim()) fold.setAttribute("aria-label", "Show the pages below");
  for (const box of document.querySelectorAll("figure, .cell_output, .sd-col, .filterable table, .bd-article table, div.math, pre"))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
});
