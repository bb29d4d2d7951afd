import { area, mount, note, num, plot, range, size } from "./draw.js";

// Each activation with h'(0), h''(0) and h'''(0).
const erf = (x) => {
  if (Math.abs(x) > 5.5) return Math.sign(x);
  let term = x, sum = x;
  for (let n = 1; Math.abs(term) > 1e-17; n++) sum += term *= 2 * x * x / (2 * n + 1);
  return sum * Math.exp(-x * x) * 2 / Math.sqrt(Math.PI);
};
export const activations = [
  ["linear", (z) => z, 1, 0, 0],
  ["tanh", Math.tanh, 1, 0, -2],
  ["SiLU", (z) => z / (1 + Math.exp(-z)), 0.5, 0.5, 0],
  ["GELU", (z) => z * (1 + erf(z / Math.SQRT2)) / 2, 0.5, Math.sqrt(2 / Math.PI), 0],
];

// The input x = z + skew (z^2 - 1), standardised, z Gaussian: points, and their weights.
const gauss = range(400, (i) => 16 * i - 8), weights = gauss.map((z) =>
  0.04 * Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI));
let last = [];
const inputs = (skew) => {
  if (last[0] !== skew) {
    const unit = Math.sqrt(1 + 2 * skew * skew);
    last = [skew, gauss.map((z) => (z + skew * (z * z - 1)) / unit)];
  }
  return last[1];
};
export const mean = (skew, f) => inputs(skew).reduce((s, x, i) => s + f(x) * weights[i], 0);

// One unit u h(w x): b = E[y h(w x)] and m = E[h(w x)^2], where y = signal x.
export function unit([, h], skew, signal, w) {
  const x = inputs(skew);
  let b = 0, m = 0;
  for (let i = 0; i < x.length; i++) {
    const out = h(w * x[i]), share = out * weights[i];
    b += signal * x[i] * share;
    m += out * share;
  }
  const q = w ? (Math.sqrt(m * m + 4 * (b / w) ** 2) - m) / 2 : 0;
  return { w, b, m, q };
}

// Loss above E[y^2] at the best u, and |w|^2 + u^2.
export const at = ({ w, b, m }, gamma) => ({ w, loss: gamma * w * w - b * b / (m + gamma),
  R: w * w + (b / (m + gamma)) ** 2 });

// Terms of Landau's expansion in one unit, C b^3 and Q b^4, and the shift C^2 / (8 Q) of gamma^*.
export function landau([, , c, h2, h3], skew, signal) {
  const third = mean(skew, (x) => x ** 3), mu = skew ? signal * third : 0, kappa = signal * mean(skew, (x) => x ** 4);
  const C = h2 * mu, Q = c * c - h3 * kappa / 3 - (C / 4) ** 2 / (c * signal);
  return { mu, C, Q, origin: c * signal, shift: C * C / (8 * Q) };
}

const REACH = 1.6;
let known = {};

// Units on a grid of w, and the largest quotient: the decay up to which learning pays.
export function units(kind, skew, signal) {
  if (known.key !== `${[kind, skew, signal]}`) {
    const one = (w) => unit(activations[kind], skew, signal, w);
    const all = range(160, (i) => one(REACH * (2 * i - 1)));
    let { w, q } = all.reduce((m, u) => (u.q > m.q ? u : m));
    // golden section to either side of the best of the grid
    let lo = w - REACH / 80, hi = w + REACH / 80;
    for (let i = 0; i < 45; i++) {
      const p = lo + 0.381966 * (hi - lo), r = lo + 0.618034 * (hi - lo);
      if (one(p).q > one(r).q) hi = r;
      else lo = p;
    }
    q = Math.max(q, one((lo + hi) / 2).q, activations[kind][2] * signal);
    known = { key: `${[kind, skew, signal]}`, all, star: q, end: at(one((lo + hi) / 2), q).R };
  }
  return known;
}

// The best unit at gamma, between the points of the grid.
export function best(all, gamma) {
  const loss = ({ w, b, m }) => gamma * w * w - b * b / (m + gamma);
  let i = all.length >> 1, least = loss(all[i]);
  for (let k = 0; k < all.length; k++) {
    const here = loss(all[k]);
    if (here < least - 1e-12) [i, least] = [k, here];
  }
  const [a, b, c] = all.slice(i - 1, i + 2).map((u) => at(u, gamma));
  if (!b.w || !c) return b;
  const p = (a.loss - c.loss) / (2 * (a.loss - 2 * b.loss + c.loss));
  const mixed = (key) => b[key] + p * (c[key] - a[key]) / 2 + p * p * (a[key] - 2 * b[key] + c[key]) / 2;
  return { w: mixed("w"), loss: mixed("loss"), R: mixed("R") };
}

