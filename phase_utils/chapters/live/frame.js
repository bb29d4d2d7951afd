// The frame of a live figure: question, drawing, reading and controls, in a shadow root.
import { quantity, row } from "./controls.js";
import { link } from "./link.js";
import { add, clamp } from "./parts.js";
import { CSS, OUTER } from "./style.js";

// What a pointer does with the areas of a drawing, which itself meets it: its parts are replaced
// while the pointer moves. A finger that moves up or down scrolls the page; it takes hold of a
// point when it moves sideways, rests for a moment, or taps.
function pointers(svg) {
  let held = -1, taken = false, first, timer;
  const local = (event) => {
    const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  };
  const take = (event) => {
    taken = true;
    svg.areas[held]?.[4](...local(event));
  };
  const end = () => {
    clearTimeout(timer);
    held = -1;
    taken = false;
  };
  svg.onpointerdown = (event) => {
    const [x, y] = local(event);
    end();
    held = svg.areas.findIndex(([l, t, w, h]) => x >= l && x <= l + w && y >= t && y <= t + h);
    if (held < 0) return;
    svg.setPointerCapture(event.pointerId);
    first = event;
    if (event.pointerType !== "touch") take(event);
    else timer = setTimeout(() => take(first), 350);
  };
  svg.onpointermove = (event) => {
    if (held < 0) return;
    const dx = Math.abs(event.clientX - first.clientX), dy = Math.abs(event.clientY - first.clientY);
    if (taken || dx > Math.max(dy, 6)) take(event);
    else if (dy > 6) end();
    if (taken) clearTimeout(timer);
  };
  svg.onpointerup = (event) => {
    if (held < 0) return;
    if (!taken) take(event);
    svg.areas[held]?.[5]?.();
    end();
  };
  svg.onpointercancel = end;
  svg.oncontextmenu = (event) => { if (taken) event.preventDefault(); };
  svg.addEventListener("touchmove", (event) => {
    if (taken && event.cancelable) event.preventDefault();
  }, { passive: false });
}

// A live figure: its question; sliders [key, label, {snap, pick, more}]; buttons [label or label(get),
// action, whether it can]; and draw(svg, width, get, set), which returns the reading or [reading, answer].
// `snap(get)` gives marks [value, name] that are hit exactly, `pick` values to switch to, `more`
// puts the slider under "More". What draw sets is rounded to what is shown, what a button sets not.
export function mount({ model, el }, { title, question = "", sliders, buttons = [], draw }) {
  // JupyterLab's keys are for its cells, not for what has the focus in here
  const host = add(el, "div", { class: "live", "data-lm-suppress-shortcuts": "true" });
  host.attachShadow({ mode: "open" });
  add(host, "style").textContent = OUTER;
  add(host.shadowRoot, "style").textContent = CSS;
  const frame = add(host.shadowRoot, "div");
  const ask = question && add(frame, "p", { class: "ask" }, `${question} `);
  const answer = ask && add(ask, "b", { role: "status" });
  const svg = add(frame, "svg", { role: "img", class: "draw" });
  const reading = add(frame, "p", { "aria-live": "polite" });
  const hold = add(frame, "div", { class: "hold" }), below = add(frame, "div", { class: "below" });
  const around = el.closest(".output");
  if (around) around.style.overflow = "visible"; // else its end holds no controls on a phone's screen
  const get = (key) => model.get(key), limits = get("limits"), known = {}, start = {};
  for (const key in limits) start[key] = get(key);
  let drawn = host.clientWidth;
  const reach = () => 2 + 3000 / drawn;  // in thousandths of a slider
  const put = (values) => {
    for (const key in values) {
      model.set(key, limits[key] ? clamp(values[key], limits[key]) : values[key]);
    }
    model.save_changes();
  };
  const set = (values) => {
    for (const key in values) put({ [key]: known[key]?.near(values[key], reach()) ?? values[key] });
  };
  let more;
  const shown = sliders.map(([key, label, options = {}]) => {
    if (options.more && !more) {
      more = add(hold, "details");
      add(more, "summary", {}, "More");
    }
    known[key] = quantity(limits[key], get, options.snap);
    return row(options.more ? more : hold, get, put, reach, [key, label, options], known[key]);
  });
  const moved = () => Object.keys(start).some((key) => get(key) !== start[key]);
  const reset = ["Reset", () => put(start), moved];
  const pressed = [...buttons, reset].map(([label, act, can]) => {
    const button = add(below, "button", { type: "button" });
    button.onclick = () => act(get, put, svg);
    if (act === reset[1]) {
      button.setAttribute("aria-keyshortcuts", "Escape");
      button.title = "Key: Esc";
    }
    return () => {
      button.textContent = label.at ? label : label(get);
      button.disabled = can && !can(get);
    };
  });
  const update = () => {
    if (!drawn) return;
    shown.concat(pressed).forEach((f) => f());
    svg.replaceChildren();
    svg.boxes = [];
    svg.areas = [];
    const [text, found = ""] = [draw(svg, drawn, get, set)].flat()
      .map((s) => (s || "").replaceAll(" = ", "\u00a0=\u00a0"));
    if (reading.textContent !== text) reading.textContent = text;
    if (answer && answer.textContent !== found) answer.textContent = found;
    svg.setAttribute("aria-label", `${title} ${text}`);
  };
  const address = link(el, Object.keys(limits), get, put, start);
  frame.onchange = frame.onclick = frame.onkeyup = frame.onpointerup = address.write;
  frame.onkeydown = (event) => {
    if (event.key !== "Escape" || !moved()) return;
    event.stopPropagation();
    put(start);
  };
  pointers(svg);
  svg.face = getComputedStyle(host).fontFamily;
  update();
  const watch = new ResizeObserver(([{ contentRect: { width } }]) => {
    if (width === drawn) return;
    drawn = width;
    update();
  });
  watch.observe(host);
  model.on("change", update);
  return () => {
    watch.disconnect();
    address.stop();
    model.off("change", update);
  };
}
