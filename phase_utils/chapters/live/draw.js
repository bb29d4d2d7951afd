// The frame of a live figure (drawing, reading, controls) and plots in SVG in the ink of the page.
const NS = "http://www.w3.org/2000/svg";

const CSS = `
.live { --learned: #0072b2; --top: #d55e00; --jump: #00805d; color: inherit; margin: 1rem 0; text-align: start;
 --paper: var(--pst-color-background, var(--jp-layout-color0, Canvas)); font-size: 0.9rem; }
:is(html[data-theme="dark"], [data-jp-theme-light="false"]) .live { --learned: #56b4e9;
 --top: #ff8f4d; --jump: #2fd0a0; }
.live > svg { display: block; width: 100%; height: auto; font-size: 13px; user-select: none;
 touch-action: pan-y; }
.live svg * { pointer-events: none; }
.live svg text { fill: currentColor; stroke: var(--paper); stroke-width: 3px;
 stroke-linejoin: round; paint-order: stroke; }
.live .i, .live i { font-family: "STIX Two Math", Cambria, serif;
 font-style: italic; font-size: 1.1em; }
.live path, .live line { fill: none; stroke: currentColor; stroke-width: 1; }
.live .grid { stroke-opacity: 0.13; }
.live .thin { stroke-dasharray: 5 4; stroke-opacity: 0.75; }
.live .curve { stroke-width: 2.4; stroke: var(--learned); }
.live .mark { stroke-width: 2; }
.live .trail { stroke-width: 5; stroke-opacity: 0.6; stroke-linecap: round; }
.live .unstable { stroke: var(--top); stroke-dasharray: 7 4; stroke-width: 2; }
.live .jump { stroke: var(--jump); }
.live .spinodal { stroke: var(--top); }
.live svg text.jump { fill: var(--jump); stroke: var(--paper); }
.live svg text.spinodal { fill: var(--top); stroke: var(--paper); }
.live svg text.bare { stroke: none; }
.live .tint, .live .tint2, .live .tint3 { fill: var(--learned); fill-opacity: 0.3; stroke: none; }
.live .tint2 { fill-opacity: 0.12; }
.live .tint3 { fill: currentColor; fill-opacity: 0.07; }
.live .lobe { fill: var(--top); fill-opacity: 0.3; stroke: none; }
.live circle { stroke-width: 2.2; fill: var(--paper); stroke: var(--learned); }
.live circle.full { fill: var(--learned); }
.live circle.top { stroke: var(--top); }
.live circle.handle { fill: currentColor; stroke: var(--paper); }
.live p { margin: 0.6rem 0; min-height: 3.1em; line-height: 1.5; }
.live label { display: grid; grid-template-columns: 7.6rem minmax(0, 1fr) 3.5rem; gap: 0.7rem;
 align-items: center; min-height: 2rem; margin: 0; }
.live input { accent-color: var(--learned); width: 100%; margin: 0; height: 1.6rem; }
.live output { text-align: right; font-variant-numeric: tabular-nums; }
.live button { font: inherit; color: inherit; background: none; border: 1px solid currentColor;
 border-radius: 0.3rem; padding: 0.25rem 0.8rem; margin: 0.5rem 0.6rem 0 0; cursor: pointer; }
.live button:disabled { opacity: 0.45; }
.live :is(button, input):focus-visible { outline: 3px solid var(--learned); outline-offset: 2px; }
@media (max-width: 600px) { .live p { min-height: 6.1em; } }
@media screen { .pu-live[data-ready] > .pu-live-static { display: none; } }
@media print { .pu-live[data-ready] > .live, .live :is(label, button) { display: none; } }`;

// A new node in `parent`; what stands between asterisks becomes italic.
export function add(parent, tag, attrs = {}, text = "") {
  const drawn = tag === "svg" || parent.namespaceURI === NS;
  const node = drawn ? document.createElementNS(NS, tag) : document.createElement(tag);
  for (const key in attrs) node.setAttribute(key, attrs[key]);
  text.split("*").forEach((part, i) => {
    if (i % 2) add(node, drawn ? "tspan" : "i", { class: "i" }, part);
    else node.append(part);
  });
  return parent.appendChild(node);
}

