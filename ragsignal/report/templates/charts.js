// The page's charts; each is drawn when it comes near the window.

(() => {
  const {decode, draw, highlight, load, onHighlight, whenSeen} = ragsignal;
  const RISE = "var(--rise)", FALL = "var(--fall)", GREY = "var(--grey)", INK = "var(--ink)";
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

  function signalOf(panel, variant, symbol) {
    const {dates, limits, layout} = PANELS.signals;
    const {values, abstained} = panel.variants[variant], limit = limits[variant], bars = decode(values);
    const price = {name: symbol, type: "scatter", mode: "lines", x: dates, y: decode(panel.close),
      line: {color: INK, width: 1.5}, hovertemplate: "%{y:.2f}"};
    const signal = {name: "P(rise) − P(fall)", type: "bar", yaxis: "y2", x: dates, y: bars,
      marker: {color: Array.from(bars, value => value < 0 ? FALL : RISE), line: {width: 0}}, hovertemplate: "%{y:+.3f}"};
    const dots = {name: "abstained", type: "scatter", mode: "markers", yaxis: "y2", hoverinfo: "skip",
      x: abstained.map(bar => dates[bar]), y: abstained.map(() => 0), marker: {color: GREY, size: 3}};
    draw("signal", [price, signal, dots], {...layout, yaxis2: {...layout.yaxis2, range: [-limit, limit]}});
  }

  async function drawSignal(symbol, variant) {
    const panel = await load(PANELS.signals.files[symbol]);
    const {abstained, bars, reasons} = panel.variants[variant];
    signalOf(panel, variant, symbol);
    element("caption").textContent = `${variant} on ${symbol}: ${bars} bars, `
      + (abstained.length ? `abstained on ${abstained.length} (${reasons.join("; ")}), grey dots.` : "no abstention.");
  }

  function drawCalibration(variant) {
    const {calibration, layouts} = PANELS.findings;
    draw("reliability", calibration[variant].reliability, layouts.reliability);
    draw("band", calibration[variant].band, layouts.band);
  }

  // Retrieved days on the line of the market: a trace of like and one of unlike days.
  function dotsOf(market, day) {
    const rows = Array.from(decode(day.rows)), scores = decode(day.scores);
    return (name, wanted, marker, similarity) => {
      const places = rows.map((_, place) => place).filter(place => wanted(scores[place])).reverse();
      const alike = places.map(place => similarity(scores[place]));
      return {name, type: "scatter", mode: "markers", x: places.map(place => market.dates[rows[place]]), text: alike.map(it => it.toFixed(2)),
        y: places.map(place => market.level[rows[place]]), marker: {size: 6, ...marker(alike)}, hovertemplate: `%{x}: ${name}, similarity %{text}<extra></extra>`};
    };
  }

  function timelineOf(market, day, asOf) {
    const dots = dotsOf(market, day);
    const bar = {orientation: "h", thickness: 8, len: .5, x: 0, xanchor: "left", y: 1, yanchor: "bottom", outlinewidth: 0, nticks: 3, tickangle: 0,
      title: {text: "similarity", side: "right"}};
    const blues = alike => ({color: alike, colorscale: [[0, "var(--alike-least)"], [1, "var(--alike-most)"]], showscale: true, colorbar: bar});
    const line = {name: "median stock", type: "scatter", mode: "lines", x: market.dates, y: market.level, hoverinfo: "skip", line: {color: GREY, width: 1}};
    const unlike = dots("unlike", score => score < 0, () => ({color: FALL, symbol: "circle-open"}), score => score + 1);
    const query = {type: "line", x0: asOf, x1: asOf, yref: "paper", y0: 0, y1: 1, line: {color: INK, width: 1, dash: "dot"}};
    const notes = unlike.x.length ? [{text: "○ unlike", xref: "paper", x: 1, xanchor: "right", yref: "paper", y: 1, yanchor: "bottom", showarrow: false, font: {color: FALL}}] : [];
    draw("timeline", [line, unlike, dots("alike", score => score >= 0, blues, score => score)],
      {...PANELS.retrieved.timeline, shapes: [query], annotations: notes});
  }

  async function drawRetrieved(variant, asOf) {
    const {dates, level, days} = await load(PANELS.retrieved.variants[variant].file), day = days[asOf];
    const market = {dates: Array.from(decode(dates), it => new Date(864e5 * it).toISOString().slice(0, 10)), level: decode(level)};
    timelineOf(market, day, asOf);
    draw("payoffs", [{type: "bar", orientation: "h", y: day.factors, x: day.pooled, hovertemplate: "%{y}: %{x:+.4f}<extra></extra>",
      marker: {color: day.pooled.map(value => value < 0 ? FALL : RISE)}}], PANELS.retrieved.payoffs);
    element("retrieved-words").textContent = day.sentence;
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

  function offerDays() {
    const reader = element("reader"), day = element("query-day");
    if (!reader) return;
    const offer = () => {
      const before = day.value, days = PANELS.retrieved.variants[reader.value].days;
      day.replaceChildren(...days.map(it => new Option(it)));
      day.value = days.includes(before) ? before : days[days.length - 1];
    };
    reader.addEventListener("change", offer);
    offer();
    choose(["reader", "query-day"], drawRetrieved);
  }

  drawCurves();
  offerDays();
  choose(["calibrated"], drawCalibration);
  choose(["symbol", "variant"], drawSignal);
  choose(["by-symbol"], fillSymbols);
  if (element("shifted")) whenSeen(element("shifted"), () => draw("shifted", PANELS.findings.shifted.traces, PANELS.findings.shifted.layout));
})();
