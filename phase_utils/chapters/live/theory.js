// Eq. 6 and its stationary curve, in the names of phase_utils; losses are relative to E[y^2].
// A problem p = {a, e, D, N}: eigenvalues, signals, depth, noise factor.

// Decays the smaller eigenvalues: 0 makes the data isotropic, 1 leaves them as they are.
export const spread = (a, power) => {
  const top = Math.max(...a);
  return a.map((x) => top * (x / top) ** power);
};

export const signal = (p) => Math.hypot(...p.e);

// The unit of losses in a drawing.
export const unit = (p) => signal(p) ** 2 / Math.max(...p.a);

// Eq. 6 at B, the first layer being the best one; without a hidden layer that of weights of norm B in
// the direction of ridge regression.
export function loss(p, B, gamma) {
  if (!p.D) {
    const w = p.e.map((e, i) => e / (p.N * p.a[i] + gamma)), s = B / Math.hypot(...w);
    return w.reduce((l, x, i) => l + s * x * (s * x * (p.N * p.a[i] + gamma) - 2 * p.e[i]), 0);
  }
  const v = B ** (2 * p.D);
  return p.e.reduce((l, e, i) => l - v * e * e / (p.N * p.a[i] * v + gamma), gamma * p.D * B * B);
}

// The stationary point with the ridge penalty e^t; slope is d ln(gamma) / dt there.
export function at(p, t) {
  const mu = Math.exp(t), m = p.D + 1;
  let gain = 0, s2 = 0, s3 = 0;
  p.e.forEach((e, i) => {
    const q = 1 / (p.N * p.a[i] + mu), w = e * e * q;
    gain += w;
    s2 += w * q;
    s3 += w * q * q;
  });
  const u = s2 ** (1 / m), gamma = mu * u ** p.D;
  const slope = 1 - 2 * p.D * mu * s3 / (m * s2);
  return { t, gamma, slope, B: Math.sqrt(u), R: m * u, loss: gamma * p.D * u - gain };
}

// Where f changes sign between lo and hi.
export function root(f, lo, hi) {
  const sign = f(lo) > 0;
  for (let i = 0; i < 80; i++) {
    const mid = (lo + hi) / 2;
    if (f(mid) > 0 === sign) lo = mid;
    else hi = mid;
  }
  return (lo + hi) / 2;
}

// What f finds of a problem, kept until it is asked of another one: a decay that moves changes nothing.
export function kept(f) {
  let known, found;
  return (p) => {
    const asked = [p.a, p.e, p.D, p.N].join();
    if (asked !== known) [known, found] = [asked, f(p)];
    return found;
  };
}

// Stretches of the curve, B falling: minima (kind -1) where gamma rises with t, maxima (1) else.
export const branches = kept((p) => {
  const bent = Math.max(Math.abs(p.D - 1), 1e-6), logs = p.a.map((a) => Math.log(p.N * a));
  const first = Math.min(...logs) - 25, last = Math.max(...logs) + 6 - Math.log(bent);
  const ends = [first], n = Math.ceil(20 * (last - first));
  let before = at(p, first);
  for (let i = 1; i <= n; i++) {
    const next = at(p, first + (last - first) * i / n);
    if (before.slope > 0 !== next.slope > 0) {
      ends.push(root((t) => at(p, t).slope, before.t, next.t));
    }
    before = next;
  }
  ends.push(Math.min(300, last + 40 / bent));
  return ends.slice(1).map((hi, i) => {
    const lo = ends[i], from = at(p, lo), to = at(p, hi);
    const kind = from.gamma < to.gamma ? -1 : 1;
    return { lo, hi, kind, from, to, low: Math.min(from.gamma, to.gamma),
      high: Math.max(from.gamma, to.gamma) };
  });
});

// The point at gamma of one branch.
export const on = (p, b, gamma) => {
  const t = root((s) => Math.log(at(p, s).gamma / gamma), b.lo, b.hi);
  return { ...at(p, t), kind: b.kind };
};

// B = 0 is a minimum for D > 1, for D = 1 from gamma = |E[xy]| on, and never for D < 1.
export const origin = (p, gamma) => p.D > 1 || (p.D === 1 && gamma >= signal(p) * (1 - 1e-12));

// Stationary points at gamma, B ascending; the origin is among them where it is a minimum.
export function stationary(p, gamma, pieces = branches(p)) {
  const found = pieces.filter((b) => b.low < gamma && gamma < b.high).map((b) => on(p, b, gamma));
  const zero = { gamma, B: 0, R: 0, loss: 0, kind: -1 };
  return (origin(p, gamma) ? [zero] : []).concat(found.reverse());
}

// The minima, each told whether it is global; at coexistence several are.
export function minimaOf(p, points) {
  const minima = points.filter((s) => s.kind < 0), least = Math.min(...minima.map((s) => s.loss));
  return minima.map((s) => ({ ...s, global: s.loss - least <= 1e-9 * unit(p) }));
}

export const spinodals = (pieces) =>
  pieces.slice(1).map((b) => b.from).sort((x, y) => x.gamma - y.gamma);
