import { area, depths, mount, note, num, plot, range, size } from "./draw.js";

// Isotropic data with a = N = 1. A problem P = {D, p}; t is |beta| = B^(D+1), and the penalty is
// gamma |w|^p = gamma kappa t^q.
const E = 0.45;
const q = ({ D, p }) => p / (D + 1), kappa = ({ D, p }) => (D + 1) ** (p / 2);
const big = ({ D }, t) => t ** (1 / (D + 1));

// The decay at which zero would lose its pull, were p = D + 1; the unit of decays.
export const unit = (P) => 2 * E / kappa(P);

// Least loss of balanced layers of norm B, relative to E[y^2]: |beta| is at most B^(D+1).
export const balanced = (P, B, gamma) => {
  const t = Math.min(E, B ** (P.D + 1));
  return t * (t - 2 * E) + gamma * kappa(P) * B ** P.p;
};

// The decay at which t is stationary; where it is largest, the learned branch ends.
export const decay = (P, t) => 2 * (E - t) * t ** (1 - q(P)) / (kappa(P) * q(P));
export const end = (P) => E * Math.max(0, (1 - q(P)) / (2 - q(P)));

// Where both phases have one loss, for p < D + 1.
export function jump(P) {
  const t = 2 * end(P);
  return q(P) < 1 ? { gamma: decay(P, t), B: big(P, t) } : undefined;
}

// Stationary B > 0 at gamma, ascending: the barrier, and the learned minimum.
export function stationary(P, gamma) {
  const top = end(P), find = (lo, hi) => {
    const below = decay(P, hi) < decay(P, lo);
    for (let i = 0; i < 100; i++) {
      const mid = (lo + hi) / 2;
      if (decay(P, mid) > gamma === below) lo = mid;
      else hi = mid;
    }
    return big(P, (lo + hi) / 2);
  };
  if (q(P) < 1) return gamma < decay(P, top) ? [find(0, top), find(top, E)] : [];
  return q(P) > 1 || gamma < unit(P) ? [find(0, E)] : [];
}

function draw(svg, width, get, set) {
  const P = { D: get("depth"), p: get("power") }, part = get("decay"), gamma = part * unit(P);
  const D = P.D, side = Math.sign(P.p - D - 1), points = stationary(P, gamma), change = jump(P);
  const learned = points.at(-1) ?? 0, lost = change && gamma > change.gamma, best = lost ? 0 : learned;
  const beside = width > 620, x = 56, w = beside ? (width - 146) / 2 : width - x - 12;
  const h = beside ? 250 : 220, x2 = beside ? x + w + 78 : x, y2 = beside ? 30 : h + 118;
  size(svg, width, y2 + h + 46);

  const wide = 1.15 * big(P, E), at = (B) => balanced(P, B, gamma), grid = range(240, (i) => wide * i);
  const low = Math.min(-0.03, 1.25 * at(learned)), top = side < 0 && points[0] ? at(points[0]) : 0;
  const hill = plot(svg, [x, 30, w, h], [0, wide], [low, Math.max(0.05, 1.6 * top)], "size *B*",
    "loss − E[*y*²]");
  hill.path([[0, 0], [wide, 0]], "thin");
  hill.path(grid.map((B) => [B, at(B)]), "curve");
  if (top) hill.dot(points[0], top, "top");
  if (side < 0 || !learned) hill.dot(0, 0, best ? "" : "full");
  if (learned) hill.dot(learned, at(learned), best ? "full" : "");

  const far = get("limits").decay[1], line = (from, to) => range(160, (i) => {
    const t = from + (to - from) * i ** 3;
    return [decay(P, t) / unit(P), big(P, t)];
  });
  const order = plot(svg, [x2, y2, w, h], [0, far], [0, wide], "decay *γκ*/2*E*", "size *B* of the best");
  const last = change ? big(P, end(P)) : 0, edge = end(P), fold = Math.max(2 * edge, 1e-14);
  if (change) {
    order.path(line(0, edge), "unstable");
    order.path(line(edge, fold), "thin");
    order.path([[change.gamma / unit(P), 0], [change.gamma / unit(P), change.B]], "jump mark");
  }
  order.path(line(fold, E), "curve");
  const zero = change ? change.gamma / unit(P) : side ? far : 1;
  order.path([[zero, 0], [far, 0]], "curve");
  if (last) note(svg, order.X(decay(P, edge) / unit(P)) + 8, order.Y(last) + 4, "spinodal",
    { class: "spinodal", "text-anchor": "start" });
  order.dot(part, best, "handle", 9);
  area(svg, order.box, (px) => set({ decay: order.A(px) }));

  const here = `p = ${num(P.p, 3)}, D + 1 = ${num(D + 1, 3)}, γ = ${num(gamma)}: `;
  const size_ = `the best B is ${num(best)}`;
  if (side < 0) {
    return `${here}zero is a minimum at every decay, and ${size_}. The jump is at γ = `
      + `${num(change.gamma)}, from B = ${num(change.B)} to 0.`;
  }
  return side ? [`${here}zero is a minimum at no decay, and ${size_}.`,
    "Above p = D + 1 the trap is gone, and so is the transition: B falls and never arrives at 0."]
    : [`${here}no barrier is left, and ${size_}. It arrives at 0 without a jump, at γ = ${num(unit(P))}.`,
      "At p = D + 1 the trap goes, and the jump with it. Raise the power further."];
}

const jumps = (get) => {
  const P = { D: get("depth"), p: get("power") }, change = jump(P);
  return change ? [[change.gamma / unit(P), "coexistence"]] : [];
};

function render(context) {
  return mount(context, {
    title: "Weight decay with another power of the norm.",
    question: "Raise the power until zero is no trap. What becomes of the jump?",
    sliders: [
      ["power", "power *p*", { snap: (get) => [[get("depth") + 1, "D + 1"]] }],
      ["decay", "decay *γκ*/2*E*", { snap: jumps }], ["depth", "depth *D*", depths],
    ],
    buttons: [["Go to p = D + 1", (get, set) => set({ power: get("depth") + 1 }), () => true]],
    draw,
  });
}
export default { render };
