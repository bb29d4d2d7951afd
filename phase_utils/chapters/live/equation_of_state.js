import { at, branches, minimaOf, on, signal, spinodals, stationary, unit } from "./theory.js";
import { critical, decays, destination, transitions } from "./transitions.js";
import { area, depths, mount, note, num, plot, range, size } from "./draw.js";

const problem = (get) => ({ a: get("a"), e: get("e"), D: get("depth"), N: get("noise_factor") });

function draw(svg, width, get, set) {
  const p = problem(get), gamma = get("gamma"), E = signal(p);
  const pieces = branches(p), ends = spinodals(pieces), jumps = transitions(p);
  const points = stationary(p, gamma, pieces), minima = minimaOf(p, points);
  const ground = minima.find((s) => s.global), star = critical(p, jumps);
  const beside = width > 560, gap = 74, x = 52;
  const w = beside ? (width - gap - x - 12) / 2 : width - x - 12, h = beside ? 270 : 220;
  const left = [x, 30, w, h], right = beside ? [x + w + gap, 30, w, h] : [x, h + 112, w, h];
  size(svg, width, right[1] + h + 46);

  const far = Math.max(1.25 * Math.max(...ends.map((s) => s.gamma), p.D > 1 ? 0 : E), gamma);
  const widest = 1.08 * pieces[0].from.R;
  const high = 1.4 * Math.max(...ends.concat(points).map((s) => s.loss), 0.01 * unit(p));
  const low = Math.min(1.3 * ground.loss, -3 * high);
  const state = plot(svg, left, [0, widest], [0, far], "squared norm *R*", "weight decay *γ*");
  const free = plot(svg, right, [0, far], [low, high], "weight decay *γ*", "loss − E[*y*²]");

  // areas between the level line and the curve, from each crossing to the next
  const edge = Math.log(p.N * Math.max(...p.a)) + 16, lobes = p.D > 1 ? points.slice(1) : [];
  const areas = lobes.map((s, i) => {
    const before = points[i], from = before.t ?? edge;
    const curve = range(120, (k) => at(p, from + (s.t - from) * k)).map((c) => [c.R, c.gamma]);
    const polygon = [[before.R, gamma], ...(i ? [] : [[0, 0]]), ...curve];
    state.path(polygon, "lobe", "Z");
    return Math.abs(s.loss - before.loss);
  });
  for (const b of pieces) {
    const curve = range(160, (k) => at(p, b.lo + (Math.min(b.hi, edge) - b.lo) * k));
    const kind = b.kind < 0 ? "curve" : "unstable";
    state.path(curve.map((c) => [c.R, c.gamma]), kind);
    free.path(curve.map((c) => [c.gamma, c.loss]), kind);
  }
  if (p.D >= 1) {
    const from = p.D > 1 ? 0 : E;
    state.path([[0, from], [0, far]], "curve");
    free.path([[from, 0], [far, 0]], "curve");
  }
  state.path([[0, gamma], [widest, gamma]], "jump mark");
  free.path([[gamma, low], [gamma, high]], "jump mark");
  for (const s of points) {
    const global = minima.some((m) => m.B === s.B && m.global);
    const kind = s.kind > 0 ? "top" : global ? "full" : "";
    state.dot(s.R, gamma, kind);
    free.dot(gamma, s.loss, kind);
  }
  for (const s of ends) {
    note(svg, state.X(s.R), state.Y(s.gamma) - 9, "spinodal", { class: "spinodal" });
    note(svg, free.X(s.gamma) + 6, free.Y(s.loss) - 8, "spinodal", { class: "spinodal" });
  }
  const named = (where, c, text, dx, dy, side) =>
    note(svg, where.X(c[0]) + dx, where.Y(c[1]) + dy, text, { "text-anchor": side });
  const deep = on(p, pieces[0], Math.min(0.25 * far, 0.6 * pieces[0].high));
  named(state, [deep.R, deep.gamma], "learned", -8, 4, "end");
  if (p.D >= 1) named(state, [0, far], "trivial", 8, 14, "start");
  if (p.D >= 1) named(free, [far, 0], "trivial", 0, 18, "end");
  const half = on(p, pieces[0], 0.45 * Math.min(far, pieces[0].high));
  named(free, [half.gamma, half.loss], "learned", -9, 4, "end");
  area(svg, left, (_, y) => set({ gamma: state.B(y) }));
  area(svg, right, (px) => set({ gamma: free.A(px) }));

  const states = points.map((s) => `R = ${num(s.R)}${s.kind > 0 ? " (unstable)" : ""}`).join(", ");
  const equal = minima.length > 1 && minima.every((s) => s.global);
  const answer = areas.length && equal
    ? `Equal: the best network drops from R = ${num(minima.at(-1).R)} to ${num(minima[0].R)}.`
    : p.D === 1 && Math.abs(gamma / E - 1) < 1e-9 ? "There is no loop, and R has just reached zero: no jump." : "";
  return [`γ = ${num(gamma)}: ${states}. `
    + (areas.length ? `Areas between line and curve: ${areas.map((v) => num(v)).join(", ")}; ` : "")
    + (areas.length ? equal ? "equal, the phases coexist. " : "not equal. " : "")
    + `Lowest: ${equal ? "both" : ground.B ? "learned" : "trivial"}, L\u00a0−\u00a0E[y²] = ${num(ground.loss)}. `
    + (p.D > 1 ? `Coexistence at γ = ${num(star)}.`
      : p.D === 1 ? `Critical point at γ = ${num(E)}.` : "No transition."), answer];
}

function render(context) {
  return mount(context, {
    title: "Equation of state, and loss of the same states over the weight decay.",
    question: "Raise the level line until it cuts equal areas off the loop. What does the best network do there?",
    sliders: [["gamma", "weight decay *γ*", { snap: (get) => decays(problem(get)) }],
      ["depth", "depth *D*", depths], ["noise_factor", "noise factor *N*", { more: true }]],
    buttons: [destination(problem)],
    draw,
  });
}
export default { render };
