import { area, mount, note, num, plot, size } from "./draw.js";

// Pieces [from, line] of the lower envelope of lines [loss, norm], loss + norm gamma, up to `far`.
export function envelope(lines, far) {
  const under = (i, j) => lines[i][0] - lines[j][0] || lines[i][1] - lines[j][1];
  let best = lines.map((_, i) => i).sort(under)[0];
  const found = [[0, best]];
  for (;;) {
    const [loss, norm] = lines[best];
    const next = lines.map((line, i) => [(line[0] - loss) / (norm - line[1]), i])
      .filter(([, i]) => lines[i][1] < norm)
      .sort(([g, i], [h, j]) => g - h || lines[i][1] - lines[j][1])[0];
    if (!next || next[0] >= far) return found;
    found.push(next);
    best = next[1];
  }
}

// A model in which the loss and the norm of each network, as loss2, and of the one that is chosen, as
// loss, are numbers of their own.
const chosen = (model) => {
  const limits = model.get("limits"), all = { network: limits.network };
  model.get("lines").forEach((_, i) => {
    all["loss" + i] = limits.loss;
    all["norm" + i] = limits.norm;
  });
  Object.assign(all, limits);
  const where = (key) => [key[4] ?? model.get("network"), ["loss", "norm"].indexOf(key.slice(0, 4))];
  return {
    get: (key) => {
      const [i, k] = where(key);
      return key === "limits" ? all : k < 0 ? model.get(key) : model.get("lines")[i][k];
    },
    set: (key, value) => {
      const [i, k] = where(key), lines = model.get("lines").map((line) => [...line]);
      if (k < 0) return model.set(key, key === "network" ? Math.round(value) : value);
      lines[i][k] = value;
      model.set("lines", lines);
    },
    save_changes: () => model.save_changes(),
    on: (event, heard) => model.on(event, heard),
    off: (event, heard) => model.off(event, heard),
  };
};

const list = (values) => values.map((v) => num(v, 3)).join(", ");

function draw(svg, width, get, set) {
  const lines = get("lines"), me = get("network"), gamma = get("gamma"), limits = get("limits");
  const far = limits.gamma[1], most = limits.norm[1], high = 1.25 * limits.loss[1];
  const pieces = envelope(lines, far), kinks = pieces.slice(1);
  const value = (i, g) => lines[i][0] + lines[i][1] * g;
  const best = pieces.filter(([from]) => from <= gamma).at(-1)[1];
  const beside = width > 560, x = 46, gap = 74;
  const w = beside ? (width - gap - x - 12) / 2 : width - x - 12, h = beside ? 290 : 220;
  const left = [x, 30, w, h], right = beside ? [x + w + gap, 30, w, h] : [x, h + 112, w, h];
  size(svg, width, right[1] + h + 46);

  const free = plot(svg, left, [0, far], [0, high], "weight decay *γ*", "loss / E[*y*²]");
  const slope = plot(svg, right, [0, far], [0, most], "weight decay *γ*", "slope *L*′ = |*w*|²");
  const end = (i) => Math.min(far, (0.96 * high - lines[i][0]) / lines[i][1]);
  lines.forEach((_, i) => free.path([[0, value(i, 0)], [far, value(i, far)]],
    i === me ? "unstable" : "line"));
  free.path([...pieces.map(([g, i]) => [g, value(i, g)]), [far, value(pieces.at(-1)[1], far)]],
    "curve thick");
  pieces.forEach(([from, i], k) => {
    const to = pieces[k + 1]?.[0] ?? far, norm = lines[i][1];
    slope.path([[from, norm], [to, norm]], "curve thick");
    if (k) slope.path([[from, lines[pieces[k - 1][1]][1]], [from, norm]], "thin jump");
  });
  kinks.forEach(([g, i]) => {
    free.path([[g, 0], [g, value(i, g)]], "thin jump");
    free.dot(g, value(i, g), "full", 4);
  });
  free.path([[gamma, 0], [gamma, high]], "thin");
  slope.path([[gamma, 0], [gamma, most]], "thin");
  free.dot(gamma, value(best, gamma), "full");
  slope.dot(gamma, lines[best][1], "full");
  lines.forEach((line, i) => {
    const at = end(i), kind = i === me ? "top" : "handle";
    free.dot(0, line[0], kind, 7);
    free.dot(at, value(i, at), kind, 7);
    note(svg, free.X(0) + 16, free.Y(line[0]) - 9, `${i + 1}`);
  });
  note(svg, free.X(0.5 * far), free.Y(value(pieces.at(-1)[1], 0.5 * far)) + 26, "*L*");

  // left of a fifth a line is lifted, right of it turned about its start
  area(svg, [x - 12, 30, w + 24, h], (px, py) => {
    const g = Math.min(far, Math.max(0, free.A(px))), l = free.B(py);
    if (!svg.grip) {
      const lift = g < 0.2 * far, gaps = lines.map((_, i) => Math.abs(value(i, lift ? 0 : g) - l));
      svg.grip = { lift };
      set({ network: gaps.indexOf(Math.min(...gaps)) });
    }
    const [loss] = get("lines")[get("network")];
    set(svg.grip.lift ? { loss: l } : { norm: (l - loss) / Math.max(g, 0.05 * far) });
  }, () => { svg.grip = null; }, true);
  area(svg, right, (px) => set({ gamma: slope.A(px) }));

  const here = `At γ = ${num(gamma, 3)} network ${best + 1} is best: L = ${num(value(best, gamma), 3)}, `
    + `slope ${num(lines[best][1], 3)}. `;
  if (!kinks.length) return here + "L is one line.";
  const many = kinks.length > 1, norms = pieces.map(([, i]) => lines[i][1]);
  return [here + `At the kink${many ? "s" : ""} of L, γ = ${list(kinks.map(([g]) => g))}, two lines meet, `
    + `both at ${list(kinks.map(([g, i]) => value(i, g)))}.`,
  `L bends and does not jump. Its slope jumps, and only falls: ${norms.map((v) => num(v, 3)).join(", then ")}.`];
}

function render({ model, el }) {
  return mount({ model: chosen(model), el }, {
    title: "The least loss as the lower envelope of lines.",
    question: "Pull a line below the others: L gets a kink. Can you make it jump?",
    sliders: [["loss", "data loss *ℓ*₀"], ["norm", "norm |*w*|²"], ["gamma", "weight decay *γ*"]],
    buttons: [["Next network", (get, set) =>
      set({ network: (get("network") + 1) % get("lines").length }), () => true]],
    draw,
  });
}
export default { render };
