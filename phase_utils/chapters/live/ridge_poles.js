import { add, area, mount, note, num, plot, range, size } from "./draw.js";

// A strong mode of eigenvalue 1 and a weak one; of E[y^2] = 1 mode i explains the share e_i^2 / a_i.
export const modes = (weak, shares) =>
  [1, weak].map((a, i) => ({ a, strength: a * shares[i] })).filter((mode) => mode.a > 0);

// L at a real decay, or a negative one.
export const least = (all, gamma) => all.reduce((l, { a, strength }) => l - strength / (a + gamma), 1);

// |L - E[y^2]| at the complex decay x + i y.
export function modulus(all, x, y) {
  let re = 0, im = 0;
  for (const { a, strength } of all) {
    const q = strength / ((a + x) ** 2 + y * y);
    re += q * (a + x);
    im -= q * y;
  }
  return Math.hypot(re, im);
}

// The first terms of the Taylor series of L about gamma, at gamma + t.
export const series = (all, gamma, t, terms) => all.reduce((l, { a, strength }) => {
  let term = strength / (a + gamma);
  for (let n = 0; n < terms; n++) {
    l -= term;
    term *= -t / (a + gamma);
  }
  return l;
}, 1);

const LEVELS = [0.35, 0.5, 0.7, 1, 1.5, 2.5, 5];

function draw(svg, width, get, set) {
  const weak = get("weak"), all = modes(weak, get("shares")), gamma = get("gamma");
  const terms = get("terms"), nearest = Math.min(...all.map((m) => m.a)), radius = gamma + nearest;
  const beside = width > 560, x = 46, gap = 74, lo = -1.3, hi = 1.5;
  const w = beside ? (width - gap - x - 12) / 2 : width - x - 12, h = Math.round(0.68 * w);
  const left = [x, 30, w, h], right = beside ? [x + w + gap, 30, w, h] : [x, h + 112, w, h];
  size(svg, width, right[1] + h + 46);
  const tall = 0.34 * (hi - lo); // the same scale both ways
  const plane = plot(svg, left, [lo, hi], [-tall, tall], "Re *γ*", "Im *γ*");
  const real = plot(svg, right, [lo, hi], [0, 1.2], "weight decay *γ*", "least loss *L* / E[*y*²]");

  // where |L - E[y^2]| is above each level, by rows
  const n = 160, m = 96, rows = range(m - 1, (f) => Math.round(f * (m - 1))).map((k) =>
    range(n, (f) => modulus(all, lo + (hi - lo) * f, tall * (1 - (2 * k + 1) / m))));
  for (const level of LEVELS) {
    let d = "";
    rows.forEach((row, k) => {
      let from = -1;
      for (let i = 0; i <= n; i++) {
        const on = i < n && row[i] > level;
        if (on && from < 0) from = i;
        if (on || from < 0) continue;
        const [u, wide] = [(x + from * w / n).toFixed(1), ((i - from) * w / n).toFixed(1)];
        d += `M${u} ${(30 + k * h / m).toFixed(1)}h${wide}v${(h / m + 0.3).toFixed(1)}h-${wide}z`;
        from = -1;
      }
    });
    add(svg, "path", { d, class: "tint2" });
  }
  plane.path([[0, 0], [hi, 0]], "trail");
  plane.path([[lo, 0], [0, 0]], "thin");
  plane.path(range(90, (i) => 2 * Math.PI * i).map((v) =>
    [gamma + radius * Math.cos(v), radius * Math.sin(v)]), "jump mark");
  for (const { a } of all) {
    const [px, py] = [plane.X(-a), plane.Y(0)];
    add(svg, "path", { d: `M${px - 6} ${py - 6}l12 12m0 -12l-12 12`, class: "spinodal mark" });
    note(svg, px, py + 24, `−${num(a, 3)}`, { class: "spinodal" });
  }
  plane.dot(gamma, 0, "handle", 7);
  note(svg, plane.X(0.75), plane.Y(0) - 12, "decays", { class: "bare" });

  const ends = [0, ...all.map((mode) => -mode.a), lo].sort((p, q) => p - q);
  ends.slice(1).forEach((to, i) => {
    const from = ends[i], part = 1e-3 * (to - from);
    if (to === from) return;
    real.path(range(60, (s) => from + part + (to - from - 2 * part) * s)
      .map((g) => [g, least(all, g)]), "thin");
  });
  for (const { a } of all) real.path([[-a, 0], [-a, 1.2]], "spinodal thin");
  real.path([[0, 0], [0, 1.2]], "grid");
  for (const edge of [gamma - radius, gamma + radius]) real.path([[edge, 0], [edge, 1.2]], "jump");
  real.path(range(200, (s) => lo + (hi - lo) * s)
    .map((g) => [g, Math.max(-9, Math.min(9, series(all, gamma, g - gamma, terms)))]), "unstable");
  real.path(range(100, (s) => hi * s * s).map((g) => [g, least(all, g)]), "curve");
  real.dot(gamma, least(all, gamma), "handle", 6);
  note(svg, real.X(1.1), real.Y(least(all, 1.1)) - 12, "*L*");

  // a pointer takes the weak pole on the left of zero, and the centre of the series on its right
  area(svg, left, (px) => {
    const re = plane.A(px);
    svg.grip ??= re < 0 ? "weak" : "gamma";
    set({ [svg.grip]: svg.grip === "weak" ? -re : re });
  }, () => { svg.grip = null; });
  area(svg, right, (px) => set({ gamma: real.A(px) }));

  const where = all.map(({ a }) => `−${num(a, 3)}`).join(" and ");
  const strength = num(all.at(-1).strength, 3);
  const said = !weak ? "It reached zero and is gone: inputs that do not vary carry no signal."
    : weak < 0.25 ? `It fades as it nears zero: at −${num(weak, 3)} its strength is e² = ${strength}.` : "";
  return [`Pole${weak ? "s" : ""} at γ = ${where}. The series about γ = ${num(gamma, 3)} holds up to a `
    + `distance of ${num(radius, 3)}, that of the nearest pole; ${terms} terms are drawn.`, said];
}

function render(context) {
  return mount(context, {
    title: "Poles of the least loss of ridge regression, and its Taylor series.",
    question: "No decay γ ≥ 0 meets a pole. Can you bring the weak one there?",
    sliders: [["weak", "eigenvalue *a*₂"], ["gamma", "centre *γ*"]],
    buttons: [
      ["Fewer terms", (get, set) => set({ terms: Math.ceil(get("terms") / 2) }), (get) => get("terms") > 1],
      ["More terms", (get, set) => set({ terms: 2 * get("terms") }), (get) => get("terms") < 64],
    ],
    draw,
  });
}
export default { render };
