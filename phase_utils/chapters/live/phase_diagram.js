import { branches, minimaOf, signal, stationary, unit } from "./theory.js";
import { add, area, calm, depths, mount, note, num, plot, range, size } from "./draw.js";

const problem = (get) => ({ a: get("a"), e: get("e"), D: get("depth"), N: get("noise_factor") });

// Closed forms of isotropic data, D >= 1.
export const coexistence = ({ a, e, D, N }) =>
  (Math.hypot(...e) / D) ** (2 * D / (D + 1)) * ((D - 1) / (a[0] * N)) ** ((D - 1) / (D + 1));
export const spinodal = ({ a, e, D, N }) => {
  const E = Math.hypot(...e);
  return E * (E * (D - 1) / (2 * a[0] * N * D)) ** ((D - 1) / (D + 1)) * (D + 1) / (2 * D);
};

// Loss of balanced layers of norm B that point along the signal; isotropic data.
export const balanced = (p, B, gamma) => {
  const beta = B ** (p.D + 1);
  return beta * (p.N * p.a[0] * beta - 2 * signal(p)) + gamma * (p.D + 1) * B * B;
};

// Gradient flow of their weights, dB/dt.
export const velocity = (p, B, gamma) =>
  2 * (signal(p) * B ** p.D - p.N * p.a[0] * B ** (2 * p.D + 1) - gamma * B);

// Points [2 gamma t, B] from B until nothing moves, by Runge and Kutta.
export function flow(p, B, gamma) {
  const v = (x) => velocity(p, Math.max(x, 0), gamma), track = [[0, B]];
  let t = 0;
  for (let i = 0; i < 4000 && Math.abs(v(B)) > 2e-4 * gamma * signal(p); i++) {
    const stiff = Math.abs(v(B * 1.01) - v(B * 0.99)) / (0.02 * B) + Math.abs(v(B)) / B;
    const h = 0.05 / Math.max(stiff, gamma);
    const k1 = v(B), k2 = v(B + h * k1 / 2), k3 = v(B + h * k2 / 2), k4 = v(B + h * k3);
    B = Math.max(0, B + h * (k1 + 2 * k2 + 2 * k3 + k4) / 6);
    track.push([2 * gamma * (t += h), B]);
  }
  return track;
}

const decays = (get) => {
  const p = problem(get);
  return p.D < 1 ? [] : p.D === 1 ? [[signal(p), "critical point"]]
    : [[coexistence(p), "coexistence"], [spinodal(p), "spinodal"]];
};

