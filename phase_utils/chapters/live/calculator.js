import { add, mount, num } from "./draw.js";
import { Refused, decoded, refuse, table } from "./table.js";
import { moments, samples } from "./samples.js";
import { learningStart, phases } from "./phases.js";
import { diagramTable, drawing, reach, spectrumTable } from "./results.js";
import { python } from "./python_lines.js";

// A file of data in, the phase diagram of deep linear networks on it out; nothing leaves the page.
const DEPTHS = [1, 2, 3, 5], NO_CASCADE = 33.97; // of chapter 7
const rest = () => new Promise((go) => { setTimeout(go); });

function render({ el, model }) {
  const part = (name) => el.querySelector(name);
  const [form, asked, status, results] = ["form", ".asked", ".said", ".results"].map(part);
  const [list, summary] = [".choices", "summary"].map(part), { file, label, scale, depth } = form.elements;
  let data, chosen, example, wide, large, close, known = {}, run = 0;

  const show = (text, kind = "") => {
    close?.();
    close = undefined;
    results.replaceChildren();
    status.className = `said ${kind}`;
    status.textContent = text;
  };
  const offer = (columns, text) => {
    const button = add(status, "button", { type: "button" });
    button.textContent = text;
    button.onclick = () => {
      columns.forEach((i) => chosen.delete(i));
      choose();
      answer();
    };
  };
  const wrong = (error) => {
    if (!(error instanceof Refused)) throw error;
    show(error.message, "wrong");
    const { column } = error, mine = Number(label.value);
    if (column === undefined) return;
    const words = data.words.filter((i) => chosen.has(i) && i !== mine);
    if (column !== mine) offer([column], `Leave out ${data.names[column]}`);
    if (words.length > 1) offer(words, `Leave out all ${words.length} columns of words`);
  };

  function open(name, bytes, builtIn) {
    run++;
    asked.hidden = true;
    for (const before of el.querySelectorAll(".pu-live-static")) before.hidden = true;
    try {
      if (!/\.[ct]sv$/i.test(name)) refuse(`${name} must be a .csv or .tsv file; save the table as CSV`);
      data = table(name, decoded(name, bytes));
      wide = bytes.includes(0);
      large = bytes.length > 2e6;
    } catch (error) {
      wrong(error);
      return;
    }
    [example, chosen] = [builtIn, new Set(data.names.keys())];
    label.replaceChildren();
    data.names.forEach((column, i) => { add(label, "option", { value: i }).textContent = column; });
    label.value = data.names.length - 1;
    part("details").open = data.names.length < 14;
    asked.hidden = false;
    choose();
    answer();
  }

  // A box for each column but the label, ticked where it is an input.
  function choose() {
    list.replaceChildren();
    const count = () => {
      const n = [...chosen].filter((i) => i !== Number(label.value)).length;
      summary.textContent = `Inputs: ${n} of ${data.names.length - 1} columns`;
    };
    data.names.forEach((name, i) => {
      if (i === Number(label.value)) return;
      const line = add(list, "label"), box = add(line, "input", { type: "checkbox" });
      box.checked = chosen.has(i);
      box.onchange = () => {
        chosen[box.checked ? "add" : "delete"](i);
        count();
        answer();
      };
      add(line, "span").textContent = name;
    });
    count();
  }

  async function answer() {
    const mine = ++run, target = Number(label.value), D = Number(depth.value);
    const inputs = [...data.names.keys()].filter((i) => i !== target && chosen.has(i));
    let last = large ? -Infinity : performance.now();
    const breathe = async (share) => {
      if (performance.now() - last < 40) return;
      show("");
      add(status, "progress", { value: share, "aria-label": "computing" });
      await rest();
      last = performance.now();
      if (mine !== run) refuse("");
    };
    const question = String([target, inputs, scale.value]);
    if (known.data !== data || known.question !== question) {
      try {
        await breathe(0);
        const made = samples(data, target, inputs, scale.value);
        known = { data, question, made, m: await moments(made, breathe) };
      } catch (error) {
        if (mine === run) wrong(error);
        return;
      }
    }
    const { made, m } = known;
    show(`${made.said}.`);
    if (m.silent || !m.a.length) {
      add(results, "p", { class: "wrong" }, "E[xy] is zero up to rounding: inputs and label are not correlated, "
        + "and no linear network learns at any decay.");
      return;
    }
    const depths = [...new Set([...DEPTHS, D])].sort((i, j) => i - j);
    const all = depths.map((each) => phases({ a: m.a, e: m.e, D: each, N: 1 }));
    const phase = all[depths.indexOf(D)], cascade = depths.filter((_, i) => all[i].jumps.length > 1);
    const ratio = m.a.at(-1) / m.a[0], learnable = m.e.reduce((sum, e, i) => sum + e * e / m.a[i], 0);
    add(results, "p", {}, `|E[xy]| = ${num(m.signal, 5)}, E[y²] = ${num(m.Eyy, 5)}, of which a linear predictor can `
      + `explain ${num(100 * learnable / m.Eyy)} %. Eigenvalues with signal differ by a factor of up to ${num(ratio)}. `
      + (cascade[0] ? `Cascade at depth ${cascade.join(", ")}: features are given up in several jumps.`
        : ratio > NO_CASCADE ? "No cascade at these depths."
          : `No cascade at any depth, as below ${NO_CASCADE} there is none.`));
    diagramTable(results, all);
    figure(phase, m.Eyy);
    const gamma = (phase.critical ?? m.signal) / 2;
    lines(python({ data, target, inputs, scale: scale.value, D, example, m, body: made.plain && !wide && made.body,
      gamma: learningStart(phase, gamma) && gamma }));
    spectrumTable(results, m);
  }

  function figure(phase, Eyy) {
    const { p, jumps, ends, critical } = phase, far = reach(phase);
    const marks = [...jumps.map(({ gamma, order }) => [gamma, order === 1 ? "jump" : "critical point"]),
      ...ends.map(({ gamma }) => [gamma, "spinodal"])];
    const low = Math.min(...jumps.map((j) => j.gamma), far) / 20;
    model.set("limits", { gamma: [low, far], far: [3 * low, far] });
    model.set("gamma", (critical ?? far) / 2);
    model.set("far", far);
    add(results, "h2", {}, `Depth ${p.D}: loss and norm over the decay`);
    close = mount({ el: add(results, "div"), model }, {
      title: `Loss and squared norm over the weight decay at depth ${p.D}.`,
      sliders: [["gamma", "decay *γ*", { snap: () => marks }], ["far", "drawn up to"]],
      buttons: jumps.map(({ gamma }) => [`Go to γ = ${num(gamma)}`,
        (_, set) => set({ gamma, far: gamma < far / 5 ? 3 * gamma : far })]),
      draw: drawing(phase, Eyy),
    });
  }

  function lines(text) {
    add(results, "h2", {}, "The same in Python");
    const code = add(results, "pre", { tabindex: 0, role: "region", "aria-label": "Python" });
    code.textContent = text;
    const copy = add(results, "button", { type: "button" }, "Copy");
    copy.onclick = () => {
      getSelection().selectAllChildren(code);
      copy.textContent = document.execCommand("copy") ? "Copied" : "Selected: copy it";
    };
  }

  for (const [name, { text, load }] of Object.entries(model.get("examples"))) {
    const button = add(part(".examples"), "button", { type: "button" });
    button.textContent = name;
    button.onclick = () => {
      file.value = "";
      open(`${name}.csv`, new TextEncoder().encode(text), load);
    };
    add(part(".examples"), "a", { download: `${name}.csv`, href: `data:text/csv,${encodeURIComponent(text)}` },
      "save it");
  }
  const take = async (one) => {
    if (one) open(one.name, new Uint8Array(await one.arrayBuffer()));
  };
  file.onchange = () => take(file.files[0]);
  label.onchange = () => {
    choose();
    answer();
  };
  scale.onchange = answer;
  depth.onchange = () => {
    depth.value = Math.min(100, Math.max(0, Math.round(depth.value)));
    answer();
  };
  form.onsubmit = () => false;
  const over = (event) => {
    event.preventDefault();
    part(".source").classList.toggle("over", event.type === "dragover");
  };
  el.ondragover = over;
  el.ondragleave = over;
  el.ondrop = (event) => {
    over(event);
    take(event.dataTransfer.files[0]);
  };
}
export default { render };
