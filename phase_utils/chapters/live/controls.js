import { add, clamp, num } from "./parts.js";

// A quantity between two limits, on a logarithmic scale where these span decades. Its values have
// three digits, those that are shown, or are exactly one of the marks [value, name] of `snap(get)`.
export function quantity([least, most], get, snap = () => []) {
  const logs = least > 0 && most / least > 30, there = logs ? Math.log : Number;
  const unit = (x) => 10 ** (Math.floor(Math.log10(logs ? x : most)) - 2);
  const round = (x) => +(Math.round(x / unit(x)) * unit(x)).toPrecision(9);
  const lo = round(least) < least ? round(least + unit(least)) : round(least);
  const hi = round(most) > most ? round(most - unit(most)) : round(most);
  const place = (x) => 1000 * (there(x) - there(lo)) / (there(hi) - there(lo));
  const from = (s) => logs ? lo * (hi / lo) ** (s / 1000) : lo + (hi - lo) * s / 1000;
  const held = (x) => clamp(round(x), [lo, hi]);
  const marks = () => snap(get).filter(([v]) => v >= lo && v <= hi);
  const closest = (x, all) => all.reduce((m, [v]) =>
    (Math.abs(place(v) - place(x)) < Math.abs(place(m) - place(x)) ? v : m), Infinity);
  return {
    place, from, lo, hi, clamp: (x) => clamp(x, [lo, hi]),
    name: (x) => marks().find(([v]) => v === x)?.[1],
    shown: (x) => num(x, held(x) === x ? 3 : 5),
    // where a pointer puts it, a mark within reach first
    near(x, reach) {
      const value = clamp(x, [lo, hi]), mark = closest(value, marks());
      return Math.abs(place(mark) - place(value)) <= reach ? mark : held(value);
    },
    // where keys move it by n steps from x: not over a mark, and by one unit at least
    step(x, n) {
      const far = logs ? x * (hi / lo) ** (n / 400)
        : x + n * unit(x) * Math.ceil((hi - lo) / (400 * unit(x)) - 1e-9);
      const ahead = (v) => (v - x) * n > 0;
      const to = [far, x + Math.sign(n) * unit(x)].map(held).find(ahead) ?? x;
      return closest(x, [...marks().filter(([v]) => ahead(v) && !ahead(v + x - to)), [to]]);
    },
  };
}

const KEYS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };

// The row of one quantity: a slider, and before it a switch to the values of `pick`.
export function row(parent, get, put, reach, [key, label, { pick }], q) {
  const line = add(parent, "div", { class: "row" });
  const group = pick && add(line, "div", { class: "pick", role: "radiogroup" });
  const radios = (pick ?? []).filter((v) => v >= q.lo && v <= q.hi).map((v) => {
    const one = add(group, "label"), radio = add(one, "input", { type: "radio", name: `${key} of` });
    add(one, "span", {}, String(v));
    radio.onchange = () => put({ [key]: v });
    return [radio, v];
  });
  group?.setAttribute("aria-label", label.replaceAll("*", ""));
  const field = add(line, "label");
  add(field, "span", {}, label);
  const input = add(field, "input", { type: "range", min: 0, max: 1000, step: "any", name: key });
  const value = add(field, "output");
  input.oninput = () => put({ [key]: q.near(q.from(+input.value), reach()) });
  input.onkeydown = (event) => {
    const ends = { Home: q.lo, End: q.hi }, n = KEYS[event.key], x = get(key);
    if (event.ctrlKey || event.altKey || event.metaKey || !(n || event.key in ends)) return;
    event.preventDefault();
    event.stopPropagation();
    put({ [key]: n ? q.step(x, n) : ends[event.key] });
  };
  return () => {
    const x = get(key), name = q.name(x);
    input.value = q.place(x);
    value.textContent = q.shown(x);
    value.className = name ? "at" : "";
    input.setAttribute("aria-valuetext", q.shown(x) + (name ? `, ${name}` : ""));
    for (const [radio, v] of radios) radio.checked = x === v;
  };
}
