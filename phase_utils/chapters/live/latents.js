import { add, area, mount, note, num, plot, range, size } from "./draw.js";

// A linear autoencoder at the level tau = beta eta^2: of each eigenvalue what stands above it is kept.
export const solved = (a, rest, variance, beta) => {
  const tau = beta * variance, kept = a.map((x) => Math.max(0, x - tau));
  const rate = a.reduce((sum, x) => sum + Math.log(Math.max(1, x / tau)) / 2, 0);
  const left = a.reduce((sum, x) => sum + Math.min(x, tau), rest) / (2 * variance);
  return { tau, kept, rate, loss: left + beta * rate, live: kept.filter((q) => q > 0).length };
};

// The images drawn from the means of their codes: of each component the part kept / a is left.
export const rebuilt = ({ mean, axes, codes }, part) => codes.map((code) =>
  mean.map((x, j) => code.reduce((sum, c, i) => sum + part[i] * c * axes[i][j], x)));

// Bytes of a hexadecimal text, between -1 and 1, in rows of 64.
export const rows = (text) => range(text.length / 128 - 1, (i) => i).map((_, k) =>
  range(63, (i) => 128 * k + Math.round(126 * i))
    .map((n) => parseInt(text.slice(n, n + 2), 16) / 127.5 - 1));

// Images of 8 by 8 pixels beside each other, one path for each shade.
function pictures(svg, images, x, y, pixel) {
  const shades = {};
  images.forEach((image, k) => image.forEach((v, j) => {
    const shade = Math.round(16 * Math.min(1, Math.max(0, v)));
    const left = x + (9.5 * k + j % 8) * pixel, top = y + Math.floor(j / 8) * pixel;
    shades[shade] = `${shades[shade] ?? ""}M${left} ${top}h${pixel}v${pixel}h${-pixel}z`;
  }));
  for (const shade in shades) {
    const { style } = add(svg, "path", { d: shades[shade] });
    style.fill = "currentColor";
    style.fillOpacity = 0.04 + 0.06 * shade;
    style.stroke = "none";
  }
}

function draw(svg, width, get, set) {
  const a = get("a"), variance = get("variance"), beta = get("price"), top = a[0] / variance;
  const now = solved(a, get("rest"), variance, beta), { tau, kept, live } = now, n = a.length;
  const beside = width > 620, x = 52, w = beside ? (width - 138) / 2 : width - x - 12, h = 200;
  const x2 = beside ? x + w + 74 : x, y2 = beside ? 30 : h + 112;
  const pixel = Math.min(8, (width - 24) / 56), y3 = y2 + h + 76, far = 1.15;
  size(svg, width, y3 + 18 * pixel + 8);

  const bars = plot(svg, [x, 30, w, h], [0.4, n + 0.6], [0, far * a[0]], "latent *i*", "variance *a*ᵢ");
  a.forEach((v, i) => {
    const box = (lo, hi, kind) => bars.path([[i + 0.65, lo], [i + 1.35, lo], [i + 1.35, hi], [i + 0.65, hi]], kind, "Z");
    box(0, Math.min(v, tau), "tint3");
    if (kept[i]) box(tau, v, "tint");
  });
  bars.path([[0, tau], [n + 1, tau]], "jump mark");
  note(svg, bars.X(n), bars.Y(Math.min(tau, a[0])) - 7, "level *βη*²", { "text-anchor": "end", class: "jump" });
  area(svg, bars.box, (px, py) => set({ price: bars.B(py) / variance }));

  const roots = plot(svg, [x2, y2, w, h], [0, far * top], [0, 1.1 * Math.sqrt(a[0])], "price *β*",
    "size |*U*ᵢ| of the decoder");
  for (const v of a) {
    roots.path(range(50, (s) => v * (1 - s * s)).map((t) => [t / variance, Math.sqrt(v - t)]), "curve");
  }
  roots.path([[beta, 0], [beta, 2]], "jump mark");
  kept.forEach((q) => q && roots.dot(beta, Math.sqrt(q), "full", 3));
  area(svg, roots.box, (px) => set({ price: roots.A(px) }));

  const [mean, ...all] = rows(get("pixels")), axes = all.slice(0, n), seen = all.slice(n);
  const left = (width - 55.5 * pixel) / 2, part = kept.map((q, i) => q / a[i]);
  note(svg, left, y3 - 8, "data, and what is drawn from their codes", { "text-anchor": "start" });
  pictures(svg, seen, left, y3, pixel);
  pictures(svg, rebuilt({ mean, axes, codes: get("codes") }, part), left, y3 + 9.5 * pixel, pixel);

  const next = a[live - 1];
  return [`β = ${num(beta)}, level ${num(tau)}: ${live} of ${n} latents live, at the rate ${num(now.rate)}. `
    + (live ? `The next goes at β = ${num(next / variance)}; its |U| is ${num(Math.sqrt(next - tau))} now.`
      : "Nothing is encoded, and all images are one: the average."),
  live === 1 ? "One is left. Each of the others shrank as the root of its distance to the end: no jump." : ""];
}

function render(context) {
  return mount(context, {
    title: "Latents of a linear autoencoder under a price on information.",
    question: "Raise the price until one latent lives. Do the others go gently, or with a jump?",
    sliders: [["price", "price *β*", { snap: (get) => [[get("a")[0] / get("variance"), "last one gone"]] }]],
    draw,
  });
}
export default { render };
