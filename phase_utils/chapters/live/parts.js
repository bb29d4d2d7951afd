// Nodes and numbers of live figures.
export const NS = "http://www.w3.org/2000/svg";

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

export const clamp = (x, [lo, hi]) => Math.min(hi, Math.max(lo, x));

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export const range = (n, f) => Array.from({ length: n + 1 }, (_, i) => f(i / n));

// Options of a slider of the depth: whole numbers are hit exactly.
export const depths = { pick: [0, 1, 2, 3, 5], snap: () => [0, 1, 2, 3, 4, 5, 6].map((D) => [D]) };
