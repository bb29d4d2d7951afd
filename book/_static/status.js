// The status page: a reader chooses which claims are shown, and their order. Without scripts all are.
(() => {
  const tables = [...document.querySelectorAll("table.claim-details")];
  const rows = tables.flatMap((table) =>
    [...table.tBodies[0].rows].map((row) => ({
      row,
      home: table.tBodies[0],
      chapter: table.closest("section").querySelector(":is(h2, h3)").firstChild.textContent.trim(),
      claim: row.cells[1].querySelector("strong").textContent,
      result: row.querySelector(".claim-state").textContent.trim(),
      verdict: row.cells[0].querySelector(".claim-note").textContent.trim(),
      text: row.textContent.toLowerCase(),
    })),
  );
  if (!rows.length) return;

  const form = document.createElement("form");
  form.className = "claim-filter";
  const field = (name, control) => {
    const label = document.createElement("label");
    const both = document.createElement("span");
    label.append(name);
    label.htmlFor = control.id = `claims-by-${name.toLowerCase()}`;
    both.append(label, " ", control);
    form.append(both);
    control.addEventListener("input", choose);
    return control;
  };
  const list = (name, values) => {
    const select = document.createElement("select");
    for (const value of ["all", ...new Set(values)]) select.add(new Option(value));
    return field(name, select);
  };
  const words = document.createElement("input");
  words.type = "search";
  field("Text", words);
  const chapter = list("Chapter", rows.map((r) => r.chapter));
  const result = list("Result", rows.map((r) => r.result));
  const verdict = list("Verdict", rows.map((r) => r.verdict));
  const order = document.createElement("select");
  for (const key of ["book", "claim", "result", "verdict"]) order.add(new Option(key));
  field("Order", order);
  const count = document.createElement("output");
  form.append(count);
  form.addEventListener("submit", (event) => event.preventDefault());

  // all rows in one table behind the form, or each in that of its chapter
  const sorted = document.createElement("div");
  sorted.className = "pst-scrollable-table-container";
  sorted.hidden = true;
  const together = tables[0].cloneNode();
  together.append(tables[0].tHead.cloneNode(true), document.createElement("tbody"));
  sorted.append(together);
  order.addEventListener("input", () => {
    const key = order.value;
    const by = key === "book" ? rows : [...rows].sort((a, b) => a[key].localeCompare(b[key], "en"));
    for (const r of by) (key === "book" ? r.home : together.tBodies[0]).append(r.row);
    sorted.hidden = key === "book";
    choose();
  });

  function choose() {
    const sought = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const r of rows) {
      const fits =
        ["all", r.chapter].includes(chapter.value) &&
        ["all", r.result].includes(result.value) &&
        ["all", r.verdict].includes(verdict.value) &&
        sought.every((word) => r.text.includes(word));
      r.row.hidden = !fits;
      shown += fits;
    }
    for (const table of tables)
      table.closest("section").hidden = !table.querySelector("tbody tr:not([hidden])");
    count.value = `${shown} of ${rows.length} claims`;
  }

  tables[0].closest("section").before(form, sorted);
  choose();
})();
