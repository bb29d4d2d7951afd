import { area, mount, note, num, plot, range, size } from "./draw.js";

// Chains of one neuron per layer, D = 1 or 2 hidden ones, with a = E = 1: |w|^2 and T in these units.
export const critical = (D) => (D === 1 ? 1 : 0.5 ** (4 / 3));
// |beta| at zero temperature; at rest gamma = (1 - beta) beta^((D-1)/(D+1)).
function learned(D, gamma) {
  if (gamma >= critical(D)) return 0;
  let lo = D === 1 ? 0 : 0.5, hi = 1;
  for (let i = 0; i < 60; i++) {
    const t = (lo + hi) / 2;
    if ((1 - t) * t ** ((D - 1) / (D + 1)) > gamma) lo = t;
    else hi = t;
  }
  return lo;
}
export const cold = (D, gamma) => (D + 1) * learned(D, gamma) ** (2 / (D + 1));

// Mean and variance of |w|^2 under exp(-loss / T): the last weight is Gaussian, the others are
// summed on a grid, the midpoint rule.
export function gibbs(D, gamma, T, points = 80) {
  const step = Math.sqrt((1 + 45 * T) / gamma) / points, t = learned(D, gamma);
  const least = t * (t - 2) + gamma * cold(D, gamma);
  let Z = 0, first = 0, second = 0;
  const count = (q2, r, share) => {
    const s = q2 + gamma, power = (least - gamma * r + q2 / s) / T;
    if (power < -50) return;  // below what is added up
    const R = r + q2 / (s * s) + T / (2 * s), p = share / Math.sqrt(s) * Math.exp(power);
    Z += p;
    first += p * R;
    second += p * (R * R + T * T / (2 * s * s) + 2 * T * q2 / (s * s * s));
  };
  for (let i = 0; i < points; i++) {
    const x = ((i + 0.5) * step) ** 2;
    if (D === 1) count(x, x, 1);
    for (let j = 0; D > 1 && j <= i; j++) {
      const y = ((j + 0.5) * step) ** 2;
      count(x * y, x + y, j < i ? 2 : 1);
    }
  }
  return { mean: first / Z, variance: second / Z - (first / Z) ** 2 };
}

// How far in gamma / gamma* the transition is rounded: its jump over the greatest slope of the mean,
// or, for a kink, the mean at gamma* over the slope below.
const rounded = {};
export const width = (D, T) => (rounded[[D, T]] ??= spread(D, T));
function spread(D, T) {
  const unit = critical(D), slope = (part) => gibbs(D, part * unit, T).variance / T * unit;
  if (D === 1) return gibbs(1, 1, T).mean / 2;
  let lo = 0.9, hi = 1.1;
  for (let i = 0; i < 24; i++) {
    const third = (hi - lo) / 3;
    if (slope(lo + third) < slope(hi - third)) lo += third;
    else hi -= third;
  }
  return cold(2, unit * (1 - 1e-12)) / slope((lo + hi) / 2);
}

// |w|^2 along a noisy descent that begins in the learned phase; each step passes Metropolis' test.
export function walk(D, gamma, T, steps, seed = 1) {
  const dt = 0.15, random = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const at = (w) => {
    const P = w.reduce((p, x) => p * x, 1), R = w.reduce((r, x) => r + x * x, 0);
    const slope = w.map((x, i) =>
      2 * (P - 1) * w.reduce((p, y, j) => (j === i ? p : p * y), 1) + 2 * gamma * x);
    return { w, R, slope, loss: P * (P - 2) + gamma * R };
  };
  const far = (to, from) => to.w.reduce((sum, x, i) =>
    sum + (x - from.w[i] + dt * from.slope[i]) ** 2, 0) / (4 * dt * T);
  const seen = [];
  let now = at(Array(D + 1).fill(1));
  for (let k = 0; k < steps; k++) {
    const next = at(now.w.map((x, i) => x - dt * now.slope[i] + Math.sqrt(2 * T * dt) * normal()));
    const gain = (now.loss - next.loss) / T + far(next, now) - far(now, next);
    if (Math.log(1 - random()) < gain) now = next;
    seen.push(now.R);
  }
  return seen;
}

function draw(svg, width_, get, set) {
  const D = get("depth"), T = get("temperature"), part = get("decay"), unit = critical(D);
  const gamma = part * unit, [from, to] = get("limits").decay, here = gibbs(D, gamma, T);
  const beside = width_ > 620, x = 52, w = beside ? (width_ - 156) / 2 : width_ - x - 20;
  const h = beside ? 240 : 200, x2 = beside ? x + w + 74 : x, y2 = beside ? 30 : h + 112;
  size(svg, width_, y2 + h + 46);

  const top = 1.3 * cold(D, from * unit), wide = width(D, T), half = wide / 2;
  const mean = plot(svg, [x, 30, w, h], [from, to], [0, top], "decay *γ*/*γ*∗",
    "mean of |*w*|²");
  mean.path([[1 - half, 0], [1 + half, 0], [1 + half, top], [1 - half, top]], "tint3", "Z");
  mean.path([...range(60, (i) => from + (1 - from) * (1 - (1 - i) ** 2) - 1e-9)
    .map((g) => [g, cold(D, g * unit)]), [1, 0], [to, 0]], "thin");
  mean.path(range(60, (i) => from + (to - from) * i).map((g) => [g, gibbs(D, g * unit, T).mean]), "curve");
  note(svg, mean.X(1), 24, "rounded", { class: "bare" });
  note(svg, mean.X(from) + 8, mean.Y(cold(D, from * unit)) + 34, "*T* = 0", { "text-anchor": "start" });
  mean.dot(part, here.mean, "handle", 9);
  area(svg, mean.box, (px) => set({ decay: mean.A(px) }));

  const steps = 4000, run = walk(D, gamma, T, steps), seen = run.reduce((sum, R) => sum + R, 0) / steps;
  const time = plot(svg, [x2, y2, w, h], [0, steps], [0, top], "steps of a noisy descent", "|*w*|²");
  time.path(run.map((R, i) => [i, R]).filter((_, i) => i % 3 === 0), "noise");
  time.path([[0, here.mean], [steps, here.mean]], "jump mark");

  const hot = get("limits").temperature[1], before = num(100 * width(D, hot), 3);
  return [`D = ${D}, T = ${num(T, 3)}, γ/γ* = ${num(part, 3)}: |w|² is ${num(here.mean)} on average, and `
    + `${num(seen, 3)} in the run shown. The ${D === 1 ? "kink" : "jump"} is rounded over `
    + `${num(100 * wide, 3)} % of γ*.`,
  T > hot / 4 ? "" : `At T = ${hot} it was ${before} %. A jump sharpens like T, a kink like √T.`];
}

function render(context) {
  const to = (D) => [D === 1 ? "One hidden layer" : "Two hidden layers",
    (get, put) => put({ depth: D }), (get) => get("depth") !== D];
  return mount(context, {
    title: "A transition at a finite temperature.",
    question: "Cool to a quarter of the temperature. How much sharper is the jump? And the kink of one layer?",
    sliders: [["temperature", "temperature *T*",
      { snap: (get) => [[get("limits").temperature[1] / 4, "a quarter"]] }],
    ["decay", "decay *γ*/*γ*∗", { snap: () => [[1, "transition"]] }]],
    buttons: [to(1), to(2)],
    draw,
  });
}
export default { render };
