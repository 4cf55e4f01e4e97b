// The page's charts; each is drawn when it comes near the window.

(() => {
  const {decode, draw, highlight, load, onHighlight, whenSeen} = ragsignal;
  const element = id => document.getElementById(id);
  const shown = (value, digits) => value.toFixed(digits).replace("-", "−");

  function drawCurves() {
    const {dates, traces, layout} = PANELS.curves, half = traces.length / 2;
    const data = traces.map(trace => ({...trace, x: dates, y: decode(trace.y)}));
    const chips = [...document.querySelectorAll("#chips button")];
    const tell = bar => chips.forEach((chip, index) => {
      chip.querySelector("output").textContent = shown(data[index].y[bar], 1);
    });
    tell(dates.length - 1);
    if (!draw("curves", data, layout)) return;
    for (const chip of chips) {
      chip.addEventListener("click", () => {
        const visible = chip.getAttribute("aria-pressed") !== "true", index = Number(chip.dataset.index);
        chip.setAttribute("aria-pressed", visible);
        for (const trace of [data[index], data[index + half]]) trace.visible = visible;
        draw("curves", data, layout);
      });
    }
    element("curves").on("plotly_hover", ({points}) => { tell(points[0].pointIndex); highlight(points[0].data.name); });
    element("curves").on("plotly_unhover", () => { tell(dates.length - 1); highlight(null); });
    onHighlight(name => Plotly.restyle("curves", {opacity: data.map(trace => !name || trace.name === name ? 1 : .15)}));
  }

  function drawCalibration(variant) {
    const {calibration, layouts} = PANELS.findings;
    draw("reliability", calibration[variant].reliability, layouts.reliability);
    draw("band", calibration[variant].band, layouts.band);
  }

  async function fillSymbols(variant) {
    const rows = (await load("symbols"))[variant];
    element("symbol-table").tBodies[0].replaceChildren(...rows.map(([symbol, ...cells]) => {
      const row = document.createElement("tr"), name = document.createElement("th");
      name.scope = "row";
      name.className = "name";
      name.textContent = symbol;
      row.append(name);
      for (const cell of cells) row.insertCell().textContent = cell;
      return row;
    }));
  }

  // Call `then` with the values of all selects when the first is near the window, and at each change.
  function choose(ids, then) {
    const selects = ids.map(element);
    if (selects.includes(null)) return;
    const go = () => Promise.resolve(then(...selects.map(select => select.value))).catch(error => failed(selects[0], error));
    whenSeen(selects[0], go);
    for (const select of selects) select.addEventListener("change", go);
  }

  function failed(select, error) {
    const place = select.closest("section").querySelector(".chart, .scroll");
    place.textContent = error.message;
    place.classList.add("missing");
  }

  drawCurves();
  choose(["calibrated"], drawCalibration);
  choose(["by-symbol"], fillSymbols);
  if (element("shifted")) whenSeen(element("shifted"), () => draw("shifted", PANELS.findings.shifted.traces, PANELS.findings.shifted.layout));
})();
