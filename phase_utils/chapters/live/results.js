import { at, stationary } from "./theory.js";
import { add, note, num, plot, range, size } from "./draw.js";
import { counted } from "./table.js";
import { envelope, globalMinimum, learningStart } from "./phases.js";

// What the calculator shows of a phase diagram: tables of text, and a drawing.
// A table whose cells are plain text; on a phone each cell says what it is.
function grid(parent, caption, heads, rows) {
  const made = add(parent, "table", { role: "table" });
  made.createCaption().textContent = caption;
  const line = (body, cells, top) => {
    const row = add(body, "tr", { role: "row" });
    cells.forEach((cell, i) => {
      const node = add(row, top || !i ? "th" : "td", { "data-of": heads[i],
        role: top ? "columnheader" : i ? "cell" : "rowheader" });
      node.textContent = cell;
    });
  };
  line(add(made, "thead", { role: "rowgroup" }), heads, true);
  const body = add(made, "tbody", { role: "rowgroup" });
  rows.forEach((row) => line(body, row));
}

// Transitions and spinodals of all depths.
export function diagramTable(parent, all) {
  const row = (what, { p }, gamma, ...rest) =>
    [`D = ${p.D}: ${what}`, num(gamma, 5), num(2 * gamma, 5), ...rest];
  const rows = all.flatMap((phase) => [
    ...phase.jumps.map((j) => row(j.order === 2 ? "second order" : "first order, a jump", phase, j.gamma,
      `${num(j.below.R)} to ${num(j.above.R)}`, num(j.heat), num(j.barrier))),
    ...phase.ends.map((s) => row("spinodal", phase, s.gamma, num(s.R), "", "")),
  ]);
  grid(parent, "What happens as the decay grows",
    ["depth", "γ", "weight_decay", "|w|²", "latent heat", "barrier"], rows);
}

export function spectrumTable(parent, { eigenvalues, signals, Eyy }) {
  const rows = eigenvalues.map((a, i) => [String(eigenvalues.length - i), num(a, 6), num(Math.abs(signals[i]), 6),
    `${num(a && 100 * signals[i] ** 2 / a / Eyy, 3)} %`]);
  const box = add(parent, "details");
  add(box, "summary", {}, `Eigenvalues and signals of the ${counted(rows.length, "direction")}`);
  grid(box, "Principal directions of the inputs", ["direction", "eigenvalue a", "signal |e|", "learnable of E[y²]"],
    rows.reverse());
}

// The largest decay that a drawing shows where nobody asks for another.
export const reach = ({ p, ends, critical }) =>
  1.25 * Math.max(...ends.map((s) => s.gamma), critical ?? Math.hypot(...p.e));

// The loss and the norm of the lowest state over the decay, of the others thin.
export function drawing(phase, Eyy) {
  const { p, pieces, jumps, ends, critical } = phase;
  const others = pieces.map((b) => [b.kind < 0 ? "thin" : "unstable",
    range(300, (k) => at(p, b.lo + (b.hi - b.lo) * k))]);
  const lowest = envelope(phase);
  if (critical) lowest.push([critical, 2 * reach(phase)].map((gamma) => ({ gamma, loss: 0, R: 0 })));
  return (svg, width, get) => {
    const gamma = get("gamma"), far = get("far"), beside = width > 560, gap = 74, x = 52;
    const w = beside ? (width - gap - x - 12) / 2 : width - x - 12, h = beside ? 250 : 210;
    const boxes = [[x, 30, w, h], beside ? [x + w + gap, 30, w, h] : [x, h + 112, w, h]];
    size(svg, width, boxes[1][1] + h + 46);
    const shown = jumps.filter((j) => j.gamma < far), deep = globalMinimum(phase, far / 400).loss;
    const least = -globalMinimum(phase, far).loss;
    const tops = shown.map((j) => j.below.loss + j.barrier);
    const high = Math.max(0.08 * (-deep - least), 1.3 * Math.max(...tops, -least) + least) - least;
    const low = Math.max(0, Eyy + deep - 0.06 * (-deep - least));
    const most = 1.08 * globalMinimum(phase, far / 50).R;
    const loss = plot(svg, boxes[0], [0, far], [low, Eyy + high], "weight decay *γ*", "loss *L*");
    const norm = plot(svg, boxes[1], [0, far], [0, most], "weight decay *γ*", "squared norm |*w*|²");
    const both = (points, kind) => {
      loss.path(points.map((s) => [s.gamma, Eyy + s.loss]), kind);
      norm.path(points.map((s) => [s.gamma, s.R]), kind);
    };
    for (const [kind, points] of others) both(points, kind);
    for (const points of lowest) both(points, "curve");
    loss.path([[gamma, low], [gamma, Eyy + high]], "jump mark");
    norm.path([[gamma, 0], [gamma, most]], "jump mark");
    const best = globalMinimum(phase, gamma);
    if (gamma <= far) {
      loss.dot(gamma, Eyy + best.loss, "full");
      norm.dot(gamma, best.R, "full");
    }
    for (const j of shown) {
      const word = j.order === 1 ? "jump" : "critical point";
      for (const [where, value, dx, dy] of [[loss, Eyy + j.below.loss, 8, 20], [norm, j.below.R, 4, -9]]) {
        where.dot(j.gamma, value, "", 4);
        note(svg, where.X(j.gamma) + dx, where.Y(value) + dy, word, { class: "jump", "text-anchor": "start" });
      }
      if (j.order === 1) norm.dot(j.gamma, j.above.R, "", 4);
    }
    for (const s of ends.filter((one) => one.gamma < far)) {
      note(svg, norm.X(s.gamma) + 6, norm.Y(s.R) - 8, "spinodal", { class: "spinodal" });
    }
    return said(phase, gamma, best, Eyy);
  };
}

// What the reader should know at one decay.
function said(phase, gamma, best, Eyy) {
  const { p, pieces } = phase, start = learningStart(phase, gamma);
  const minima = stationary(p, gamma, pieces).filter((s) => s.kind < 0);
  return `γ = ${num(gamma)}, weight_decay = ${num(2 * gamma)}: the lowest state `
    + (best.B ? `is learned, |w|² = ${num(best.R)}` : "is w = 0") + `, L = ${num(Eyy + best.loss)}`
    + (minima.length > 1 ? "; another is metastable. " : ". ")
    + (start ? `Balanced layers with Frobenius norms between ${num(start.from)} and ${num(start.B)} learn; start at `
      + `${num(start.start)}.` : p.D < 1 ? "" : "No start learns here.");
}
