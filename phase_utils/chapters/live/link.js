// The state of a figure in the address of its page, as #fig-06-live?gamma=0.1&depth=2.
export function link(el, keys, get, put, start) {
  const id = el.closest("figure[id]")?.id ?? el.dataset.live;
  if (!el.dataset.live) return { write() {}, stop() {} };  // a widget's state is its kernel's
  const asked = () => {
    const [at, query] = location.hash.slice(1).split("?"), values = {};
    if (at !== id || !query) return null;
    for (const [key, v] of new URLSearchParams(query)) {
      if (keys.includes(key) && v && isFinite(v)) values[key] = +v;
    }
    return values;
  };
  const read = () => {
    const values = asked();
    if (values) put({ ...start, ...values });
    return values;
  };
  // a link leads to its figure; a page that is loaded again stays where it was
  if (read() && performance.getEntriesByType("navigation")[0]?.type === "navigate") {
    addEventListener("load", () => el.scrollIntoView({ block: "nearest" }), { once: true });
  }
  addEventListener("hashchange", read);
  return {
    write() {
      const moved = keys.filter((key) => get(key) !== start[key]).map((key) => [key, get(key)]);
      const hash = moved.length ? `#${id}?${new URLSearchParams(moved)}` : "";
      if (hash !== location.hash && (hash || asked())) {
        history.replaceState(history.state, "", hash || location.pathname + location.search);
      }
    },
    stop: () => removeEventListener("hashchange", read),
  };
}
