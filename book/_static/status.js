// The status page: a reader chooses which claims are shown. Without scripts all of them are.
(() => {
  const sections = [...document.querySelectorAll("section:has(> * table.claim-details)")];
  const rows = sections.flatMap((section) =>
    [...section.querySelectorAll("table.claim-details tbody tr")].map((row) => ({
      row,
      result: row.querySelector(".claim-state").textContent.trim(),
      verdict: row.cells[0].querySelector(".claim-note").textContent.trim().split(/[ ,:]/)[0],
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
    for (const section of sections)
      section.hidden = !section.querySelector("table.claim-details tbody tr:not([hidden])");
    count.value = `${shown} of ${rows.length} claims`;
  }

  sections[0].before(form);
  choose();
})();
