import { branches, loss, minimaOf, signal, spinodals, spread, stationary, unit } from "./theory.js";
import { decays, destination, transitions } from "./transitions.js";
import { add, area, depths, mount, note, num, plot, range, size } from "./draw.js";

const problem = (get) => ({
  a: spread(get("a"), get("anisotropy")), e: get("e"), D: get("depth"), N: get("noise_factor"),
});
const words = ["no", "one", "two", "three", "four"];

function draw(svg, width, get, set) {
  const p = problem(get), gamma = get("gamma"), E = signal(p);
  const pieces = branches(p), ends = spinodals(pieces), jumps = transitions(p);
  const points = stationary(p, gamma, pieces), minima = minimaOf(p, points);
  const tops = points.filter((s) => s.kind > 0), ground = minima.find((s) => s.global);
  const high = 1.2 * Math.max(...ends.concat(points).map((s) => s.loss), 0.02 * unit(p));
  const low = Math.min(1.35 * ground.loss, -0.7 * high), wide = 1.2 * pieces[0].from.B;
  const x = 52, w = width - x - 12, h = width < 500 ? 230 : 290, base = h + 150;
  size(svg, width, base + 48);

  const main = plot(svg, [x, 30, w, h], [0, wide], [low, high],
    p.D ? "order parameter *B*" : "norm of the weights, *B*",
    "effective loss − E[*y*²]");
  main.path([[0, 0], [wide, 0]], "thin");
  main.path(range(300, (i) => [wide * i * i, loss(p, wide * i * i, gamma)]), "curve");
  const top = tops.reduce((m, s) => (m && m.loss > s.loss ? m : s), null);
  if (top) {
    main.path([[top.B, top.loss], [top.B, ground.loss]], "spinodal mark");
    main.path([[ground.B, ground.loss], [top.B, ground.loss]], "thin");
  }
  tops.forEach((s) => main.dot(s.B, s.loss, "top"));
  minima.forEach((s) => main.dot(s.B, s.loss, s.global ? "full" : ""));
  for (const s of minima) {
    note(svg, main.X(s.B) + (s.B ? 0 : 10), main.Y(s.loss) + 24, s.B ? "learned" : "trivial",
      { "text-anchor": s.B ? "middle" : "start" });
  }
  if (top) note(svg, main.X(top.B), main.Y(top.loss) - 13, "barrier", { class: "spinodal" });

  // the axis of gamma, with the phases of the global minimum
  const end = p.D > 1 ? ends.at(-1).gamma : E, far = Math.max(1.3 * end, gamma);
  const strip = (v) => x + w * v / far;
  const cuts = p.D < 1 ? [0, far] : [0, ...jumps.map((t) => t.gamma), end, far];
  cuts.slice(1).forEach((to, i) => {
    const rest = cuts.length - 2 - i, from = cuts[i];
    const kind = p.D < 1 || rest > 1 || (p.D === 1 && rest) ? "tint" : rest ? "tint2" : "tint3";
    const name = { tint: "learned", tint2: "metastable", tint3: "trivial" }[kind];
    const box = { x: strip(from), y: base - 28, width: strip(to) - strip(from), height: 22 };
    add(svg, "rect", { ...box, class: kind });
    if (box.width > 76) note(svg, box.x + box.width / 2, base - 13, name, { class: "bare" });
  });
  const flag = (v, y, kind, text, side) => {
    add(svg, "path", { d: `M${strip(v)},${base}V${y + 4}`, class: `${kind} mark` });
    note(svg, strip(v) + (side ? 4 : 0), y, text, { class: kind, "text-anchor": side ?? "middle" });
  };
  ends.forEach((s) => flag(s.gamma, base - 53, "spinodal", "spinodal"));
  jumps.forEach((t) => flag(t.gamma, base - 35, "jump", "coexistence", "end"));
  if (p.D === 1) flag(E, base - 35, "jump", "critical point");
  plot(svg, [x, base, w, 0], [0, far], [0, 0], "weight decay *γ*", "");
  add(svg, "circle", { cx: strip(gamma), cy: base - 3, r: 8, class: "handle" });
  area(svg, [x - 10, base - 50, w + 20, 62], (px) => set({ gamma: far * (px - x) / w }));

  const list = (all) => all.map((s) => num(s.gamma)).join(", ");
  const many = minima.length > 1;
  const named = (s) => `B = ${num(s.B)}` + (many ? s.global ? " (global)" : " (metastable)" : "");
  const level = many && minima.every((s) => s.global);
  const answer = level ? `Level: here the best network drops from B = ${num(minima.at(-1).B)} `
    + `to ${num(minima[0].B)}.`
    : p.D === 1 && Math.abs(gamma / E - 1) < 1e-9 ? "One minimum is all there is, and it has just reached zero: no jump." : "";
  return [`γ = ${num(gamma)}: ${words[minima.length]} minim${many ? "a" : "um"}, `
    + minima.map(named).join(", ")
    + (top ? `; barrier ${num(top.loss - ground.loss)} above the global minimum. ` : ". ")
    + (jumps.length ? `Coexistence at γ = ${list(jumps)}, ` : "")
    + (ends.length ? `spinodal${ends.length > 1 ? "s" : ""} at γ = ${list(ends)}.` : "")
    + (p.D === 1 ? `Critical point at γ = ${num(E)}: the minimum leaves zero continuously.` : "")
    + (p.D ? "" : "A parabola: ridge regression. ")
    + (p.D < 1 ? "No transition below one hidden layer." : ""), answer];
}

function render(context) {
  return mount(context, {
    title: "Effective landscape of a deep linear network.",
    question: "Raise the decay until two minima are level. What does the best network do there?",
    sliders: [["gamma", "weight decay *γ*", { snap: (get) => decays(problem(get)) }], ["depth", "depth *D*", depths],
      ["noise_factor", "noise factor *N*", { more: true }], ["anisotropy", "anisotropy", { more: true }]],
    buttons: [destination(problem)],
    draw,
  });
}
export default { render };
