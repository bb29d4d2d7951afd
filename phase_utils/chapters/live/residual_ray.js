import { area, mount, note, num, plot, range, size } from "./draw.js";

// A scalar linear residual network at weights a: two outer matrices, n blocks of two, matrices on m
// of their shortcuts; c is a branch over its shortcut at a = 1. P = {n, m, c}; the output at 1 is 1.
export const output = ({ n, m, c }, a) =>
  a ** (2 + m) * ((1 + c * a) / (1 + c)) ** m * ((1 + c * a * a) / (1 + c)) ** (n - m);

// Mean number of matrices on a path, d ln(output) / d ln(a); its limits are the shortest and longest.
export const depth = ({ n, m, c }, a) =>
  2 + m * (1 + c * a / (1 + c * a)) + (n - m) * 2 * c * a * a / (1 + c * a * a);

// Loss along the ray less that of zero, |w|^2 being a^2, and the decay at which a is at rest.
export const loss = (P, a, gamma) => output(P, a) * (output(P, a) - 2) + gamma * a * a;
export const rest = (P, a) => depth(P, a) * output(P, a) * (1 - output(P, a)) / (a * a);

// Where f is largest between 0 and 1.
function peak(f) {
  const grid = range(400, (i) => f(Math.max(i, 1e-9))), k = grid.indexOf(Math.max(...grid));
  let lo = Math.max((k - 1) / 400, 1e-9), hi = Math.min((k + 1) / 400, 1);
  for (let i = 0; i < 90; i++) {
    const third = (hi - lo) / 3;
    if (f(lo + third) < f(hi - third)) lo += third;
    else hi -= third;
  }
  return (lo + hi) / 2;
}

// The decay at which the ray first pays, and at which its learned minimum ends, with their a.
export const pays = (P) => {
  const f = (a) => output(P, a) * (2 - output(P, a)) / (a * a), a = peak(f);
  return { a, gamma: f(a) };
};
export const ends = (P) => {
  const a = peak((v) => rest(P, v));
  return { a, gamma: rest(P, a) };
};

// The learned minimum of the ray, and the top of the wall before it; 0 where there is none.
export function minimum(P, gamma) {
  const end = ends(P), find = (lo, hi) => {
    const up = rest(P, hi) > rest(P, lo);
    for (let i = 0; i < 80; i++) {
      const mid = (lo + hi) / 2;
      if (rest(P, mid) > gamma === up) hi = mid;
      else lo = mid;
    }
    return (lo + hi) / 2;
  };
  if (gamma >= end.gamma) return { learned: 0, wall: 0 };
  return { learned: find(end.a, 1), wall: rest(P, 1e-9) < gamma ? find(1e-9, end.a) : 0 };
}

function draw(svg, width, get, set) {
  const P = { n: get("blocks"), m: get("matrices"), c: get("branch") }, gamma = get("gamma");
  const { learned, wall } = minimum(P, gamma), first = pays(P), shortest = 2 + P.m, longest = 2 + 2 * P.n;
  const beside = width > 620, x = 52, w = beside ? (width - 150) / 2 : width - x - 16;
  const h = beside ? 240 : 200, x2 = beside ? x + w + 74 : x, y2 = beside ? 30 : h + 112;
  size(svg, width, y2 + h + 46);

  const at = (a) => loss(P, a, gamma), wide = 1.1, top = wall ? at(wall) : 0;
  const low = Math.min(-0.15, 1.2 * (learned ? at(learned) : 0)), high = Math.max(0.15, 1.5 * top);
  const hill = plot(svg, [x, 30, w, h], [0, wide], [low, high], "all weights times *a*", "loss − that of zero");
  hill.path([[0, 0], [wide, 0]], "thin");
  hill.path(range(240, (i) => wide * i).map((a) => [a, at(a)]), "curve");
  const best = learned && at(learned) < 0;
  if (wall) hill.dot(wall, top, "top");
  if (wall || !learned) hill.dot(0, 0, best ? "" : "full");
  if (learned) hill.dot(learned, at(learned), best ? "full" : "");

  area(svg, hill.box, (px) => set({ gamma: rest(P, Math.max(hill.A(px), 1e-9)) }));

  const far = 1.6, paths = plot(svg, [x2, y2, w, h], [-far, far], [0, longest + 2], "*a*",
    "matrices on a path, *k*(*a*)", (v) => num(10 ** v, 2), num);
  for (const k of [shortest, longest]) paths.path([[-far, k], [far, k]], "thin");
  paths.path(range(120, (i) => far * (2 * i - 1)).map((v) => [v, depth(P, 10 ** v)]), "curve");
  paths.dot(0, depth(P, 1), "full");
  note(svg, paths.X(-far) + 8, paths.Y(shortest) - 8, `shortest, ${shortest}`, { "text-anchor": "start" });
  note(svg, paths.X(far) - 8, paths.Y(longest) - 8, `longest, ${longest}`, { "text-anchor": "end" });

  const zero = rest(P, 1e-9);
  return [`Paths of ${shortest} to ${longest} matrices, ${num(depth(P, 1), 3)} on average. The ray first pays at γ = `
    + `${num(first.gamma)}, at a = ${num(first.a, 3)}. At γ = ${num(gamma)} `
    + (wall ? `a wall ${num(top, 3)} high stands before a = ${num(learned)}.`
      : learned ? `the loss falls from zero to a = ${num(learned)}.` : "zero is the only minimum."),
  P.m ? "" : `All of them: two matrices are left on the shortest path, and below γ = ${num(zero, 3)} zero is no minimum.`];
}

function render(context) {
  const by = (step, label) => [label, (get, put) => put({ matrices: get("matrices") + step }),
    (get) => get("matrices") + step >= 0 && get("matrices") + step <= get("blocks")];
  return mount(context, {
    title: "The loss along the ray of a residual network.",
    question: "How many shortcuts must lose their matrix until zero is not a minimum at every decay?",
    sliders: [["gamma", "weight decay *γ*", { snap: (get) =>
      [[pays({ n: get("blocks"), m: get("matrices"), c: get("branch") }).gamma, "first pays"]] }],
    ["branch", "branch / shortcut"]],
    buttons: [by(-1, "One matrix less"), by(1, "One more")],
    draw,
  });
}
export default { render };
