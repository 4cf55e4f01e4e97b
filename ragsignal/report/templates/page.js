"use strict";
// What every other script of the page stands on: data beside the page, colours of the style sheet, highlighting.

const ragsignal = (() => {
  const asked = {}, received = {}, drawn = {}, colors = {}, listeners = [];
  const OPTIONS = {responsive: true, displayModeBar: false};
  const probe = document.createElement("span");
  let lit = null, waiting;  // the variant that is marked, and the one that the next frame will mark

  // float32, little-endian, base64
  const decode = text => new Float32Array(Uint8Array.from(atob(text), sign => sign.charCodeAt(0)).buffer);

  // Called by assets/NAME.js.
  function receive(name, data) { received[name] = data; }

  // A promise of the data in assets/NAME.js: a page opened as a file may load scripts, but fetch nothing.
  function load(name) {
    asked[name] ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `assets/${name}.js`;
      script.onload = () => resolve(received[name]);
      script.onerror = () => reject(new Error(`assets/${name}.js was not found: keep the folder assets beside this page.`));
      document.head.append(script);
    });
    return asked[name];
  }

  // "var(--ink)" as the colour that it is now; probed, since a custom property is not computed.
  function color(name) {
    if (!(name in colors)) {
      probe.style.color = name;
      colors[name] = getComputedStyle(probe).color;
    }
    return colors[name];
  }

  // A trace or a layout with its colours put in; numbers and dates are left as they are.
  function themed(value) {
    if (typeof value === "string") return value.startsWith("var(") ? color(value) : value;
    if (Array.isArray(value)) return typeof value.at(-1) === "number" ? value : value.map(themed);
    if (!value || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, themed(part)]));
  }

  function say(id, words) {
    const place = document.getElementById(id);
    place.textContent = words;
    place.classList.add("missing");
  }

  // Draw, or draw again, the chart in the element `id`; it follows the theme from then on.
  function draw(id, data, layout) {
    if (typeof Plotly === "undefined") return say(id, "assets/plotly.min.js was not found: keep the folder assets beside this page.");
    drawn[id] = [data, layout];
    return Plotly.react(id, themed(data), themed(layout), OPTIONS);
  }

  // Call `then` once, when the element comes near the window.
  function whenSeen(element, then) {
    const watch = new IntersectionObserver(entries => {
      if (!entries.some(entry => entry.isIntersecting)) return;
      watch.disconnect();
      then();
    }, {rootMargin: "400px"});
    watch.observe(element);
  }

  // Mark the rows, points and curves of a variant; null: of none. Once a frame: a pointer crosses many rows.
  function highlight(name) {
    if (waiting === undefined) requestAnimationFrame(() => { mark(waiting); waiting = undefined; });
    waiting = name;
  }

  function mark(name) {
    if (name === lit) return;
    lit = name;
    for (const element of document.querySelectorAll("[data-variant]")) {
      element.classList.toggle("lit", element.dataset.variant === name);
    }
    for (const listener of listeners) listener(name);
  }
  const onHighlight = listener => listeners.push(listener);

  function watchPointer() {
    const of = event => event.target.closest?.("[data-variant]")?.dataset.variant ?? null;
    for (const kind of ["pointerover", "focusin"]) {
      document.addEventListener(kind, event => { if (!event.target.closest?.(".js-plotly-plot")) highlight(of(event)); });
    }
  }

  function watchTheme() {
    const button = document.getElementById("theme"), root = document.documentElement;
    const system = matchMedia("(prefers-color-scheme: dark)");
    let chosen = null;
    try { chosen = localStorage.getItem("ragsignal-theme"); } catch { /* a file may have no storage */ }
    const apply = () => {
      const dark = chosen ? chosen === "dark" : system.matches;
      if (chosen) root.dataset.theme = chosen;
      button.textContent = dark ? "Light" : "Dark";
      button.setAttribute("aria-label", dark ? "Switch to light colours" : "Switch to dark colours");
      for (const name of Object.keys(colors)) delete colors[name];
      for (const [id, [data, layout]] of Object.entries(drawn)) draw(id, data, layout);
    };
    button.hidden = false;
    button.addEventListener("click", () => {
      chosen = (chosen ? chosen === "dark" : system.matches) ? "light" : "dark";
      try { localStorage.setItem("ragsignal-theme", chosen); } catch { /* then it is not remembered */ }
      apply();
    });
    system.addEventListener("change", apply);
    apply();
  }

  // The contents, from the headings of the sections; the one that is read is marked.
  function listContents() {
    const list = document.getElementById("contents"), fold = list.closest("details");
    list.closest("nav").hidden = false;
    const sections = [...document.querySelectorAll("main section[id]")].filter(section => section.querySelector("h2"));
    const links = new Map(sections.map(section => {
      const link = document.createElement("a"), item = document.createElement("li");
      link.href = `#${section.id}`;
      link.textContent = section.querySelector("h2").textContent;
      item.append(link);
      list.append(item);
      return [section, link];
    }));
    const narrow = matchMedia("(max-width: 1099px)");
    const follow = () => { fold.open = !narrow.matches; };
    narrow.addEventListener("change", follow);
    follow();
    list.addEventListener("click", () => { if (narrow.matches) fold.open = false; });
    const followScroll = () => {
      const current = sections.findLast(section => section.getBoundingClientRect().top < 140);
      for (const [section, link] of links) link.toggleAttribute("aria-current", section === current);
    };
    document.addEventListener("scroll", followScroll, {passive: true});
    followScroll();
  }

  probe.hidden = true;
  document.body.append(probe);
  watchTheme();
  watchPointer();
  listContents();
  return {decode, draw, highlight, load, onHighlight, receive, whenSeen};
})();
