// What a reader looks up: any bar with what was retrieved for it, and every trade. Data come from files beside the page.

(() => {
  const {decode, draw, load, whenSeen} = ragsignal;
  const RISE = "var(--rise)", FALL = "var(--fall)", GREY = "var(--grey)", INK = "var(--ink)";
  const SEEN = PANELS.seen, DAY = 864e5, FACTORS = SEEN.factors.length, SCALE = "ABCDEFGHIJKLMNOP";
  const at = id => document.getElementById(id);
  const shorts = text => new Uint16Array(Uint8Array.from(atob(text), sign => sign.charCodeAt(0)).buffer);
  const iso = number => new Date(DAY * number).toISOString().slice(0, 10);
  const figure = (value, digits, signed) => value === null || !Number.isFinite(value) ? "–"
    : value.toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: signed ? "exceptZero" : "negative"}).replace("-", "−");
  const percent = (value, digits = 2, signed = true) => Number.isFinite(value) ? figure(100 * value, digits, signed) + "\u202f%" : "–";
  let chosen = null, symbolData = null, price = null, turns = 0;

  function tag(name, text, attributes = {}) {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }

  function layout(changes) {
    const axis = (own = {}) => ({...SEEN.axis, ...own});
    const whole = {...SEEN.layout, ...changes};
    for (const key of Object.keys(whole)) if (/^[xy]axis/.test(key)) whole[key] = axis(whole[key]);
    return whole;
  }

  const plot = (id, traces, changes) => draw(id, traces, layout(changes));

  function tableOf(heads, rows, kind = "hits") {
    const scroll = tag("div", undefined, {class: "scroll tall", tabindex: "0"}), table = tag("table", undefined, {class: `figures ${kind}`});
    const head = tag("tr");
    head.append(...heads.map((text, place) => tag("th", text, {scope: "col", class: place ? "words" : "name"})));
    const body = tag("tbody");
    for (const cells of rows) {
      const row = tag("tr");
      row.append(...cells.map((text, place) => tag(place ? "td" : "th", text, {class: place ? (/^\d{4}-\d\d-\d\d/.test(text) ? "words nowrap" : "words") : "name nowrap"})));
      body.append(row);
    }
    const top = tag("thead");
    top.append(head);
    table.append(top, body);
    ragsignal.sortable(table);
    scroll.append(table);
    return scroll;
  }

  const variantAt = () => at("seen-variant").selectedIndex;
  const inspect = (symbol, date, variant) => SEEN.inspect.replace("SYMBOL", symbol).replace("DATE", date.replace(" ", "T")).replace("VARIANT", variant);

  // ---- the chart of one symbol and variant

  function fillsOf(data, variant) {
    const orders = data.orders[variant];
    if (!orders) return {fills: [], held: new Float64Array(SEEN.dates.length)};
    const sizes = decode(orders.sizes), prices = decode(orders.prices), held = new Float64Array(SEEN.dates.length);
    let position = 0, largest = 0, next = 0;
    const fills = [];
    for (let bar = 0; bar < held.length; bar++) {
      for (; next < sizes.length && orders.bars[next] <= bar; next++) {
        const before = position;
        position += sizes[next];
        largest = Math.max(largest, Math.abs(position));
        if (Math.abs(position) <= 1e-6 * largest) position = 0;
        const role = before === 0 || before * position < 0 ? "opens" : position === 0 ? "closes" : "changes";
        fills.push({bar: orders.bars[next], size: sizes[next], price: prices[next], role, after: position});
      }
      held[bar] = position;
    }
    return {fills, held};
  }

  function markersOf(fills) {
    const groups = [["bought", 1, "triangle-up", RISE], ["sold", -1, "triangle-down", FALL]];
    return groups.flatMap(([word, side, shape, ink]) => ["opens", "closes", "changes"].map(role => {
      const own = fills.filter(fill => fill.role === role && fill.size * side > 0);
      const dot = role === "changes";
      return {name: word, type: "scatter", mode: "markers", x: own.map(fill => SEEN.dates[fill.bar]), y: own.map(fill => fill.price),
        text: own.map(fill => `${SEEN.dates[fill.bar]}: ${word} ${figure(Math.abs(fill.size), 0)} at ${figure(fill.price, 2)}`), hovertemplate: "%{text}<extra></extra>",
        marker: {symbol: dot ? "circle" : role === "closes" ? shape + "-open" : shape, size: dot ? 3 : 9, color: ink, opacity: dot ? .5 : 1, line: {width: dot ? 0 : 1}}};
    }));
  }

  function drawSymbol() {
    const symbol = at("seen-symbol").value, number = variantAt(), variant = SEEN.variants[number], dates = SEEN.dates;
    const signals = symbolData.signals[number], {fills, held} = fillsOf(symbolData, number), close = decode(symbolData.close);
    const closes = {name: symbol, type: "scatter", mode: "lines", x: dates, y: close, line: {color: INK, width: 1.3}, hovertemplate: `${symbol} %{y:.2f}<extra></extra>`};
    const band = (name, side, ink) => ({name, type: "scatter", mode: "lines", yaxis: "y3", x: dates, y: Array.from(held, it => side * it > 0 ? it : 0), line: {width: 0, shape: "hv"},
      fill: "tozeroy", fillcolor: ink, ...(side > 0 ? {text: Array.from(held, it => figure(it, 0)), hovertemplate: "%{text} shares held<extra></extra>"} : {hoverinfo: "skip"})});
    const traces = [closes, ...markersOf(fills), band("long", 1, RISE), band("short", -1, FALL)];
    const axes = {yaxis: {domain: [.54, 1], title: {text: "adjusted close"}}, yaxis3: {domain: [.4, .5], title: {text: "position"}, nticks: 3, zeroline: true, zerolinecolor: GREY}};
    let words = `${variant.name} trades prices alone: it has no signal.`;
    if (signals) {
      const values = decode(signals.values), silent = Object.values(signals.abstained).flat();
      traces.push({name: "signal", type: "bar", yaxis: "y2", x: dates, y: values, marker: {color: Array.from(values, it => it < 0 ? FALL : RISE), line: {width: 0}}, hovertemplate: "signal %{y:+.3f}<extra></extra>"});
      traces.push({name: "abstained", type: "scatter", mode: "markers", yaxis: "y2", hoverinfo: "skip", x: silent.map(bar => dates[bar]), y: silent.map(() => 0), marker: {color: GREY, size: 3}});
      const reasons = Object.entries(signals.abstained).map(([reason, bars]) => `${bars.length} × ${reason}`).join("; ");
      words = `${variant.name} on ${symbol}: ${figure(values.filter(Number.isFinite).length, 0)} signals, ${silent.length ? `${silent.length} of them abstained (grey dots: ${reasons})` : "none abstained"}; ${fills.length} fills.`;
      axes.yaxis2 = {domain: [0, .36], title: {text: SEEN.relative || !variant.probable ? "signal" : "P(rise) − P(fall)"}, range: [-variant.limit, variant.limit], zeroline: true, zerolinecolor: GREY};
    } else {
      axes.yaxis.domain = [.3, 1];
      axes.yaxis3.domain = [0, .24];
    }
    at("seen-caption").textContent = words;
    const last = signals ? "y2" : "y3";
    price = [traces, {height: 520, bargap: 0, hovermode: "x", hoversubplots: "axis", dragmode: "zoom", uirevision: `${symbol}/${number}`, xaxis: {type: "date", anchor: last, range: [dates[0], dates[dates.length - 1]]}, ...axes}];
    if (!plot("seen-price", ...price)) return;
    const chart = at("seen-price");
    chart.removeAllListeners("plotly_click");
    chart.on("plotly_click", event => choose(dates.indexOf(String(event.points[0].x).slice(0, dates[0].length))));
  }

  const markOf = bar => [{type: "line", x0: SEEN.dates[bar], x1: SEEN.dates[bar], yref: "paper", y0: 0, y1: 1, line: {color: "var(--soft)", width: 1.5, dash: "dot"}}];

  // ---- one bar

  async function choose(bar) {
    if (bar < 0) return;
    chosen = bar;
    at("seen-day").value = SEEN.dates[bar].slice(0, 10);
    plot("seen-price", price[0], {...price[1], shapes: markOf(bar)});
    const turn = ++turns, symbol = at("seen-symbol").value, number = variantAt(), variant = SEEN.variants[number];
    const evidence = tag("div");
    let why = [];
    try {
      why = await whyOf(symbol, bar, number);
      await (variant.group !== null ? showDays(bar, variant, evidence) : showSequences(bar, number, variant, evidence));
      if (turn !== turns) return;
      if (variant.text === "letters") showLetters(bar, evidence);
    } catch (error) {
      evidence.append(tag("p", error.message, {class: "hint"}));
    }
    if (turn !== turns) return;
    at("seen-title").textContent = `${symbol} at the close of ${SEEN.dates[bar]}: ${variant.name}`;
    at("seen-facts").replaceChildren(...factsOf(bar, number).map(([label, words]) => {
      const fact = tag("div");
      fact.append(tag("dt", label), tag("dd", words));
      return fact;
    }));
    at("seen-evidence").replaceChildren(...why, evidence);
    for (const [id, traces, changes] of evidence.charts || []) plot(id, traces, changes);
  }

  function factsOf(bar, number) {
    const signals = symbolData.signals[number], {fills, held} = fillsOf(symbolData, number), facts = [];
    if (signals) {
      const value = decode(signals.values)[bar], rank = signals.ranks ? decode(signals.ranks)[bar] : NaN;
      const reason = Object.entries(signals.abstained).find(([, bars]) => bars.includes(bar));
      if (reason) facts.push(["No view", reason[0]]);
      else if (Number.isFinite(value)) facts.push(...(SEEN.variants[number].probable ? [[SEEN.relative ? "P(beats the day's median)" : "P(rise)", figure((1 + value) / 2, 4)]] : []), ["Signal", figure(value, 4, true)]);
      else facts.push(["No signal", "nobody asked for one on this bar"]);
      if (!reason && Number.isFinite(rank)) facts.push(["Rank of the day", `${figure(rank, 2, true)} (−1 lowest, +1 highest)`]);
      facts.push(["What came: next open to the open after", percent(decode(symbolData.outcome)[bar])]);
    }
    const next = fills.filter(fill => fill.bar === bar + 1).map(fill => `${fill.size > 0 ? "bought" : "sold"} ${figure(Math.abs(fill.size), 0)} at ${figure(fill.price, 2)}`);
    facts.push(["Held at the close", `${figure(held[bar], 0)} shares`], ["Filled on the next bar", next.join(", ") || "nothing"]);
    return facts;
  }

  function notHere(bar, variant) {
    const command = inspect(at("seen-symbol").value, SEEN.dates[bar], variant.name), words = tag("p", "Not held in this page. This command shows it: ", {class: "hint"});
    words.append(tag("code", command));
    return words;
  }

  // ---- the page that explains the bar's signal, or the command that makes it

  const quoted = word => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;

  // Where this report lies, as a shell takes it; of one that comes from a server it is not known.
  function reportFolder() {
    if (location.protocol !== "file:") return "RUN";
    return quoted(decodeURIComponent(location.pathname).replace(/\/[^/]*$/, "").replace(/^\/(?=[A-Za-z]:)/, ""));
  }

  async function whyOf(symbol, bar, number) {
    const variant = SEEN.variants[number], date = SEEN.dates[bar], signals = symbolData.signals[number];
    const asked = signals && (Number.isFinite(decode(signals.values)[bar]) || Object.values(signals.abstained).flat().includes(bar));
    if (!variant.explained || !asked) return [];
    const page = (await load("explained").catch(() => ({})))[variant.name]?.[symbol]?.[date], line = tag("p", undefined, {class: "why"});
    if (page) {
      line.append("Why: ", tag("a", "this signal explained", {href: `explained/${encodeURIComponent(page)}`}), " (what speaks for and against, what would turn it, what came of signals like it).");
      return [line];
    }
    const folder = reportFolder();
    const command = `${SEEN.explain} --symbol ${quoted(symbol)} --date ${quoted(date)} --variant ${quoted(variant.name)} --out ${folder}`;
    const code = tag("code", command), copy = tag("button", "Copy", {type: "button"});
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(command);
        copy.textContent = "Copied";
      } catch {  // without permission: mark it, so that a key copies it
        getSelection().selectAllChildren(code);
        copy.textContent = "Marked";
      }
    });
    line.append("Why? This command writes a page that explains this signal; loaded again, the report links it here: ", code, " ", copy);
    if (SEEN.explain.startsWith("ragsignal explain SPEC")) line.append(" SPEC is a file with the spec of this run, which was made in Python.");
    if (folder === "RUN") line.append(" RUN is the folder of this report.");
    return [line];
  }

  // ---- retrieved days

  async function showDays(bar, variant, into) {
    const date = SEEN.dates[bar], group = SEEN.groups[variant.group], year = Number(date.slice(0, 4));
    if (!group.years.includes(year)) return into.append(notHere(bar, variant));
    const [file, market] = await Promise.all([load(`days-${variant.group}-${year}`), load(`market-${group.market}`)]);
    const day = file[date];
    if (!day) return into.append(notHere(bar, variant));
    const rows = shorts(day.rows), scores = decode(day.scores), payoffs = decode(market.payoffs), pooled = decode(day.pooled);
    const dates = Array.from(decode(market.days), iso), known = decode(market.known), level = decode(market.level);
    into.append(tag("p", day.sentence));
    into.append(tag("h4", "The days on the market's line"), tag("div", undefined, {id: "seen-timeline", class: "chart", style: "height: 340px"}));
    into.append(tag("p", "The line is the universe's median stock; the days after the query day (dotted) could not be retrieved.", {class: "hint"}));
    const pair = tag("div", undefined, {class: "wide"}), paid = tag("div"), own = tag("div");
    paid.append(tag("h4", "What paid on them: the ten largest"), tag("div", undefined, {id: "seen-payoffs", class: "chart", style: "height: 340px"}));
    own.append(tag("h4", "This stock: its factors times what they paid"), tag("div", undefined, {id: "seen-own", class: "chart", style: "height: 340px"}));
    pair.append(paid, own);
    into.append(pair, tag("p", "In ranks of the return, from −1 to 1, the other factors held still; unlike days count a quarter, with a minus sign.", {class: "hint"}));
    const {words, shares} = contributions(bar, pooled);
    own.append(tag("p", words, {class: "hint"}));
    into.append(...hitTables(rows, scores, dates, known, payoffs));
    const state = tag("details");
    state.append(tag("summary", "The market's state, among the days before it"), tableOf(["variable", "value", "standard deviations", "place"], day.state.map(([value, z, standing], place) => [SEEN.states[place], value, figure(z, 1, true), standing])));
    into.append(state);
    into.charts = [timelineOf(date, rows, scores, dates, level), barsOf("seen-payoffs", pooled), barsOf("seen-own", shares)];
  }

  function contributions(bar, pooled) {
    const letters = lettersAt(bar), shares = pooled.map((payoff, factor) => {
      const place = SCALE.indexOf(letters[factor]);
      return place < 0 ? 0 : payoff * ((place + .5) * 2 / 16 - 1);
    });
    const whole = shares.reduce((sum, share) => sum + share, 0);
    return {shares, words: letters.trim() ? `All 41 factors together: ${figure(whole, 4, true)}.` : "Its rank letters are not known on this day."};
  }

  function barsOf(id, values) {
    const order = Array.from(values, (_, place) => place).sort((one, two) => Math.abs(values[two]) - Math.abs(values[one])).slice(0, 10);
    const labels = order.map(place => SEEN.factors[place][1]), bars = order.map(place => values[place]);
    return [id, [{type: "bar", orientation: "h", y: labels, x: bars, hovertemplate: "%{y}: %{x:+.4f}<extra></extra>", marker: {color: bars.map(value => value < 0 ? FALL : RISE)}}],
      {height: 340, hovermode: "closest", xaxis: {zeroline: true, zerolinecolor: GREY, nticks: 5}, yaxis: {type: "category", autorange: "reversed", tickfont: {size: 11}}}];
  }

  function timelineOf(date, rows, scores, dates, level) {
    const dots = (name, wanted, marker, similarity) => {
      const places = Array.from(rows, (_, place) => place).filter(place => wanted(scores[place])).reverse(), alike = places.map(place => similarity(scores[place]));
      return {name, type: "scatter", mode: "markers", x: places.map(place => dates[rows[place]]), y: places.map(place => level[rows[place]]), text: alike.map(it => it.toFixed(2)),
        marker: {size: 6, ...marker(alike)}, hovertemplate: `%{x}: ${name}, similarity %{text}<extra></extra>`};
    };
    const scale = {orientation: "h", thickness: 8, len: .5, x: 0, xanchor: "left", y: 1, yanchor: "bottom", outlinewidth: 0, tickangle: 0};
    const ends = alike => [Math.min(...alike), Math.max(...alike)];
    const ticks = alike => ({tickvals: ends(alike), ticktext: ends(alike).map((end, place) => place ? end.toFixed(2) : `similarity ${end.toFixed(2)}`)});
    const blues = alike => ({color: alike, colorscale: [[0, "var(--alike-least)"], [1, "var(--alike-most)"]], showscale: true, colorbar: {...scale, ...ticks(alike)}});
    const line = {name: "median stock", type: "scatter", mode: "lines", x: dates, y: level, hoverinfo: "skip", line: {color: GREY, width: 1}};
    const unlike = dots("unlike", score => score < 0, () => ({color: FALL, symbol: "circle-open"}), score => score + 1);
    const note = {text: "○ unlike", xref: "paper", x: 1, xanchor: "right", yref: "paper", y: 1, yanchor: "bottom", showarrow: false, font: {color: FALL}};
    return ["seen-timeline", [line, unlike, dots("alike", score => score >= 0, blues, score => score)],
      {height: 340, hovermode: "closest", margin: {...SEEN.layout.margin, t: 30}, xaxis: {type: "date"}, yaxis: {type: "log", title: {text: "first day = 100"}},
        annotations: unlike.x.length ? [note] : [], shapes: [{type: "line", x0: date, x1: date, yref: "paper", y0: 0, y1: 1, line: {color: INK, width: 1, dash: "dot"}}]}];
  }

  function hitTables(rows, scores, dates, known, payoffs) {
    const places = Array.from(rows, (_, place) => place), ends = row => {
      const own = SEEN.factors.map(([, words], factor) => [words, payoffs[row * FACTORS + factor]]).sort((one, two) => two[1] - one[1]);
      const said = list => list.map(([words, value]) => `${words} ${figure(value, 2, true)}`).join("; ") || "nothing";
      return [said(own.filter(it => it[1] > 0).slice(0, 3)), said(own.filter(it => it[1] < 0).reverse().slice(0, 3))];
    };
    const record = place => [dates[rows[place]], figure(scores[place] + (scores[place] < 0), 2), iso(known[rows[place]]), ...ends(rows[place])];
    const heads = ["day", "similarity", "known on", "paid most", "cost most"], alike = places.filter(place => scores[place] >= 0), unlike = places.filter(place => scores[place] < 0);
    const folded = (title, of, most) => {
      const fold = tag("details");
      fold.append(tag("summary", title), tableOf(heads, of.slice(0, most).map(record)));
      return fold;
    };
    const first = folded(`The ${Math.min(20, alike.length)} first of ${alike.length} days`, alike, 20);
    first.open = true;
    return unlike.length ? [first, folded(`The ${Math.min(5, unlike.length)} most unlike of ${unlike.length} days, read with a minus sign`, unlike, 5)] : [first];
  }

  // ---- rank letters

  // letters of news stand behind those of bars, where a model reads some
  const width = () => symbolData.letters.length / SEEN.dates.length || FACTORS;
  const lettersAt = bar => symbolData.letters.slice(width() * bar, width() * (bar + 1)) || " ".repeat(FACTORS);

  function showLetters(bar, into) {
    const letters = lettersAt(bar);
    if (!letters.trim()) return into.append(tag("p", "No rank letters are known of this bar.", {class: "hint"}));
    const fold = tag("details"), list = tag("dl", undefined, {class: "letters"});
    [...SEEN.factors, ...SEEN.further_factors].slice(0, letters.length).forEach(([name, words, formula], factor) => {
      const letter = letters[factor], place = SCALE.indexOf(letter), row = tag("div", undefined, {title: `${name}: ${formula}`}), bar = tag("dd", undefined, {class: "place"});
      if (place >= 0) bar.append(tag("i", undefined, {style: `left: ${place / 15 * 56}px`}));
      row.append(tag("dt", words), bar, tag("dd", letter));
      list.append(row);
    });
    fold.append(tag("summary", "What the model read of the stock: its place among all stocks of the day, in sixteenths, by factor"), tag("p", letters, {class: "hint"}), list);
    fold.open = !into.childElementCount;
    into.append(fold);
  }

  // ---- retrieved sequences and prompts

  async function showSequences(bar, number, variant, into) {
    const signals = symbolData.signals[number];
    if (!signals || !variant.evidence) return;
    if (bar < SEEN.evidence_from) return into.append(notHere(bar, variant));
    const file = await load(`evidence-${number}-${SEEN.symbols.indexOf(at("seen-symbol").value)}`);
    const hits = (file.hits[bar] || []).map(([place, score]) => ({score, ...candidateOf(file.candidates[place])}));
    if (hits.length) {
      const all = file.counts[bar], words = all > hits.length ? `The first ${hits.length} of ${all} retrieved sequences` : `The ${all} retrieved sequences`;
      into.append(tag("h4", `${words}, laid over the query's window`), tag("div", undefined, {id: "seen-windows", class: "chart", style: "height: 360px"}));
      into.append(tag("p", "Heavy: the query's closes up to this bar; dotted: what came, which nobody knew then. Each sequence is moved and stretched to the query's mean and spread, as shapes are compared; its end is the outcome that followed it.", {class: "hint"}));
      into.append(tableOf(["sequence", "window", "score", "outcome", "known on"], hits.map(hit => [`${hit.symbol} ${hit.sequence}`, `${hit.first} to ${hit.last}`, figure(hit.score, 3), `${percent(hit.outcome)}, ${hit.word}`, hit.known])));
      into.charts = [windowsOf(bar, hits)];
    }
    const lines = file.prompts[bar];
    if (lines) into.append(tag("h4", "The prompt, as it was read"), tag("pre", lines.map(line => file.lines[line]).join("\n")));
    if (!lines && !hits.length && !Object.values(signals.abstained).flat().includes(bar)) into.append(notHere(bar, variant));
  }

  const candidateOf = ([symbol, sequence, first, last, values, movement, outcome, known]) =>
    ({symbol, sequence, first, last, values, movement, outcome, known, word: ["fall", "freeze", "rise"][movement + 1]});

  function windowsOf(bar, hits) {
    const close = decode(symbolData.close), bars = [];
    for (let place = bar; place >= 0 && bars.length <= SEEN.lookback; place--) if (Number.isFinite(close[place])) bars.unshift(place);
    const after = [];
    for (let place = bar; place < close.length && after.length <= Math.max(SEEN.horizon, 2); place++) if (Number.isFinite(close[place])) after.push(place);
    const query = bars.map(place => close[place]), own = moments(query.slice(1)), end = query[query.length - 1];
    const traces = hits.map((hit, place) => {
      const {mean, spread} = moments(hit.values), path = hit.values.map(value => own.mean + (spread > 0 ? own.spread * (value - mean) / spread : 0));
      const x = [...path.map((_, step) => step - path.length + 1), SEEN.horizon], y = [...path, path[path.length - 1] * (1 + hit.outcome)];
      return {name: `${hit.symbol} ${hit.sequence}`, type: "scatter", mode: "lines+markers", x, y, opacity: .85, line: {color: [FALL, GREY, RISE][hit.movement + 1], width: place ? 1.2 : 2.2},
        marker: {size: x.map((_, step) => step === path.length ? 9 : 0), color: [FALL, GREY, RISE][hit.movement + 1]},
        hovertemplate: `${hit.symbol} ${hit.sequence}, ${hit.first} to ${hit.last}: ${percent(hit.outcome)} (${hit.word})<extra></extra>`};
    });
    traces.push({name: "query", type: "scatter", mode: "lines+markers", x: bars.map((_, step) => step - bars.length + 1), y: query, line: {color: INK, width: 3}, marker: {size: 5}, text: bars.map(place => SEEN.dates[place]), hovertemplate: "%{text}: %{y:.2f}<extra></extra>"});
    traces.push({name: "what came", type: "scatter", mode: "lines+markers", x: after.map((_, step) => step), y: after.map(place => close[place]), line: {color: INK, width: 1.5, dash: "dot"}, marker: {size: 3}, text: after.map(place => SEEN.dates[place]), hovertemplate: "what came, %{text}: %{y:.2f}<extra></extra>"});
    return ["seen-windows", traces, {height: 360, hovermode: "closest", margin: {...SEEN.layout.margin, t: 28, b: 48}, xaxis: {title: {text: "bars from this close"}, dtick: 1}, yaxis: {title: {text: "adjusted close"}},
      shapes: [{type: "line", x0: 0, x1: 0, yref: "paper", y0: 0, y1: 1, line: {color: GREY, width: 1, dash: "dot"}}], annotations: [{text: "known | what followed", x: 0, yref: "paper", y: 1, yanchor: "bottom", showarrow: false, font: {size: 11}}]}];
  }

  function moments(values) {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return {mean, spread: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)};
  }

  // ---- one variant's account

  // label, key, unit, digits, whether with its sign
  const COLUMNS = [["Symbol", "symbol"], ["Side", "side"], ["Opened", "opened", "day"], ["Closed", "closed", "day"], ["Length", "bars", "bars", 0], ["Size", "size", "shares", 0],
    ["Entry", "entry", "price", 2], ["Exit", "exit", "price", 2], ["Costs", "costs", "currency", 2], ["Profit", "profit", "currency", 2, true], ["Return", "return", "%", 2, true]];
  const STEP = 20;
  let trips = [], order = ["opened", 1], shown = STEP;

  async function showAccount() {
    const number = at("account-variant").selectedIndex, name = SEEN.variants[number].name;
    for (const table of document.querySelectorAll(".months")) table.hidden = table.dataset.of !== name;
    const account = await load(`account-${number}`);
    if (number !== at("account-variant").selectedIndex) return;
    const columns = Object.fromEntries(["size", "entry", "exit", "costs", "profit", "return"].map(key => [key, decode(account[key])]));
    trips = account.symbols.map((symbol, row) => ({symbol: SEEN.symbols[symbol], side: account.longs[row] ? "long" : "short", opened: account.opened[row], closed: account.closed[row], bars: account.bars[row],
      ...Object.fromEntries(Object.entries(columns).map(([key, values]) => [key, values[row] * (key === "return" ? 100 : 1)]))}));
    trips.all = account.all;
    trips.standing = account.standing;
    shown = STEP;
    showTrips();
    const line = (label, text, ink, dash) => ({name: label, type: "scatter", mode: "lines", x: SEEN.dates, y: decode(text).map(it => 100 * it), line: {color: ink, width: 1.4, dash}, hovertemplate: `${label} %{y:.1f}\u202f%<extra></extra>`});
    plot("account-exposure", [line("gross", account.gross, INK), line("net", account.net, RISE, "dot")],
      {height: 240, showlegend: true, legend: {orientation: "h", x: 0, y: 1, yanchor: "bottom"}, margin: {...SEEN.layout.margin, t: 28}, xaxis: {type: "date"}, yaxis: {rangemode: "tozero", ticksuffix: "\u202f%"}});
  }

  function showTrips() {
    const symbol = at("trades-symbol").value, [key, way] = order, own = trips.filter(trip => !symbol || trip.symbol === symbol);
    const value = trip => key === "closed" && trip.closed < 0 ? Infinity : trip[key];
    const missing = trip => typeof value(trip) === "number" && Number.isNaN(value(trip));
    own.sort((one, two) => missing(one) - missing(two) || way * (value(one) < value(two) ? -1 : value(one) > value(two) ? 1 : 0));
    const ended = own.filter(trip => trip.closed >= 0), gain = ended.reduce((sum, trip) => sum + trip.profit, 0), won = ended.filter(trip => trip.profit > 0).length;
    const open = own.length - ended.length, words = [`${figure(own.length, 0)} round trips, ${figure(open, 0)} still open at the end.`];
    if (ended.length) words.push(`Of those that ended ${percent(won / ended.length, 1, false)} earned something after costs, ${figure(gain, 0, true)} in all.`);
    if (open && !symbol) words.push(`What is open stands at ${figure(trips.standing, 0, true)}.`);
    if (trips.length < trips.all) words.push(`The page holds the last ${figure(trips.length, 0)} of ${figure(trips.all, 0)}; trades.csv has all.`);
    at("trades-words").textContent = own.length ? words.join(" ") : "It never traded.";
    const head = tag("tr");
    head.append(...COLUMNS.map(([label, column, unit]) => {
      const cell = tag("th", undefined, {scope: "col", ...(key === column && {"aria-sort": way > 0 ? "ascending" : "descending"})}), button = tag("button", undefined, {type: "button"});
      button.append(tag("span", label));
      button.addEventListener("click", () => { order = [column, key === column ? -way : column === "profit" || column === "return" ? -1 : 1]; showTrips(); });
      if (unit) button.append(tag("small", unit));
      cell.append(button);
      return cell;
    }));
    const table = at("trades-table");
    table.className = "figures trades";
    table.tHead.replaceChildren(head);
    table.tBodies[0].replaceChildren(...own.slice(0, shown).map(rowOf));
    at("trades-more").hidden = own.length <= shown;
  }

  function rowOf(trip) {
    const row = tag("tr"), link = bar => {
      if (bar < 0) return tag("td", "open");
      const cell = tag("td"), button = tag("button", SEEN.dates[bar], {type: "button"});
      button.addEventListener("click", () => show(trip.symbol, at("account-variant").selectedIndex, bar));
      cell.append(button);
      return cell;
    };
    row.append(...COLUMNS.map(([, key, , digits, signed]) => key === "opened" || key === "closed" ? link(trip[key])
      : tag("td", digits === undefined ? trip[key] : figure(trip[key], digits, signed))));
    return row;
  }

  // ---- choices

  async function open(bar) {
    const symbol = at("seen-symbol").value, number = variantAt();
    try {
      const data = await load(`symbol-${SEEN.symbols.indexOf(symbol)}`);
      if (symbol !== at("seen-symbol").value || number !== variantAt()) return;
      symbolData = data;
    } catch (error) {
      at("seen-caption").textContent = error.message;
      return;
    }
    drawSymbol();
    await choose(bar ?? chosen ?? firstBar());
  }

  function firstBar() {
    const signals = symbolData.signals[variantAt()], last = SEEN.dates.length - 1;
    if (!signals) return last;
    const values = decode(signals.values), from = Math.floor(last * .6);
    let best = from;
    for (let bar = from; bar <= last; bar++) if (Math.abs(values[bar]) > Math.abs(values[best] || 0)) best = bar;
    return best;
  }

  async function show(symbol, number, bar) {
    if (SEEN.shown.includes(symbol)) at("seen-symbol").value = symbol;
    at("seen-variant").selectedIndex = number;
    at("seen").scrollIntoView({behavior: "smooth"});
    await open(bar);
  }

  const step = by => choose(Math.min(SEEN.dates.length - 1, Math.max(0, (chosen ?? 0) + by)));
  at("seen-symbol").addEventListener("change", () => open());
  at("seen-variant").addEventListener("change", () => open());
  at("seen-before").addEventListener("click", () => step(-1));
  at("seen-after").addEventListener("click", () => step(1));
  at("seen-day").addEventListener("change", () => {
    const day = at("seen-day").value, bar = SEEN.dates.findIndex(date => date >= day);
    if (day) choose(bar < 0 ? SEEN.dates.length - 1 : bar);
  });
  at("account-variant").addEventListener("change", showAccount);
  at("trades-symbol").addEventListener("change", () => { shown = STEP; showTrips(); });
  at("trades-more").addEventListener("click", () => { shown += 4 * STEP; showTrips(); });
  const favourite = SEEN.variants.findIndex(it => it.group !== null || it.evidence);
  if (favourite > 0) at("seen-variant").selectedIndex = at("account-variant").selectedIndex = favourite;
  whenSeen(at("seen-price"), () => open());
  whenSeen(at("trades"), showAccount);
})();
