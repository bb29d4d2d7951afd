import { at, root, signal, spinodals, stationary } from "./theory.js";
import { transitions } from "./transitions.js";

// The whole phase diagram of one depth, with no turning point of the curve missed.
// In t, by which P = sum w q, the share of the modes that are learned, falls from 1 to 0:
const SLOPE_OF_P = 0.5, CURVATURE_OF_P = 0.5, MARGIN = 1e-11, SMALLEST = 1e-9;

// P and dP/dt at the ridge penalty e^t.
function learnedShare(p, t) {
  const mu = Math.exp(t);
  let total = 0, first = 0, second = 0;
  p.e.forEach((e, i) => {
    const f = p.N * p.a[i] + mu, q = p.N * p.a[i] / f, w = (e / f) ** 2;
    total += w;
    first += w * q;
    second += w * q * q;
  });
  const P = first / total;
  return [P, 3 * (second / total - P * P) - P * (1 - P)];
}

// Where P takes the value c in [lo, hi]: cells without a root, or with one, are proved to be such.
function turningPoints(p, lo, hi, c) {
  const found = [], excess = (t) => learnedShare(p, t)[0] - c;
  const search = (a, b) => {
    const half = (b - a) / 2, [P, slope] = learnedShare(p, a + half);
    if (Math.abs(P - c) > half * SLOPE_OF_P + MARGIN) return;
    const single = Math.abs(slope) > half * CURVATURE_OF_P + MARGIN || half < SMALLEST;
    if (!single) {
      search(a, a + half);
      search(a + half, b);
    } else if (excess(a) > 0 !== excess(b) > 0) found.push(root(excess, a, b));
  };
  const n = Math.ceil(2 * (hi - lo));
  for (let i = 0; i < n; i++) search(lo + (hi - lo) * i / n, lo + (hi - lo) * (i + 1) / n);
  return found;
}

// Stretches of the curve as `branches` of theory.js has them.
export function stretches(p) {
  const logs = p.a.map((a) => Math.log(p.N * a)), low = Math.min(...logs), high = Math.max(...logs);
  const bent = Math.max(Math.abs(p.D - 1), 1e-6), from = low - 40, to = high + 40 + 40 / bent;
  const turns = p.D > 1 ? turningPoints(p, from, to, (p.D - 1) / (2 * p.D)) : [];
  const ends = [from, ...turns, Math.min(300, to)];
  return ends.slice(1).map((hi, i) => {
    const lo = ends[i], start = at(p, lo), stop = at(p, hi);
    return { lo, hi, kind: start.gamma < stop.gamma ? -1 : 1, from: start, to: stop,
      low: Math.min(start.gamma, stop.gamma), high: Math.max(start.gamma, stop.gamma) };
  });
}

// Transitions as `Landscape.transitions`, spinodals as `Landscape.spinodals`; losses from E[y^2].
export function phases(p) {
  const pieces = stretches(p), ends = spinodals(pieces);
  const jumps = transitions(p, pieces).map(({ gamma, below, above, barrier }) => ({ gamma, order: 1,
    below, above, barrier, heat: gamma * (below.R - above.R) }));
  const E = signal(p), zero = { B: 0, R: 0, loss: 0 };
  if (p.D === 1) jumps.push({ gamma: E, order: 2, below: zero, above: zero, barrier: 0, heat: 0 });
  return { p, pieces, jumps, ends, critical: jumps.at(-1)?.gamma };
}

// The global minimum at gamma.
export function globalMinimum({ p, pieces }, gamma) {
  const minima = stationary(p, gamma, pieces).filter((s) => s.kind < 0);
  return minima.reduce((best, s) => (s.loss < best.loss ? s : best), { gamma, B: 0, R: 0, loss: 0 });
}

// Least loss of balanced networks of size B, from E[y^2].
function balancedLoss(p, pieces, gamma, B) {
  const norm = B ** (p.D + 1), lo = pieces[0].lo, hi = pieces.at(-1).hi;
  const size = (t) => Math.hypot(...p.e.map((e, i) => e / (p.N * p.a[i] + Math.exp(t))));
  const t = root((s) => size(s) - norm, lo, hi), mu = Math.exp(t);
  const taken = p.e.reduce((sum, e, i) => {
    const f = p.N * p.a[i] + mu;
    return sum + e * e / f * (1 + mu / f);
  }, 0);
  return gamma * (p.D + 1) * B * B - taken;
}

// The learned minimum at gamma, the pass below it, and the size halfway between, which learns:
// `learning_basin` and the default start of `learning_basin_init`. None where nothing is learned.
export function learningStart({ p, pieces }, gamma) {
  const points = stationary(p, gamma, pieces).filter((s) => s.B > 0);
  const minima = points.filter((s) => s.kind < 0);
  if (p.D < 1 || !minima.length) return undefined;
  const best = minima.reduce((x, s) => (s.loss < x.loss ? s : x)), k = points.indexOf(best);
  const low = points[k - 1] ?? { B: 0, loss: 0 }, high = points[k + 1] ?? { loss: Infinity };
  const passage = Math.min(low.loss, high.loss);
  let from = low.B;
  if (low.loss > passage) {
    from = root((B) => balancedLoss(p, pieces, gamma, B) - passage, low.B, best.B);
  }
  return { B: best.B, from, start: from + (best.B - from) / 2 };
}

// Points [gamma, loss, R] of the global minimum from gamma = 0 to its last transition.
export function envelope({ p, pieces, jumps }) {
  const first = pieces[0], stops = jumps.filter((j) => j.order === 1);
  let from = first.lo;
  const parts = stops.map(({ below, above }) => {
    const part = [from, below.t];
    from = above.t;
    return part;
  });
  if (p.D <= 1) parts.push([first.lo, first.hi]);
  return parts.map(([lo, hi]) => Array.from({ length: 241 }, (_, i) => at(p, lo + (hi - lo) * i / 240)));
}
