// The status page: a reader chooses which claims are shown. Without scripts all of them are.
(() => {
  const tables = [...document.querySelectorAll("table.claim-details")];
  const rows = tables.flatMap((table) =>
    [...table.tBodies[0].rows].map((row) => ({
      row,
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
    label.append(name, " ", control);
    form.append(label);
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
  const result = list("Result", rows.map((r) => r.result));
  const verdict = list("Verdict", rows.map((r) => r.verdict));
  const count = document.createElement("output");
  form.append(count);
  form.addEventListener("submit", (event) => event.preventDefault());

  function choose() {
    const sought = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const r of rows) {
      const fits =
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

  tables[0].closest("section").before(form);
  choose();
})();