export const num = (x, digits = 4) => String(+x.toPrecision(digits)).replace("-", "−");
const clamp = (x, [lo, hi]) => Math.min(hi, Math.max(lo, x));

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// A live figure: sliders [key, label], buttons [label, action], and draw(svg, width, get, set),
// which returns the reading. A slider of a quantity whose limits span decades is logarithmic.
export function mount({ model, el }, { title, sliders, buttons = [], draw }) {
  const root = add(el, "div", { class: "live" });
  add(root, "style", {}, "").textContent = CSS;
  const svg = add(root, "svg", { role: "img" });
  const reading = add(root, "p", { "aria-live": "polite" });
  const get = (key) => model.get(key), limits = get("limits");
  const set = (values) => {
    for (const key in values) model.set(key, clamp(values[key], limits[key]));
    model.save_changes();
  };
  const shown = sliders.map(([key, label]) => {
    const [lo, hi] = limits[key], line = add(root, "label");
    const decades = lo > 0 && hi / lo > 30;
    const there = decades ? Math.log : Number, back = decades ? Math.exp : Number;
    add(line, "span", {}, label);
    const input = add(line, "input", { type: "range", min: 0, max: 1000, name: key });
    const value = add(line, "output");
    input.oninput = () =>
      set({ [key]: back(there(lo) + (there(hi) - there(lo)) * input.value / 1000) });
    return () => {
      input.value = 1000 * (there(get(key)) - there(lo)) / (there(hi) - there(lo));
      value.textContent = num(get(key), 3);
      input.setAttribute("aria-valuetext", num(get(key), 3));
    };
  });
  const pressed = buttons.map(([label, act, can]) => {
    const button = add(root, "button", { type: "button" }, label);
    button.onclick = () => act(get, set, svg);
    return () => { button.disabled = !can(get); };
  });
  let drawn = 0;
  const update = () => {
    drawn = root.clientWidth;
    if (!drawn) return;
    shown.concat(pressed).forEach((f) => f());
    svg.replaceChildren();
    svg.boxes = [];
    svg.areas = [];
    const text = draw(svg, drawn, get, set).replaceAll(" = ", "\u00a0=\u00a0");
    if (reading.textContent !== text) reading.textContent = text;
    svg.setAttribute("aria-label", `${title} ${text}`);
  };

  // The drawing itself is what a pointer meets: its parts are replaced while the pointer moves.
  let held = -1;
  const local = (event) => {
    const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  };
  const under = (event) => {
    const [x, y] = local(event);
    return svg.areas.findIndex(([l, t, w, h]) => x >= l && x <= l + w && y >= t && y <= t + h);
  };
  svg.onpointerdown = (event) => {
    held = under(event);
    if (held < 0) return;
    svg.setPointerCapture(event.pointerId);
    svg.onpointermove(event);
  };
  svg.addEventListener("touchstart", (event) => {
    if (svg.areas[under(event.touches[0])]?.[6]) event.preventDefault();
  }, { passive: false });
  svg.onpointermove = (event) => {
    if (held >= 0) svg.areas[held][4](...local(event));
  };
  svg.onpointerup = () => {
    if (held >= 0) svg.areas[held][5]?.();
    held = -1;
  };
  svg.onpointercancel = () => { held = -1; };
  update();
  const watch = new ResizeObserver(() => root.clientWidth !== drawn && update());
  watch.observe(root);
  model.on("change", update);
  return () => {
    watch.disconnect();
    model.off("change", update);
  };
}

export const size = (svg, w, h) => svg.setAttribute("viewBox", `0 0 ${w} ${h}`);

// What a pointer held in the box does: move(x, y), drop(); on a plane a finger does not scroll.
export function area(svg, box, move, drop, plane) {
  const [x, y, width, height] = box;
  add(svg, "rect", { x, y, width, height, class: "hit", fill: "none" });
  svg.areas.push([...box, move, drop, plane]);
}

// A text that is left out where it would lie on an earlier one or on a point, and moved in at the edges.
export function note(svg, x, y, text, attrs = {}) {
  const node = add(svg, "text", { x, y, "text-anchor": "middle", ...attrs }, text);
  const b = node.getBBox(), wide = svg.viewBox.baseVal.width;
  const dx = Math.max(0, 2 - b.x) - Math.max(0, b.x + b.width + 2 - wide);
  node.setAttribute("x", x + dx);
  const mine = [b.x + dx, b.y, b.x + dx + b.width, b.y + b.height];
  if (svg.boxes.some((o) => mine[0] < o[2] && o[0] < mine[2] && mine[1] < o[3] && o[1] < mine[3])) {
    node.remove();
  } else svg.boxes.push(mine);
}

function ticks(lo, hi, count) {
  const raw = (hi - lo) / count, unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * [1, 2, 5, 10].find((k) => k * unit >= raw * 0.999), found = [];
  for (let k = Math.ceil(lo / step - 1e-9); k * step <= hi + 1e-9 * step; k++) found.push(k * step);
  return found;
}

// Axes in the box [x, y, w, h] of the drawing; X, Y to the drawing, A, B back; `told` labels ticks.
export function plot(svg, [x, y, w, h], [x0, x1], [y0, y1], xlabel, ylabel, told = num) {
  const X = (v) => x + w * (v - x0) / (x1 - x0), Y = (v) => y + h * (y1 - v) / (y1 - y0 || 1);
  for (const v of ticks(x0, x1, w / 75)) {
    add(svg, "line", { x1: X(v), x2: X(v), y1: y, y2: y + h, class: "grid" });
    add(svg, "text", { x: X(v), y: y + h + 17, "text-anchor": "middle" }, told(v));
  }
  for (const v of y1 ? ticks(y0, y1, h / 55) : []) {
    add(svg, "line", { x1: x, x2: x + w, y1: Y(v), y2: Y(v), class: "grid" });
    add(svg, "text", { x: x - 10, y: Y(v) + 4, "text-anchor": "end" }, told(v));
  }
  add(svg, "path", { d: `M${x},${y}v${h}h${w}` });
  add(svg, "text", { x: x + w / 2, y: y + h + 37, "text-anchor": "middle" }, xlabel);
  add(svg, "text", { x: Math.max(2, x - 44), y: y - 12 }, ylabel);
  const inner = add(svg, "svg", { x, y, width: w, height: h, viewBox: `${x} ${y} ${w} ${h}` });
  const path = (points, kind, end = "") => {
    const d = points.map(([a, b]) => X(a).toFixed(2) + " " + Y(b).toFixed(2)).join("L");
    return add(inner, "path", { class: kind, d: "M" + d + end });
  };
  const move = (node, a, b) => {
    node.setAttribute("cx", X(a));
    node.setAttribute("cy", Y(b));
  };
  const dot = (a, b, kind = "", r = 6) => {
    svg.boxes.push([X(a) - r, Y(b) - r, X(a) + r, Y(b) + r]);
    return add(svg, "circle", { cx: X(a), cy: Y(b), r, class: kind });
  };
  return { X, Y, A: (px) => x0 + (px - x) * (x1 - x0) / w, B: (py) => y1 - (py - y) * (y1 - y0) / h,
    path, dot, move, box: [x, y, w, h] };
}

export const range = (n, f) => Array.from({ length: n + 1 }, (_, i) => f(i / n));
