import { add, area, mount, note, num, plot, range, size } from "./draw.js";

// Isotropic data; x = |beta| / |beta_0|, losses above E[y^2] in units of all that can be learned, S.
// The price of least squares at which x is stationary, and the loss there.
export const price = (D, x) => (D + 1) * (1 - x) * x ** ((D - 1) / (D + 1));
export const loss = (D, x) => x * (D - 1 - D * x);

// Of the state with the least loss: x falls from 1 to 1 - 1/D, where zero is as good.
export function best(D, at) {
  let lo = 1 - 1 / D, hi = 1;
  if (at >= price(D, lo)) return { x: 0, loss: 0 };
  for (let i = 0; i < 60; i++) {
    const mid = (lo + hi) / 2;
    if (price(D, mid) > at) lo = mid;
    else hi = mid;
  }
  return { x: lo, loss: loss(D, lo) };
}

export const limit = (at) => Math.min(0, at - 1);

// Points [price, loss] up to the transition, and the largest distance from the limit.
export const curve = (D) => range(400, (i) => 1 - i / D).map((x) => [price(D, x), loss(D, x)]);
export const distance = (D) =>
  Math.max(...curve(D).map(([at, l]) => Math.abs(l - limit(at))), Math.abs(best(D, 1).loss));

// gamma / |E[xy]| at a price.
export const decay = (D, at, E) => at * E ** ((D - 1) / (D + 1)) / (D + 1);

const small = (v) => (v < 1e-3 ? v.toExponential(1).replace("-", "−") : num(v, 2));

function draw(svg, width, get, set) {
  const D = get("depth"), at = get("price"), E = get("signal"), star = price(D, 1 - 1 / D);
  const state = best(D, at), most = get("limits").price[1];
  const beside = width > 560, x = 52, gap = 74;
  const w = beside ? (width - gap - x - 12) / 2 : width - x - 12, h = beside ? 270 : 210;
  const left = [x, 30, w, h], right = beside ? [x + w + gap, 30, w, h] : [x, h + 112, w, h];
  size(svg, width, right[1] + h + 46);

  const plain = plot(svg, left, [0, 1.1], [-1.05, 0.15], "weight decay *γ* / |E[*xy*]|", "(*L* − E[*y*²]) / *S*");
  const glass = plot(svg, right, [0, most], [-1.05, 0.15], "rescaled: price of least squares / *S*",
    "(*L* − E[*y*²]) / *S*");
  for (const d of [1, 2, 4, 16, D]) {
    const points = [...curve(d), [1e6, 0]], kind = d === D ? "curve" : "thin";
    plain.path(points.map(([p, l]) => [Math.min(2, decay(d, p, E)), l]), kind);
    glass.path(points.map(([p, l]) => [Math.min(2 * most, p), l]), kind);
  }
  plain.path([[0, 0], [1.1, 0]], "jump");
  glass.path([[0, -1], [1, 0], [most, 0]], "jump");
  add(svg, "circle", { cx: plain.X(0), cy: plain.Y(-1), r: 5, class: "top" });
  note(svg, plain.X(0.55), plain.Y(0) - 8, "limit", { class: "jump" });
  note(svg, glass.X(0.5 * most + 0.5), glass.Y(0) - 8, "limit", { class: "jump" });
  plain.dot(decay(D, at, E), state.loss, "full");
  glass.dot(at, state.loss, "full");
  area(svg, right, (px) => set({ price: glass.A(px) }));

  const far = distance(D);
  return [`D = ${num(D, 3)}: learning stops at γ = ${num(E * decay(D, star, E))}, or ${num(star)} S when rescaled. `
    + `At the price ${num(at, 3)} S, L − E[y²] = ${num(state.loss)} S; in the limit it is `
    + `${num(limit(at), 3)} S. Largest distance from the limit: ${small(far)} S.`,
  D < 100 ? "" : `Never. Rescaled it is a line with a kink, within ${num(far * D * D, 2)} S/D² of the limit.`];
}

function render(context) {
  return mount(context, {
    title: "Least loss over the decay, plain and rescaled by the depth.",
    question: "Go deeper. Does the loss ever jump?",
    sliders: [["depth", "depth *D*"], ["price", "price"]],
    draw,
  });
}
export default { render };
