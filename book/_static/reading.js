// Aids to reading, without the network. A link to a term, a theorem, an equation, a work or a claim
// shows what it leads to, under the pointer and with the keyboard; Escape closes it. What is wider than
// the page can be scrolled with the keyboard; a figure that a narrow page has made smaller opens at its
// own size. A section says how it is cited. Paper is white in the dark theme too. And where the page
// was opened as a file, what it may not fetch is taken from a script beside it.
(() => {
  const root = new URL(document.documentElement.dataset.content_root ?? "./", location.href).href;
  const bubble = document.createElement("div");
  bubble.id = "preview";
  bubble.role = "tooltip";
  bubble.hidden = true;
  let shown = null; // the link whose target is shown
  let timer = 0;

  const run = (path) =>
    new Promise((resolve) => {
      const script = document.createElement("script");
      script.src = `${root}_static/${path}`;
      script.onload = script.onerror = resolve;
      document.head.append(script);
    });

  // what _static/KIND/NAME.js holds: it says so in a variable of its kind, under its name
  async function load(kind, name) {
    if (!window[kind]?.[name]) await run(`${kind}/${name}.js`);
    return window[kind]?.[name];
  }

  // a page without formulas has no MathJax; a preview may hold some
  async function typeset() {
    if (!bubble.querySelector(".math")) return;
    if (!window.MathJax) {
      window.MathJax = { options: { enableMenu: false }, startup: { typeset: false } };
      await run("mathjax/tex-chtml.js");
    }
    await window.MathJax.startup?.promise;
    await window.MathJax.typesetPromise?.([bubble]);
  }

  function place(link) {
    const box = link.getClientRects()[0];
    const width = document.documentElement.clientWidth;
    const left = Math.max(8, Math.min(box.left, width - bubble.offsetWidth - 8));
    const below = box.bottom + bubble.offsetHeight + 12 < innerHeight || box.top < innerHeight / 2;
    const top = below ? box.bottom + 4 : box.top - bubble.offsetHeight - 4;
    bubble.style.left = `${left + scrollX}px`;
    bubble.style.top = `${top + scrollY}px`;
  }

  async function show(link) {
    if (link === shown) return;
    hide();
    shown = link;
    const [page, anchor] = link.href.slice(root.length).split(".html#");
    const html = (await load("previews", page))?.[decodeURIComponent(anchor)];
    if (!html || shown !== link) return;
    bubble.innerHTML = html;
    document.body.append(bubble);
    bubble.hidden = false;
    await typeset();
    if (shown !== link) return;
    place(link);
    link.setAttribute("aria-describedby", bubble.id);
  }

  function hide() {
    clearTimeout(timer);
    shown?.removeAttribute("aria-describedby");
    shown = null;
    bubble.hidden = true;
  }

  const later = (action, wait) => {
    clearTimeout(timer);
    timer = setTimeout(action, wait);
  };
  const linkOf = (event) => {
    const link = event.target.closest?.(".bd-article a.internal[href*='#']");
    return link?.href.startsWith(root) && link.href.includes(".html#") ? link : null;
  };

  document.addEventListener("pointerover", (event) => {
    const link = event.pointerType === "touch" ? null : linkOf(event);
    if (link) later(() => show(link), 200);
    else if (bubble.contains(event.target)) clearTimeout(timer);
    else later(() => shown?.matches(":focus-visible") || hide(), 200);
  });
  document.addEventListener("focusin", (event) => {
    const link = linkOf(event);
    if (link?.matches(":focus-visible")) show(link);
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });

  function reach() {
    const boxes =
      ".bd-article :is(mjx-container, div.math, pre, .output, .pst-scrollable-table-container)";
    // letters lean over their boxes by a pixel or two
    const wide = (e) => e.scrollWidth > e.clientWidth + 4 && getComputedStyle(e).overflowX === "auto";
    const found = [...document.querySelectorAll(boxes)].map((e) => [e, wide(e)]);
    for (const [e, isWide] of found) {
      if (isWide) e.tabIndex = 0;
      else e.removeAttribute("tabindex");
    }
  }

  // a picture that is not there yet says how wide it will be
  const wide = (image) => Number(image.getAttribute("width")) || image.naturalWidth;
  const shrunk = (image) => image.clientWidth < 0.9 * wide(image);

  function enlarge(image) {
    const dialog = document.createElement("dialog");
    const close = document.createElement("button");
    const pane = document.createElement("div");
    const large = image.cloneNode();
    dialog.className = "enlarged";
    dialog.ariaLabel = image.alt;
    close.textContent = "Close";
    close.addEventListener("click", () => dialog.close());
    large.style.width = `${wide(image)}px`;
    large.loading = "eager";
    pane.tabIndex = 0; // scrolls, by the keyboard too
    pane.append(large);
    dialog.append(close, pane);
    dialog.addEventListener("close", () => dialog.remove()); // the focus goes back by itself
    image.closest(".bd-article").append(dialog);
    dialog.showModal();
  }

  // with every figure a button that enlarges it, shown where that helps; a tap on the figure does it, too
  function enlargeable() {
    for (const figure of document.querySelectorAll(".bd-article figure:has(> img)")) {
      const image = figure.querySelector("img");
      let button = figure.querySelector("button.enlarge");
      if (!button) {
        const number = figure.querySelector(".caption-number")?.textContent.trim() ?? "the figure";
        button = document.createElement("button");
        button.className = "enlarge";
        button.textContent = "Enlarge";
        button.ariaLabel = `Enlarge ${number}`;
        button.addEventListener("click", () => enlarge(image));
        image.addEventListener("click", () => shrunk(image) && enlarge(image));
        image.after(button);
      }
      button.hidden = !shrunk(image);
    }
  }

  // formulas are typeset a few at a time, what is seen first: in between the page answers
  async function typesetAll(formulas) {
    const seen = (e) => e.getBoundingClientRect().bottom > 0 && e.getBoundingClientRect().top < innerHeight;
    const first = new Set(formulas.filter(seen));
    const all = [...first, ...formulas.filter((e) => !first.has(e))];
    for (let k = 0; k < all.length; k += 16) {
      const some = all.slice(k, k + 16);
      await window.MathJax.typesetPromise(some);
      some.forEach((e) => e.classList.add("set"));
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
  addEventListener("DOMContentLoaded", () => {
    const formulas = [...document.querySelectorAll(".math")], startup = window.MathJax?.startup;
    if (startup?.promise) startup.promise = startup.promise.then(() => typesetAll(formulas));
    else formulas.forEach((e) => e.classList.add("set")); // to be read as they are written
  });

  addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    const article = document.querySelector(".bd-article");
    const look = () => {
      reach();
      enlargeable();
    };
    if (article) new ResizeObserver(look).observe(article); // the sidebars move, too
  });

  // how to cite a section: a sentence and BibTeX, with the address that it has, or its place in the book
  async function cite(anchor) {
    const [page] = location.href.slice(root.length).split(".html");
    const address = location.protocol === "file:" ? `${page}.html` : `${root}${page}.html`;
    const told = (await load("citations", page))?.[anchor];
    if (!told) return; // its script is gone: there is nothing to say
    const dialog = document.createElement("dialog");
    dialog.className = "citation-of";
    dialog.ariaLabel = "How to cite this section";
    for (const [k, name] of ["Citation", "BibTeX"].entries()) {
      const label = document.createElement("label"), text = document.createElement("textarea");
      const copy = document.createElement("button");
      text.readOnly = true;
      text.value = told[k].replace("ADDRESS", `${address}#${anchor}`);
      text.rows = k ? 10 : 4;
      copy.textContent = `Copy ${k ? name : "citation"}`;
      copy.addEventListener("click", async () => {
        text.select();
        await navigator.clipboard?.writeText(text.value);
        copy.textContent = "Copied";
      });
      label.append(name, text);
      dialog.append(label, copy);
    }
    const close = document.createElement("button");
    close.textContent = "Close";
    close.addEventListener("click", () => dialog.close());
    dialog.append(close);
    dialog.addEventListener("close", () => dialog.remove());
    document.querySelector(".bd-article").append(dialog);
    dialog.showModal();
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button.cite");
    if (button) cite(button.dataset.cite);
  });

  const beside = (address) => {
    const path = new URL(address, location.href).href.split(/[?#]/)[0];
    return load("beside", path.slice(root.length));
  };
  async function save(link) {
    const text = await beside(link.href);
    const saved = document.createElement("a");
    saved.href = text ? URL.createObjectURL(new Blob([text])) : link.href;
    saved.download = link.href.split("/").pop();
    saved.click();
  }
  if (location.protocol === "file:") {
    window.fetch = async (address) => new Response(await beside(address));
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.("a[href*='/_sources/']");
      if (!link) return;
      event.preventDefault();
      save(link);
    });
  }
  addEventListener("load", () => {
    for (const link of document.querySelectorAll("a[href*='/_sources/']")) link.download = "";
  });

  const look = document.documentElement.dataset;
  let theme;
  addEventListener("beforeprint", () => {
    theme = look.theme;
    look.theme = "light";
  });
  addEventListener("afterprint", () => {
    look.theme = theme;
  });
})();
