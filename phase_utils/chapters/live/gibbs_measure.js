import { area, mount, note, num, plot, range, size } from "./draw.js";

// Chains of two hidden layers on one input of unit variance and signal E, all weights B; the loss is
// relative to E[y^2].
export const chain = (E, B, gamma) => B * B * (B * (B * B * B - 2 * E) + 3 * gamma);

// Beyond it the measure has no weight.
const far = (E) => 1.3 * Math.cbrt(E) + 0.5;

// The measure e^(-loss / T) dB / Z: F = -T ln Z, the mean of R = 3 B^2, points [B, density()].
export function measure(E, gamma, T, n = 2000) {
  const h = far(E) / n, part = new Float64Array(n + 1);
  let least = 0, Z = 0, R = 0;
  for (let i = 0; i <= n; i++) least = Math.min(least, part[i] = chain(E, h * i, gamma));
  for (let i = 0; i <= n; i++) {
    const power = (least - part[i]) / T;
    part[i] = power < -50 ? 0 : Math.exp(power);  // below what is added up
    Z += part[i] *= i % n ? h : h / 2;
    R += 3 * (h * i) ** 2 * part[i];
  }
  return { F: least - T * Math.log(Z), R: R / Z,
    density: () => Array.from(part, (p, i) => [h * i, p / (Z * (i % n ? h : h / 2))]) };
}

export const coexistence = (E) => (E / 2) ** (4 / 3);

// R of the best chain: at coexistence the two values between which it jumps.
export function best(E, gamma) {
  if (gamma > coexistence(E)) return [0];
  let lo = Math.cbrt(E / 2), hi = Math.cbrt(E);
  for (let i = 0; i < 60; i++) {
    const mid = (lo + hi) / 2;
    if (E * mid - mid ** 4 > gamma) lo = mid;
    else hi = mid;
  }
  return gamma === coexistence(E) ? [3 * Math.cbrt(E / 2) ** 2, 0] : [3 * lo * lo];
}

// The barrier at coexistence, whose top is the least root of E B - B^4 = gamma.
export function barrier(E) {
  let lo = 0, hi = Math.cbrt(E / 4);
  for (let i = 0; i < 60; i++) {
    const mid = (lo + hi) / 2;
    if (E * mid - mid ** 4 < coexistence(E)) lo = mid;
    else hi = mid;
  }
  return chain(E, lo, coexistence(E));
}

// The decays between which the mean of R falls from three quarters of the jump to a quarter.
export function step(E, T, limits) {
  const jump = 3 * Math.cbrt(E / 2) ** 2;
  return [0.75, 0.25].map((share) => {
    let [lo, hi] = limits;
    for (let i = 0; i < 30; i++) {
      const mid = (lo + hi) / 2;
      if (measure(E, mid, T, 400).R > share * jump) lo = mid;
      else hi = mid;
    }
    return lo;
  });
}

function draw(svg, width, get, set) {
  const E = get("signal"), gamma = get("gamma"), T = get("temperature"), limits = get("limits").gamma;
  const now = measure(E, gamma, T), ground = best(E, gamma), star = coexistence(E);
  const beside = width > 560, x = 52, gap = 74;
  const w = beside ? (width - gap - x - 12) / 2 : width - x - 12, h = beside ? 270 : 210;
  const left = [x, 30, w, h], right = beside ? [x + w + gap, 30, w, h] : [x, h + 112, w, h];
  size(svg, width, right[1] + h + 46);

  const density = now.density(), wide = Math.cbrt(E) + 0.25;
  const high = 1.2 * Math.max(...density.map(([, d]) => d));
  const hump = plot(svg, left, [0, wide], [0, high], "order parameter *B*", "probability density");
  const outline = density.filter(([B], i) => i % 5 === 0 && B < 1.1 * wide);
  hump.path([[0, 0], ...outline, [wide, 0]], "tint", "Z");
  hump.path(outline, "curve");
  const scale = high / (8 * barrier(E));
  hump.path(range(200, (i) => wide * i).map((B) => [B, high / 4 + scale * chain(E, B, gamma)]), "thin");
  note(svg, hump.X(0.55 * Math.cbrt(E)), hump.Y(high / 4 + scale * chain(E, 0.55 * Math.cbrt(E), gamma)) - 12,
    "loss");

  const most = 1.1 * best(E, limits[0])[0];
  const mean = plot(svg, right, limits, [0, most], "weight decay *γ*", "squared norm *R*");
  const cold = range(80, (i) => limits[0] + (star - limits[0]) * i).map((g) => [g, best(E, g)[0]]);
  mean.path([...cold, [star, 0], [limits[1], 0]], "thin");
  mean.path(range(160, (i) => limits[0] + (limits[1] - limits[0]) * i)
    .map((g) => [g, measure(E, g, T, 300).R]), "curve");
  note(svg, mean.X(star) + 10, mean.Y(0.92 * most), "thin: *T* = 0", { "text-anchor": "start" });
  mean.path([[gamma, 0], [gamma, most]], "jump mark");
  for (const R of ground) mean.dot(gamma, R);
  mean.dot(gamma, now.R, "full");
  area(svg, right, (px) => set({ gamma: mean.A(px) }));

  const top = barrier(E), [from, to] = T < top ? step(E, T, limits) : [];
  return [`γ = ${num(gamma)}, T = ${num(T)}: the mean of R is ${num(now.R)}, that of the best network `
    + `${ground.map((v) => num(v)).join(" or ")}. Barrier at coexistence, γ = ${num(star)}: ${num(top, 3)}.`,
  T < top ? `Two humps, and a step ${num(to - from, 2)} wide. It is a jump at T = 0 alone.` : ""];
}

function render(context) {
  return mount(context, {
    title: "Gibbs measure on the loss of a network, and the mean of its squared norm.",
    question: "Cool down to below the barrier. When does the mean of *R* jump?",
    sliders: [["temperature", "temperature *T*"], ["gamma", "weight decay *γ*",
      { snap: (get) => [[coexistence(get("signal")), "coexistence"]] }]],
    draw,
  });
}
export default { render };
