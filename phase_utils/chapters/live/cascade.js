import { at, branches } from "./theory.js";
import { transitions } from "./transitions.js";
import { area, depths, mount, note, num, plot, range, size } from "./draw.js";

// Two modes: the weak eigenvalue is 1/r of the strong one, its e^2 the part s of 0.2.
export const data = (r, s, D) => ({ a: [1, 1 / r], e: [Math.sqrt(0.2), Math.sqrt(0.2 * s)], D, N: 1 });

// Below this ratio no data have two jumps (Theorem 7 of the chapter).
export const least = (D) => Math.exp(Math.acosh(9 + 4 * (D - 1 + 1 / (D - 1))));

// The strength below which the weak mode has no minimum of its own.
export function faintest(r, D) {
  const p = (D - 1) / (D + 1), A = (3 + p) * r, half = p * (1 + r), P = p / (1 + p);
  const weak = (half + Math.sqrt(half * half - A * p * (1 + 3 * p))) / A;
  const [q, Q] = [weak, weak * r].map((x) => x / (1 + x));
  return (Q - P) / (P - q) * ((1 - Q) / (1 - q)) ** 2;
}

// Ratio and strength at which three phases have one loss, theta the logarithm of the jump: the
// modes are Gauss nodes of the penalty.
export function triple(theta, D) {
  const m = [0, 1, 2, 3].map((i) => {
    const k = i - 1 - 1 / D;
    return (-1) ** i * (Math.sinh(k * theta) / Math.tanh(theta) - k * Math.cosh(k * theta));
  });
  const det = m[0] * m[2] - m[1] ** 2, half = (m[0] * m[3] - m[1] * m[2]) / (2 * det);
  const product = (m[1] * m[3] - m[2] ** 2) / det, large = half + Math.sqrt(half ** 2 - product);
  const small = product / large;
  const signal = (a, w) => w * (a * a + 1 + 2 * a * Math.cosh(theta)) ** 2;
  return [large / small, signal(small, large * m[0] - m[1]) / signal(large, m[1] - small * m[0])];
}

const log = ([r, s]) => [Math.log10(r), Math.log10(s)], power = (v) => num(10 ** v);

function draw(svg, width, get, set) {
  const r = get("ratio"), s = get("strength"), D = get("depth"), limits = get("limits");
  const p = data(r, s, D), pieces = branches(p), jumps = transitions(p), tip = least(D);
  const beside = width > 620, x = 56, w = beside ? (width - 146) / 2 : width - x - 12;
  const h = beside ? 270 : 230, x2 = beside ? x + w + 78 : x, y2 = beside ? 30 : h + 118;
  size(svg, width, y2 + h + 46);

  const [left, right] = limits.ratio.map(Math.log10), [low, high] = limits.strength.map(Math.log10);
  const map = plot(svg, [x, 30, w, h], [left, right], [low, high], "ratio of eigenvalues *a*₁/*a*₂",
    "strength *e*₂²/*e*₁²", power);
  const upper = range(60, (i) => triple(0.02 + 6 * i, D)).map(log);
  const lower = range(60, (i) => tip * (limits.ratio[1] / tip) ** i).map((v) => log([v, faintest(v, D)]));
  map.path([...upper, [right, low - 3], ...lower.slice().reverse()], "tint", "Z");
  map.path(upper, "jump mark");
  map.path(lower, "unstable");
  map.path([upper[0], [upper[0][0], high]], "thin");
  map.dot(...log([r, s]), "handle", 9);
  note(svg, map.X(upper[0][0]), 24, num(tip));
  const say = (a, b, text) => note(svg, map.X(left + a * (right - left)), map.Y(low + b * (high - low)),
    text, { class: "bare" });
  say(0.74, 0.44, "two jumps");
  say(0.72, 0.9, "both lost at once");
  say(0.26, 0.12, "the weak one fades");
  area(svg, map.box, (px, py) => set({ ratio: 10 ** map.A(px), strength: 10 ** map.B(py) }));

  const last = jumps.at(-1).gamma, most = 1.25 * last;
  const stairs = plot(svg, [x2, y2, w, h], [0, most], [0, 2.1], "weight decay *γ*", "features learned");
  const steps = jumps.flatMap((jump, i) => {
    const from = i ? jumps[i - 1].above.t : -9 - Math.log(r);
    return range(160, (k) => from + (jump.below.t - from) * k).map((t) => {
      const [q, weak] = p.a.map((a) => a / (a + Math.exp(t)));
      return [at(p, t).gamma, q, q + weak];
    });
  }).concat([[last, 0, 0]]);
  const strong = steps.map(([g, q]) => [g, q]), both = steps.map(([g, , q]) => [g, q]);
  stairs.path([[0, 0], [0, 1], ...strong], "tint", "Z");
  stairs.path([[0, 2], ...both, ...strong.slice().reverse(), [0, 1]], "lobe", "Z");
  stairs.path(both, "curve");
  jumps.forEach((t) => stairs.path([[t.gamma, 0], [t.gamma, 2.1]], "jump thin"));
  note(svg, stairs.X(0.06 * last), stairs.Y(0.45), "strong", { "text-anchor": "start", class: "bare" });
  note(svg, stairs.X(0.06 * last), stairs.Y(1.45), "weak", { "text-anchor": "start", class: "bare" });

  const [first] = jumps, where = "at " + jumps.map((t) => `γ = ${num(t.gamma)}`).join(" and ");
  const share = 100 / (1 + r * Math.exp(first.below.t)), fall = (first.below.B / first.above.B) ** 2;
  return [`Ratio ${num(r, 3)}, strength ${num(s, 3)}: ` + (jumps[1]
    ? `two jumps, ${where}. At the first, B² falls by the factor ${num(fall, 3)} and the strong `
      + "feature stays."
    : `one jump, ${where}. Up to there ${num(share, 2)} % of the weak feature are left, then nothing.`),
  jumps[1] ? `The tip of the wedge is at ${num(tip)}: below it no data have two jumps at depth ${num(D, 3)}.` : ""];
}

function render(context) {
  return mount(context, {
    title: "Which data have two jumps.",
    question: "Find data with two jumps. How low can you take their ratio?",
    sliders: [["ratio", "ratio *a*₁/*a*₂"], ["strength", "strength"], ["depth", "depth *D*", depths]],
    draw,
  });
}
export default { render };