function draw(svg, width, get, set) {
  const p = problem(get), gamma = get("gamma"), B = get("B"), E = signal(p), limits = get("limits");
  const points = stationary(p, gamma), minima = minimaOf(p, points);
  const tops = points.filter((s) => s.kind > 0), track = flow(p, B, gamma);
  const [time, reached] = track.at(-1);
  const end = minima.reduce((m, s) => (Math.abs(s.B - reached) < Math.abs(m.B - reached) ? s : m));
  const beside = width > 560, x = 52, gap = 74;
  const w = beside ? (width - gap - x - 12) / 2 : width - x - 12, h = beside ? 180 : 130;
  const tall = beside ? 2 * h + 82 : 200, x2 = beside ? x + w + gap : x, y2 = beside ? 30 : tall + 112;
  size(svg, width, y2 + 2 * h + 82 + 46);

  const [d0, d1] = limits.depth, g1 = limits.gamma[1];
  const map = plot(svg, [x, 30, w, tall], [d0, d1], [0, g1], "depth *D*", "weight decay *γ*");
  const line = (f) => range(90, (i) => 1 + (d1 - 1) * i * i).map((D) => [D, f({ ...p, D })]);
  const change = line(coexistence), last = line(spinodal);
  map.path([[d0, 0], [d0, g1], [1, g1], ...change, [d1, 0]], "tint", "Z");
  map.path([...change, ...last.reverse()], "tint2", "Z");
  map.path([[1, g1], ...last.slice().reverse(), [d1, g1]], "tint3", "Z");
  map.path([[1, E], [1, g1]], "thin");
  map.path(last, "unstable");
  map.path(change, "jump mark");
  add(svg, "circle", { cx: map.X(1), cy: map.Y(E), r: 4, class: "handle" });
  note(svg, map.X(1) + 9, map.Y(E) - 5, "critical point", { "text-anchor": "start" });
  note(svg, map.X(3.6), map.Y(spinodal({ ...p, D: 3.6 })) - 9, "spinodal", { class: "spinodal" });
  map.dot(p.D, gamma, "handle", 9);
  const label = (D, g, text, kind = "") => note(svg, map.X(D), map.Y(g), text, { class: `bare ${kind}` });
  label(3.4, 0.35 * coexistence({ ...p, D: 3.4 }), "coexistence", "jump");
  label(4.4, 0.75 * E, "trivial");
  label(1.3, 0.19 * E, "learned");
  if (beside) label(5.1, 1.28 * coexistence({ ...p, D: 5.1 }), "metastable");
  area(svg, map.box, (px, py) => set({ depth: map.A(px), gamma: map.B(py) }));

  const deep = 1.35 * Math.min(...minima.map((s) => s.loss));
  const high = Math.max(1.3 * Math.max(...tops.map((s) => s.loss), 0.02 * unit(p), balanced(p, B, gamma)),
    -0.25 * deep), low = Math.min(deep, -0.4 * high);
  const wide = Math.max(1.2 * (E / (p.N * p.a[0])) ** (1 / (p.D + 1)), 1.02 * B);
  const hill = plot(svg, [x2, y2, w, h], [0, wide], [low, high], "order parameter *B*", "loss − E[*y*²]");
  const slope = (from, to) => range(200, (i) => from + (to - from) * i)
    .map((b) => [b, balanced(p, b, gamma)]);
  hill.path([[0, 0], [wide, 0]], "thin");
  hill.path(slope(0, wide), "curve");
  hill.path(slope(B, reached), "jump trail");
  tops.forEach((s) => hill.dot(s.B, s.loss, "top"));
  minima.forEach((s) => hill.dot(s.B, s.loss, s.global ? "full" : ""));
  const ball = hill.dot(B, balanced(p, B, gamma), "handle", 8);
  note(svg, hill.X(B), hill.Y(balanced(p, B, gamma)) - 14, "start");

  const most = 1.15 * Math.max(B, ...points.map((s) => s.B));
  const course = plot(svg, [x2, y2 + h + 82, w, h], [0, time || 1], [0, most], "time 2*γt*",
    "order parameter *B*");
  points.forEach((s) => course.path([[0, s.B], [time, s.B]], s.kind > 0 ? "unstable" : "thin"));
  course.path(track, "jump trail");
  const clock = course.dot(0, B, "handle", 5);
  svg.play = () => {
    const start = performance.now();
    const step = (now) => {
      const part = Math.min(1, Math.max(0, (now - start) / 1800));
      const [t, b] = track.find((q) => q[0] >= part * time);
      hill.move(ball, b, balanced(p, b, gamma));
      course.move(clock, t, b);
      if (part < 1 && ball.isConnected) requestAnimationFrame(step);
    };
    if (!calm()) requestAnimationFrame(step);
  };
  area(svg, hill.box, (px) => set({ B: hill.A(px) }), () => svg.play());

  const many = minima.length > 1;
  const answer = !end.B ? "" : tops.length ? `The start has passed B = ${num(tops[0].B)}: the pass decides.`
    : "There is no pass here: every start ends learned.";
  return [`D = ${num(p.D, 3)}, γ = ${num(gamma)}: ${many ? "two minima" : "one minimum"}, `
    + minima.map((s) => `B = ${num(s.B)}${many ? s.global ? " (global)" : " (metastable)" : ""}`)
      .join(", ")
    + (tops.length ? `, pass at B = ${num(tops[0].B)}` : "")
    + `. From B = ${num(B)} the flow goes to B = ${num(end.B)}, ${end.B ? "learned" : "trivial"}.`, answer];
}

function render(context) {
  return mount(context, {
    title: "Phase diagram, and gradient flow at one of its points.",
    question: "Move the start until its network learns. What decides whether it does?",
    sliders: [["gamma", "weight decay *γ*", { snap: decays }], ["depth", "depth *D*", depths],
      ["B", "start at *B*"], ["noise_factor", "noise factor *N*", { more: true }]],
    buttons: [["Let it flow", (get, set, svg) => svg.play(), () => !calm()]],
    draw,
  });
}
export default { render };