function draw(svg, width, get, set) {
  const kind = Math.round(get("kind")), skew = get("skew"), E = get("signal"), part = get("gamma");
  const { mu, C, origin } = landau(activations[kind], skew, E), gamma = part * origin;
  const problem = units(kind, skew, E), { all, star, end } = problem, first = star > origin * (1 + 1e-6), limits = get("limits").gamma;
  const beside = width > 560, x = 52, gap = 74;
  const w = beside ? (width - gap - x - 12) / 2 : width - x - 12, h = beside ? 270 : 210;
  const left = [x, 30, w, h], right = beside ? [x + w + gap, 30, w, h] : [x, h + 112, w, h];
  size(svg, width, right[1] + h + 46);

  const curve = all.map((u) => at(u, gamma)), ground = best(all, gamma);
  const low = Math.min(1.5 * ground.loss, -0.02 * E * E), high = Math.max(-1.2 * low, 0.06 * E * E);
  const hill = plot(svg, left, [-REACH, REACH], [low, high], "input weight *w*", "loss − E[*y*²]");
  hill.path([[-REACH, 0], [REACH, 0]], "thin");
  hill.path(curve.map((s) => [s.w, s.loss]), "curve");
  curve.slice(1, -1).forEach((s, i) => {
    const [before, after] = [curve[i].loss, curve[i + 2].loss];
    const least = Math.abs(s.w - ground.w) < 0.03;
    if (s.loss < before && s.loss <= after && !least) hill.dot(s.w, s.loss);
    if (s.loss > before && s.loss >= after && s.loss < high) hill.dot(s.w, s.loss, "top");
  });

  hill.dot(ground.w, ground.loss, "full");
  const line = problem.line ??= range(200, (i) => limits[0] + (limits[1] - limits[0]) * i)
    .map((g) => [g, best(all, g * origin).R]);
  const most = 1.15 * line[0][1];
  const norm = plot(svg, right, limits, [0, most], "decay *γ* / *h*′(0)|E[*xy*]|", "best squared norm *R*");
  const cut = first ? star / origin : 1, learned = line.filter(([g, R]) => g < cut && R);
  norm.path([...learned, [cut, first ? end : 0]], "curve");
  norm.path([[cut, 0], [limits[1], 0]], "curve");
  if (first) norm.path([[cut, end], [cut, 0]], "jump thin");
  norm.path([[part, 0], [part, most]], "jump mark");
  norm.dot(part, ground.R, "full");
  if (first) note(svg, norm.X(cut) + 8, norm.Y(0.7 * end), "jump", { class: "jump", "text-anchor": "start" });
  area(svg, right, (px) => set({ gamma: norm.A(px) }));

  return [`${activations[kind][0]}, skewness ${num(mu / E, 3)}: h″(0) = ${num(activations[kind][3], 3)}, `
    + `cubic term C = ${num(C, 3)}. Zero is unstable below γ = ${num(origin)}, and learning pays up to `
    + (first ? num(star) + ", " + num(star / origin) + " times as far" : "there, too")
    + `. Here R = ${num(ground.R, 3)}.`,
  first ? "Even curvature and skewed inputs, together: the cubic term tilts the landscape." : ""];
}

function render(context) {
  const press = activations.map(([name], kind) =>
    [name, (get, set) => set({ kind }), (get) => get("kind") !== kind]);
  return mount(context, {
    title: "Order of the transition at depth one, by activation and skewness of the inputs.",
    question: "Choose an activation and skew the inputs. What does it take for a jump?",
    sliders: [["skew", "skew of *x*"], ["gamma", "decay, relative", {
      snap: (get) => {
        const kind = Math.round(get("kind")), E = get("signal"), c = activations[kind][2];
        const { star } = units(kind, get("skew"), E);
        return [[1, "zero loses its stability"], [star / (c * E), "transition"]];
      } }]],
    buttons: press,
    draw,
  });
}
export default { render };
