import { branches, kept, on, root, signal, spinodals, stationary } from "./theory.js";

// First-order transitions of the global minimum, gamma ascending, along its lower envelope.
export const transitions = kept((p) => {
  const pieces = branches(p), minima = pieces.filter((b) => b.kind < 0), found = [];
  if (p.D <= 1) return found;
  for (let i = 0; i < minima.length;) {
    const b = minima[i], rivals = [];
    for (let j = i + 1; j <= minima.length; j++) {
      const c = minima[j];
      const low = Math.max(b.low, c ? c.low : 0), high = Math.min(b.high, c ? c.high : Infinity);
      const ahead = (gamma) => on(p, b, gamma).loss - (c ? on(p, c, gamma).loss : 0);
      if (low < high && ahead(low) < 0 && ahead(high) > 0) rivals.push([root(ahead, low, high), j]);
    }
    if (!rivals.length) {
      i++;
      continue;
    }
    const [gamma, j] = rivals.reduce((x, y) => (y[0] < x[0] ? y : x));
    const points = stationary(p, gamma, pieces), below = on(p, b, gamma);
    const above = j < minima.length ? on(p, minima[j], gamma) : points[0];
    const tops = points.filter((s) => s.kind > 0 && s.B > above.B && s.B < below.B);
    found.push({ gamma, below, above, barrier: Math.max(...tops.map((s) => s.loss)) - below.loss });
    i = j;
  }
  return found;
});

// Where the trivial phase becomes global; undefined without a transition.
export const critical = (p, jumps = transitions(p)) => (p.D === 1 ? signal(p) : jumps.at(-1)?.gamma);

// The decays that a slider hits exactly, and their names.
export const decays = (p) => [
  ...transitions(p).map((t) => [t.gamma, "coexistence"]),
  ...spinodals(branches(p)).map((s) => [s.gamma, "spinodal"]),
  ...(p.D === 1 ? [[signal(p), "critical point"]] : []),
];

// The button of a figure that leads there, of the problem that `problem(get)` is.
export const destination = (problem) => [
  (get) => `Go to ${problem(get).D === 1 ? "the critical point" : "coexistence"}`,
  (get, set) => set({ gamma: critical(problem(get)) }), (get) => critical(problem(get)),
];
