import { at, branches, loss, on, signal, stationary, unit } from "./theory.js";
import { add, area, mount, note, num, plot, range, size } from "./draw.js";

const problem = (get) => ({ a: get("a"), e: get("e"), D: 1, N: get("noise_factor") });

// The best B at depth one.
export const best = (p, gamma, pieces = branches(p)) =>
  (gamma < signal(p) ? on(p, pieces[0], gamma).B : 0);

function draw(svg, width, get, set) {
  const p = problem(get), gamma = get("gamma"), E = signal(p), limits = get("limits").gamma;
  const pieces = branches(p), B = best(p, gamma, pieces), near = E - (E - gamma) / 4;
  const quarter = best(p, near, pieces), wide = 1.12 * best({ ...p, N: 1 }, limits[0]);
  const beside = width > 560, x = 52, gap = 74;
  const w = beside ? (width - gap - x - 12) / 2 : width - x - 12, h = beside ? 270 : 220;
  const left = [x, 30, w, h], right = beside ? [x + w + gap, 30, w, h] : [x, h + 112, w, h];
  size(svg, width, right[1] + h + 46);

  const low = Math.min(1.5 * loss(p, B, gamma), -0.03 * unit(p));
  const high = Math.max(0.2 * unit(p), -0.8 * low);
  const hill = plot(svg, left, [-wide, wide], [low, high], "*B*, with the sign of the weights",
    "effective loss − E[*y*²]");
  hill.path([[-wide, 0], [wide, 0]], "thin");
  hill.path(range(300, (i) => wide * (2 * i - 1)).map((b) => [b, loss(p, Math.abs(b), gamma)]), "curve");
  const fork = plot(svg, right, [0, limits[1]], [-wide, wide], "weight decay *γ*", "best *B*");
  const edge = Math.log(p.N * Math.max(...p.a)) + 16;
  const arm = range(200, (s) => at(p, pieces[0].lo + (edge - pieces[0].lo) * s));
  for (const sign of [1, -1]) fork.path(arm.map((s) => [s.gamma, sign * s.B]), "curve");
  fork.path([[E, 0], [limits[1], 0]], "curve");
  fork.path([[0, 0], [E, 0]], "unstable");
  fork.path([[gamma, -wide], [gamma, wide]], "jump mark");
  add(svg, "circle", { cx: fork.X(E), cy: fork.Y(0), r: 4, class: "handle" });
  note(svg, fork.X(E) + 4, fork.Y(0) + 24, "critical point", { "text-anchor": "start" });
  for (const sign of B ? [1, -1] : [0]) {
    hill.dot(sign * B, loss(p, B, gamma), "full");
    fork.dot(gamma, sign * B, "full");
    if (!B) continue;
    fork.path([[near, 0], [near, sign * quarter]], "thin");
    fork.dot(near, sign * quarter, "", 4.5);
  }
  if (B) hill.dot(0, 0, "top");
  area(svg, right, (px) => set({ gamma: fork.A(px) }));

  const state = B
    ? `two minima, B = ±${num(B)}, of one and the same network; zero is a maximum. A quarter as far `
      + `below the critical point, at γ = ${num(near)}, B = ±${num(quarter)}.`
    : gamma === E ? "the critical point. One minimum, B = 0, flat as the fourth power of B."
      : `one minimum, B = 0. Critical point at γ = |E[xy]| = ${num(E)}.`;
  return [`γ = ${num(gamma)}: ${state}`, B ? `Like a square root: a quarter of the way leaves ${num(quarter / B, 3)} of B.` : ""];
}

function render(context) {
  return mount(context, {
    title: "Pitchfork of the order parameter at depth one.",
    question: "Lower the decay through the critical point. How fast do the two minima move apart?",
    sliders: [["gamma", "weight decay *γ*",
      { snap: (get) => [[signal(problem(get)), "critical point"]] }],
    ["noise_factor", "noise factor *N*"]],
    draw,
  });
}
export default { render };
