// Plots of live figures in SVG, in the ink of the page.
import { add, num } from "./parts.js";
export { mount } from "./frame.js";
export { add, calm, depths, num, range } from "./parts.js";

export const size = (svg, w, h) => svg.setAttribute("viewBox", `0 0 ${w} ${h}`);

// What a pointer held in the box does: move(x, y), drop().
export function area(svg, box, move, drop) {
  const [x, y, width, height] = box;
  add(svg, "rect", { x, y, width, height, class: "hit", fill: "none" });
  svg.areas.push([...box, move, drop]);
}

// The width of a text in pixels, measured once and without a layout of the page.
const pen = document.createElement("canvas").getContext("2d"), widths = {};
function long(text, face = "sans-serif") {
  return widths[text + face] ??= text.split("*").reduce((sum, part, i) => {
    pen.font = i % 2 ? "italic 14.3px 'STIX Two Math', Cambria, serif" : `13px ${face}`;
    return sum + pen.measureText(part).width;
  }, 0);
}

// A text that is left out where it would lie on an earlier one or on a point, and moved in at the edges.
export function note(svg, x, y, text, attrs = {}) {
  const wide = long(text, svg.face), side = attrs["text-anchor"];
  const from = x - wide * (side === "start" ? 0 : side === "end" ? 1 : 0.5);
  const left = Math.max(2, Math.min(from, svg.viewBox.baseVal.width - 2 - wide));
  const mine = [left, y - 13, left + wide, y + 4];
  if (svg.boxes.some((o) => mine[0] < o[2] && o[0] < mine[2] && mine[1] < o[3] && o[1] < mine[3])) return;
  svg.boxes.push(mine);
  add(svg, "text", { "text-anchor": "middle", ...attrs, x: x + left - from, y }, text);
}

function ticks(lo, hi, count) {
  const raw = (hi - lo) / count, unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * [1, 2, 5, 10].find((k) => k * unit >= raw * 0.999), found = [];
  for (let k = Math.ceil(lo / step - 1e-9); k * step <= hi + 1e-9 * step; k++) found.push(k * step);
  return found;
}

// Axes in the box [x, y, w, h] of the drawing; X, Y to the drawing, A, B back; `told` and `up` label ticks.
export function plot(svg, [x, y, w, h], [x0, x1], [y0, y1], xlabel, ylabel, told = num, up = told) {
  const X = (v) => x + w * (v - x0) / (x1 - x0), Y = (v) => y + h * (y1 - v) / (y1 - y0 || 1);
  for (const v of ticks(x0, x1, w / 75)) {
    add(svg, "line", { x1: X(v), x2: X(v), y1: y, y2: y + h, class: "grid" });
    add(svg, "text", { x: X(v), y: y + h + 17, "text-anchor": "middle" }, told(v));
  }
  for (const v of y1 ? ticks(y0, y1, h / 55) : []) {
    add(svg, "line", { x1: x, x2: x + w, y1: Y(v), y2: Y(v), class: "grid" });
    add(svg, "text", { x: x - 10, y: Y(v) + 4, "text-anchor": "end" }, up(v));
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
