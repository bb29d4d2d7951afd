import { area, mount, note, num, plot, range, size } from "./draw.js";

// Modes of variances a under noise c and decay gamma, for a contrast of clean images or of views:
// r is the noise over what the contrast sees, s the variance of the representation.
export const modes = (a, c, gamma, views) => a.map((v) => {
  const seen = v + (views ? c : 0), r = (c + gamma) / seen, y = (Math.sqrt(1 + 8 * r) - 1) / 2;
  const s = r < 1 ? 1 / y - 1 : 0;
  return { r, s, norm: s / seen, loss: r * s - (Math.log(1 + s) + s / (1 + s)) / 2 };
});

function draw(svg, width, get, set) {
  const a = get("a"), c = get("noise"), gamma = get("gamma"), views = get("views") === 1, n = a.length;
  const now = modes(a, c, gamma, views), live = now.filter((m) => m.s > 0).length;
  const beside = width > 620, x = 52, w = beside ? (width - 150) / 2 : width - x - 16;
  const h = beside ? 240 : 200, x2 = beside ? x + w + 74 : x, y2 = beside ? 30 : h + 112;
  size(svg, width, y2 + h + 46);

  const bars = plot(svg, [x, 30, w, h], [0.4, n + 0.6], [0, 1.6], "mode *i*",
    "noise over what the contrast sees, *r*ᵢ");
  now.forEach(({ r }, i) => bars.path([[i + 0.65, 0], [i + 1.35, 0], [i + 1.35, r], [i + 0.65, r]],
    r < 1 ? "tint" : "lobe", "Z"));
  bars.path([[0, 1], [n + 1, 1]], "unstable");
  note(svg, bars.X(0.6), bars.Y(1) - 8, "dead above", { "text-anchor": "start", class: "spinodal" });

  const [lo, hi] = get("limits").noise.map(Math.log10);
  const alive = plot(svg, [x2, y2, w, h], [lo, hi], [0, 1], "noise *c* of the augmentation",
    "represented, *s*/(1 + *s*)", (v) => num(10 ** v), num);
  const at = range(120, (i) => lo + (hi - lo) * i);
  const lines = at.map((v) => modes(a, 10 ** v, gamma, views));
  for (let k = 0; k < n; k++) {
    alive.path(at.map((v, i) => [v, lines[i][k].s / (1 + lines[i][k].s)]), "curve");
  }
  const here = Math.log10(c);
  alive.path([[here, 0], [here, 1]], "jump mark");
  now.forEach(({ s }) => alive.dot(here, s / (1 + s), s ? "full" : "", 3.5));
  area(svg, alive.box, (px) => set({ noise: 10 ** alive.A(px) }));

  const weakest = live ? now[live - 1] : null, gain = weakest && num(-weakest.loss, 3);
  const told = views ? c >= a[0] && gamma < a[n - 1] : !live;
  return [`${views ? "Contrast between views" : "Contrast between clean images"}, c = ${num(c, 3)}, `
    + `γ = ${num(gamma, 3)}: ${live} of ${n} modes live. `
    + (live ? `The weakest of them has r = ${num(weakest.r, 3)} and lowers the loss by ${gain}. ` : "Complete collapse. ")
    + (live && !views ? `It dies at c = ${num(Math.max(0, a[live - 1] - gamma), 3)}.` : ""),
  told ? views ? "None dies: r = (c + γ)/(a + c) stays below 1 while γ < a, whatever the noise."
    : "One by one, each where c + γ is its own variance. Now contrast views instead." : ""];
}

function render(context) {
  const to = (views, label) => [label, (get, put) => put({ views }), (get) => get("views") !== views];
  return mount(context, {
    title: "Modes of a linear encoder under augmentation.",
    question: "Raise the noise until all modes are dead. Does the same kill them when views are contrasted?",
    sliders: [["noise", "noise *c*"], ["gamma", "weight decay *γ*", { more: true }]],
    buttons: [to(0, "Clean images"), to(1, "Views")],
    draw,
  });
}
export default { render };
