// Draws the page from the data in it. Texts of the data reach the page as text nodes only, so nothing in them is markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const chosen = {};             // what the reader chose, by control
  let language = root.lang === "zh" ? "zh" : "en";
  let theme = "auto";
  let plots = [];

  // ---- words ----
  const words = (key) => WORDS[language][key];
  const fill = (text, ...values) => text.replace(/\{(\d)\}/g, (_, at) => String(values[Number(at)]));
  const wordOf = (list, key) => words(list)[key] || key || "–";
  const label = (column) => (column && (column[language] || column.en || column.name)) || "";
  const locale = () => (language === "zh" ? "zh-CN" : "en-GB");

  // ---- elements ----
  const append = (parent, children) => {
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false) continue;
      parent.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
    return parent;
  };
  const set = (element, attributes) => {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "on") for (const [event, then] of Object.entries(value)) element.addEventListener(event, then);
      else element.setAttribute(name, value === true ? "" : String(value));
    }
    return element;
  };
  const el = (tag, attributes, ...children) => append(set(document.createElement(tag), attributes), children);
  const svg = (tag, attributes, ...children) =>
    append(set(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes), children);
  const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();

  // ---- numbers and days ----
  const whole = (value) => value.toLocaleString(locale(), { maximumFractionDigits: 0 });
  const number = (value, unit, decimals) => {
    if (value === null || value === undefined || value === "") return "–";
    if (typeof value !== "number") return String(value);
    if (unit === "share") return value.toLocaleString(locale(), { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
    if (typeof decimals === "number") return value.toLocaleString(locale(), { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    const size = Math.abs(value);
    if (Number.isInteger(value) || size >= 1000) return whole(value);
    return value.toLocaleString(locale(), size >= 1 ? { maximumFractionDigits: 2 } : { maximumSignificantDigits: 3 });
  };
  const isoDay = (day) => new Date(day * 86400000).toISOString().slice(0, 10);
  const instant = (text) => (text ? text.slice(0, 16).replace("T", " ").replace(" 00:00", "") : "–");
  // A ratio of a part to its whole reads best in per cent; other ratios, such as an index, do not.
  const SHARES = /(^|_)(rate|share|stickiness|drawdown|ret|vol\d*|c?var\d*|effectiveness|wilson_lower)(_\d+)?$|^attainment/;
  const unitOf = (column) => (column.unit === "ratio" && SHARES.test(column.name) ? "share" : column.unit);
  const isMeasure = (column) => /^(int64|float64|decimal)/.test(column.kind);
  const cellText = (column, value) => {
    if (value === null || value === undefined) return "–";
    if (column.kind === "boolean" || typeof value === "boolean") return value ? words("yes") : words("no");
    if (column.kind === "timestamp") return instant(String(value));
    if (isMeasure(column)) return number(value, unitOf(column));
    return String(value);
  };

  // ---- grids: rows of a table as objects ----
  const grid = (name) => {
    const found = data.grids[name];
    if (!found || found.rows.length === 0) return null;
    if (!found.objects) {
      found.objects = found.rows.map((row) => Object.fromEntries(found.columns.map((column, at) => [column.name, row[at]])));
    }
    found.column = (of) => found.columns.find((column) => column.name === of);
    found.has = (of) => Boolean(found.column(of));
    return found;
  };
  const index = (name, key) => new Map((grid(name) ? grid(name).objects : []).map((row) => [row[key], row]));
  const metrics = index("metrics", "metric_id");
  const agents = index("agents", "agent_id");
  const thresholds = index("thresholds", "kri_id");
  const groups = new Map((grid("agents") ? grid("agents").objects : []).filter((row) => row.group_id && row.group_name).map((row) => [row.group_id, row.group_name]));
  const metricName = (id) => {
    const about = metrics.get(id);
    return (about && (about["name_" + language] || about.name_en)) || id;
  };
  const metricNumber = (id, value) => {
    const about = metrics.get(id) || {};
    return number(value, about.unit, about.unit === "share" ? undefined : about.decimals);
  };
  const metricUnit = (id) => { const about = metrics.get(id); return (about && about.unit) || ""; };
  const unitName = (unit) => (unit ? words("units")[unit] || unit : "");
  const kriName = (id) => {
    const about = thresholds.get(id) || {};
    return (language === "zh" && (about.kri_name_zh || about.name_zh)) || about.kri_name || id;
  };
  const scopeName = (type, id) => {
    if (type === "total") return words("company");
    const name = memberName(type, id);
    return name === "all" ? wordOf("scopeType", type) : wordOf("scopeType", type) + ": " + name;
  };
  const memberName = (type, id) => {
    if (type === "total") return words("company");
    if (type === "group") return groups.get(id) || id;
    const agent = type === "agent" ? agents.get(id) : null;
    return (agent && agent.agent_name) || id;
  };

  // ---- marks: a shape, a colour and a word, so that none of them is needed alone ----
  const STATES = ["unknown", "green", "amber", "red"];
  const SHAPES = {
    green: () => svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("circle", { cx: 6, cy: 6, r: 5.5, fill: "currentColor" })),
    amber: () => svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("path", { d: "M6 .6 11.8 11.4H.2Z", fill: "currentColor" })),
    red: () => svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("path", { d: "M6 0 12 6 6 12 0 6Z", fill: "currentColor" })),
    unknown: () => svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, svg("circle", { cx: 6, cy: 6, r: 4.5, fill: "none", stroke: "currentColor", "stroke-width": 1.6 })),
  };
  const known = (state) => (STATES.includes(state) ? state : "unknown");
  const mark = (state, list = "rag", text) => el("span", { class: "mark " + known(state) }, SHAPES[known(state)](), text || wordOf(list, known(state)));
  const dot = (state, text, list = "rag") =>
    el("span", { class: "dot " + known(state), title: wordOf(list, known(state)) }, SHAPES[known(state)](), text, el("span", { class: "hidden" }, " " + wordOf(list, known(state))));
  const level = (name) => (name ? el("span", { class: "pill " + (words("levelOf")[name] ? name : "") }, wordOf("levelOf", name)) : "–");

  // ---- tables ----
  // A column is { head, cell(row), kind: "n" for numbers, "t"/"w" for long texts, "th" for what names the row }.
  const tableOf = (caption, columns, rows, isTall) => el("div", { class: "scroll" + (isTall ? " tall" : ""), tabindex: 0, role: "region", "aria-label": caption },
    el("table", {},
      el("thead", {}, el("tr", {}, columns.map((column) => el("th", { scope: "col", class: column.kind === "n" ? "n" : null, title: column.title }, column.head)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, columns.map((column) => column.kind === "th"
        ? el("th", { scope: "row" }, column.cell(row))
        : el("td", { class: column.kind }, column.cell(row))))))));
  const plainTable = (found, rows, skip = [], isTall = true) => tableOf(found.table,
    found.columns.filter((column) => !skip.includes(column.name)).sort((a, b) => /_name$/.test(b.name) - /_name$/.test(a.name)).map((column, at) => ({
      head: label(column), title: column.description,
      kind: at === 0 ? "th" : isMeasure(column) ? "n" : column.kind === "string" ? "t" : "nb",
      cell: (row) => {
        const value = row[column.name];
        if (["rag", "state"].includes(column.name) && STATES.includes(value)) return mark(value);
        if (column.name === "agent_id" && agents.has(value)) return agents.get(value).agent_name || value;
        return cellText(column, value);
      },
    })), rows, isTall);
  const cutNote = (found) => found.is_cut && el("p", { class: "note" }, fill(words("cut"), found.rows.length));

  // ---- controls ----
  const choice = (name, title, options, standard) => {
    const values = options.map((option) => option[0]);
    if (!values.includes(chosen[name])) chosen[name] = values.includes(standard) ? standard : values[0];
    return el("label", {}, title, el("select", { "data-control": name, on: { change: (event) => {
      chosen[name] = values[event.target.selectedIndex];
      draw(name);
    } } }, options.map(([value, text]) => el("option", { selected: value === chosen[name] }, text))));
  };
  const unique = (list) => [...new Set(list)];

  // ---- charts ----
  const axisFont = () => "12px " + getComputedStyle(document.body).fontFamily;
  const dayText = (seconds, form) => new Date(seconds * 1000).toLocaleDateString(locale(), { timeZone: "UTC", ...form });
  // lines: { label, values, colour, width, dash, fill, points }; flags: Sets of positions.
  const chart = ({ title, first, days, lines, text, unit, anomalies, open, height = 260, isStacked }) => {
    const x = Array.from({ length: days }, (_, at) => (first + at) * 86400);
    const drawn = isStacked ? stacked(lines) : lines;
    const read = el("p", { class: "read", "aria-hidden": "true" });
    const holder = el("div", { class: "chart", role: "img", "aria-label": title });
    const ink = colour("soft"), line = colour("line"), paper = colour("card");
    const marks = (u, seriesAt) => {
      const { ctx } = u;
      const size = window.devicePixelRatio || 1;
      const point = (at, radius, fillStyle, strokeStyle) => {
        const value = u.data[seriesAt][at];
        if (value === null || value === undefined) return;
        ctx.beginPath();
        ctx.arc(u.valToPos(u.data[0][at], "x", true), u.valToPos(value, "y", true), radius * size, 0, 2 * Math.PI);
        if (fillStyle) { ctx.fillStyle = fillStyle; ctx.fill(); }
        ctx.lineWidth = 1.8 * size; ctx.strokeStyle = strokeStyle; ctx.stroke();
      };
      ctx.save();
      (open || []).forEach((at) => point(at, 3, paper, colour("one")));
      (anomalies || []).forEach((at) => point(at, 5.5, null, colour("red")));
      ctx.restore();
    };
    const options = {
      width: 640, height, padding: [10, 12, 0, 0],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { show: false }, cursor: { y: false, points: { size: 7 } },
      scales: { x: { time: true, range: () => (days > 1 ? [x[0], x[days - 1]] : [x[0] - 86400, x[0] + 86400]) }, y: { range: (u, low, high) => span(low, high) } },
      axes: [
        { stroke: ink, font: axisFont(), grid: { show: false }, ticks: { stroke: line, width: 1, size: 4 }, space: 68, size: 28, gap: 4,
          incrs: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 30, 60, 90, 120, 180, 365, 730].map((each) => each * 86400),
          values: (u, splits, at, space, step) => splits.map((split) => dayText(split, step >= 86400 * 27 ? { month: "short", year: "numeric" } : { day: "numeric", month: "short" })) },
        { stroke: ink, font: axisFont(), grid: { stroke: line, width: 1 }, ticks: { show: false }, space: 42, label: unit || null, labelFont: axisFont(), labelSize: unit ? 20 : 0, labelGap: 2,
          size: (u, values) => Math.max(36, ...(values || []).map((value) => 14 + 7 * String(value).length)),
          values: (u, splits) => splits.map((split) => (split === null ? "" : text(split).replace(/\.0%$/, "%"))) },
      ],
      series: [{}, ...drawn.map((one) => ({
        label: one.label, stroke: one.colour, width: one.width === undefined ? 2 : one.width, paths: one.width === 0 ? () => null : undefined, dash: one.dash, fill: one.fill, spanGaps: false,
        gaps: (u, at, from, to, found) => found.filter(([left, right]) => right - left > 4.5 * (u.valToPos(86400, "x", true) - u.valToPos(0, "x", true))),
        points: { show: one.points === true || (one.values.filter((value) => value !== null).length < 3), size: one.width === 0 ? 4 : 6, width: 1, stroke: one.colour, fill: one.colour },
      }))],
      hooks: {
        setCursor: [(u) => {
          const at = u.cursor.idx;
          read.textContent = at === null || at === undefined ? "" : isoDay(first + at) + " — "
            + lines.map((one) => one.label + " " + (one.values[at] === null ? "–" : text(one.values[at]))).join(" · ")
            + (anomalies && anomalies.has(at) ? " · " + words("anomaly") : "") + (open && open.has(at) ? " · " + words("notComplete") : "");
        }],
        draw: [(u) => { if (anomalies || open) marks(u, 1); }],
      },
    };
    const make = () => {
      options.width = Math.max(240, Math.floor(holder.clientWidth));
      const plot = new uPlot(options, [x, ...drawn.map((one) => one.values)], holder);
      // The picture is described by its name and its table.
      const watcher = new ResizeObserver(() => {
        const width = Math.floor(holder.clientWidth);
        if (width > 0 && width !== plot.width) plot.setSize({ width, height });
      });
      watcher.observe(holder);
      plots.push({ holder, end: () => { watcher.disconnect(); plot.destroy(); } });
    };
    const legend = el("ul", { class: "legend" }, lines.map((one) => el("li", {},
      set(el("i", { class: isStacked ? "box" : one.width === 0 ? "point" : one.dash ? "dash" : null }), {}), one.label)));
    [...legend.children].forEach((item, at) => { item.firstChild.style[isStacked || lines[at].width === 0 ? "background" : "borderTopColor"] = lines[at].colour; });
    const figure = el("figure", {}, el("h3", {}, title), holder, legend, read, el("details", {}, el("summary", {}, words("asTable")),
      tableOf(title, [{ head: words("day"), kind: "th", cell: (at) => isoDay(first + at) },
        ...lines.map((one) => ({ head: one.label, kind: "n", cell: (at) => (one.values[at] === null || one.values[at] === undefined ? "–" : text(one.values[at])) })),
        ...(anomalies && anomalies.size ? [{ head: words("anomaly"), kind: "nb", cell: (at) => (anomalies.has(at) ? words("yes") : "") }] : [])],
      x.map((_, at) => days - 1 - at), true)));
    figure.make = make;
    return figure;
  };
  const span = (low, high) => {
    if (low === null || high === null) return [0, 1];
    if (low === high) { const room = Math.abs(low) || 1; return low >= 0 ? [0, low + room * 0.25] : [low - room, low + room]; }
    const room = (high - low) * 0.08;
    // A scale that is near nought shows nought: lengths are compared, not only slopes.
    const from = low >= 0 && low < (high - low) * 1.5 ? 0 : low - room;
    return [from, high <= 0 && high > -(high - low) * 1.5 ? 0 : high + room];
  };
  const stacked = (lines) => {
    const sums = [];
    let below = null;
    for (const one of lines) {
      below = one.values.map((value, at) => (value === null ? null : value + ((below && below[at]) || 0)));
      sums.unshift({ ...one, values: below, fill: one.colour, width: 0.5, stroke: one.colour });
    }
    return sums;
  };
  const spark = (values, title, lines = []) => {
    const all = values.filter((value) => value !== null);
    if (all.length < 2) return null;
    const numbers = [...all, ...lines.map((one) => one.value)];
    const low = Math.min(...numbers), high = Math.max(...numbers), range = high - low || 1;
    const place = (value, at) => [(at / (values.length - 1)) * 118 + 1, 27 - ((value - low) / range) * 24];
    let path = "", isDown = false;
    values.forEach((value, at) => {
      if (value === null) { isDown = false; return; }
      const [px, py] = place(value, at);
      path += (isDown ? "L" : "M") + px.toFixed(1) + " " + py.toFixed(1);
      isDown = true;
    });
    return svg("svg", { class: "spark", viewBox: "0 0 120 30", preserveAspectRatio: "none", role: "img", "aria-label": title },
      lines.map((one) => svg("path", { d: "M0 " + place(one.value, 0)[1].toFixed(1) + "H120", stroke: "var(--" + one.colour + ")", "stroke-width": 1, "stroke-dasharray": "3 3", fill: "none", "vector-effect": "non-scaling-stroke" })),
      svg("path", { d: path, fill: "none", stroke: "var(--one)", "stroke-width": 1.6, "vector-effect": "non-scaling-stroke", "stroke-linejoin": "round" }));
  };

  // ---- series ----
  const measure = (daily, series, name) => {
    const at = daily.measures.findIndex((column) => column.name === name);
    const packed = at < 0 ? [] : series.values[at];
    if (packed.length === 0) return new Array(series.days).fill(null);
    return packed.length === 1 ? new Array(series.days).fill(packed[0]) : packed;
  };
  const positions = (values, is) => new Set(values.map((value, at) => (is(value) ? at : -1)).filter((at) => at >= 0));
  const hasAny = (values) => values.some((value) => value !== null);
  const told = (daily, series, name) => {
    const at = daily.told.findIndex((column) => column.name === name);
    return at < 0 || series.told[at] === undefined ? null : series.told[at];
  };
  const signed = (value, text) => (value === null ? "–" : (value > 0 ? "+" : "") + text(value));
  // Between two shares the change is in percentage points, because a share of a share reads as one of them.
  const change = (id, now, before) => {
    if (now === null || before === null) return "–";
    if (metricUnit(id) === "share") return signed(100 * (now - before), (points) => points.toLocaleString(locale(), { minimumFractionDigits: 1, maximumFractionDigits: 1 })) + " " + words("percentagePoints");
    return before === 0 ? "–" : signed((now - before) / Math.abs(before), (ratio) => number(ratio, "share"));
  };
  // What is this many days before the clock speaks of the past, and says so.
  const STALE_DAYS = 14;
  const clockDay = Math.floor(Date.parse(data.as_of.slice(0, 10) + "T00:00:00Z") / 86400000);
  const isStale = (day) => clockDay - (typeof day === "number" ? day : Date.parse(String(day).slice(0, 10) + "T00:00:00Z") / 86400000) > STALE_DAYS;
  const dayText_ = (day) => [typeof day === "number" ? isoDay(day) : day, isStale(day) && el("b", { class: "stale" }, " " + words("stale"))];
  // A band is aimed at as a whole: its middle is no target.
  const bandOf = (id, type, scope, day) => {
    const found = grid("bands");
    return found ? found.objects.find((row) => row.metric_id === id && row.scope_type === type && row.scope_id === scope && row.valid_from <= day && day <= row.valid_to) : undefined;
  };
  const targetText = (id, band, target) => (band ? fill(words("band"), metricNumber(id, band.band_low), metricNumber(id, band.band_high)) : metricNumber(id, target));

  // ---- parts of the page ----
  const parts = {
    overview() {
      const daily = data.daily;
      const company = daily ? daily.series.filter((series) => series.key[1] === "total") : [];
      const ranked = company.map((series) => ({ series, at: series.newest })).filter((one) => one.at !== null);
      const withTarget = ranked.filter(({ series }) => hasAny(measure(daily, series, "target")));
      // Worst first: off target before watched before on target, and of those alike what attains least.
      const severity = ({ series, at }) => measure(daily, series, "rag")[at] || 0;
      const attained = ({ series }) => { const value = told(daily, series, "attainment"); return value === null ? Infinity : value; };
      const sorted = [...(withTarget.length >= 4 ? withTarget : ranked)].sort((a, b) => severity(b) - severity(a) || (attained(a) === attained(b) ? 0 : attained(a) - attained(b)) || (a.series.key[0] < b.series.key[0] ? -1 : 1));
      const tiles = sorted.slice(0, 12).map(({ series, at }) => {
        const get = (name) => measure(daily, series, name)[at];
        const id = series.key[0], state = STATES[get("rag") || 0], target = get("target"), day = series.first + at;
        const aim = target !== null && targetText(id, bandOf(id, series.key[1], series.key[2], isoDay(day)), target);
        return el("div", { class: "tile" },
          el("div", { class: "name" }, metricName(id)),
          el("div", { class: "big" }, metricNumber(id, get("value"))),
          target !== null && el("div", { class: "small row" }, daily.measures.some((column) => column.name === "rag") && mark(state), el("span", {}, words("target") + " " + aim)),
          el("div", { class: "small" }, dayText_(day), told(daily, series, "prev_week") === null ? "" : " · " + words("weekAgo") + " " + change(id, get("value"), told(daily, series, "prev_week"))),
          spark(measure(daily, series, "value").slice(Math.max(0, at - 89), at + 1), metricName(id) + ", " + words("history")));
      });
      if (tiles.length) return [el("div", { class: "tiles" }, tiles), sorted.length > tiles.length && el("p", { class: "note" }, fill(words("moreKpis"), sorted.length - tiles.length))];
      const headline = grid("headline");
      if (!headline) return null;
      const names = headline.columns.slice(-2).map((column) => column.name);
      return el("div", { class: "tiles" }, headline.objects.map((row) => el("div", { class: "tile" },
        el("div", { class: "name" }, row[names[0]]), el("div", { class: "big" }, cellText(headline.column(names[1]), row[names[1]])))));
    },

    trends() {
      const daily = data.daily;
      if (!daily || daily.series.length === 0) return null;
      const ids = unique(daily.series.map((series) => series.key[0]));
      const metricChoice = choice("metric", words("metric"), ids.map((id) => [id, metricName(id)]));
      const here = daily.series.filter((series) => series.key[0] === chosen.metric);
      const scopeKey = (series) => JSON.stringify(series.key.slice(1));
      const scopeChoice = choice("scope", words("scope"), here.map((series) => [scopeKey(series), scopeName(series.key[1], series.key[2])]));
      const series = here.find((one) => scopeKey(one) === chosen.scope);
      const values = (name) => measure(daily, series, name);
      const at = series.newest, id = chosen.metric, of = (name) => told(daily, series, name);
      const text = (value) => metricNumber(id, value);
      const lines = [{ label: words("value"), values: values("value"), colour: colour("one") }];
      const band = bandOf(id, series.key[1], series.key[2], isoDay(series.first + (at === null ? series.days - 1 : at)));
      const aims = band ? ["band_low", "band_high"].map((name) => new Array(series.days).fill(band[name])) : hasAny(values("target")) ? [values("target")] : [];
      aims.forEach((aim, end) => lines.push({ label: words(band ? ["bandLow", "bandHigh"][end] : "target"), values: aim, colour: colour("two"), width: 1.5, dash: [6, 4] }));
      if (hasAny(values("trailing_28_mean"))) lines.push({ label: words("mean28"), values: values("trailing_28_mean"), colour: colour("three"), width: 1.25 });
      const anomalies = positions(values("is_anomaly"), (value) => value === 1), open = positions(values("is_complete"), (value) => value === 0);
      const fact = (name, value) => value !== "–" && el("div", {}, el("dt", {}, name), el("dd", {}, value));
      const get = (name) => (at === null ? null : values(name)[at]);
      return el("div", { class: "card" },
        el("div", { class: "controls" }, metricChoice, scopeChoice),
        at !== null && el("dl", { class: "facts" }, fact(dayText_(series.first + at), text(get("value"))), fact(words("target"), get("target") === null ? "–" : targetText(id, band, get("target"))),
          get("target") !== null && fact(words("state"), mark(STATES[get("rag") || 0])),
          fact(words("attainment"), number(of("attainment"), "share")), fact(words("priorDay"), text(of("prev_day"))), fact(words("priorWeek"), text(of("prev_week"))), fact(words("priorYear"), text(of("prev_year"))),
          el("div", {}, el("dt", {}, words("anomaly")), el("dd", {}, whole(anomalies.size)))),
        chart({ title: metricName(id) + " — " + scopeName(series.key[1], series.key[2]), first: series.first, days: series.days, lines, text, unit: unitName(metricUnit(id)), anomalies, open, height: 300 }),
        el("p", { class: "note" }, [fill(words("daysShown"), data.limits.days), anomalies.size ? words("anomalyShown") : "", open.size ? words("incompleteShown") : "",
          daily.of > daily.series.length ? fill(words("seriesCut"), daily.series.length, daily.of) : ""].filter(Boolean).join(" ")));
    },

    monthly() {
      const found = grid("monthly");
      if (!found) return null;
      const key = (row) => JSON.stringify([row.scope_type, row.scope_id]);
      const scopes = unique(found.objects.map(key));
      const control = choice("monthlyScope", words("scope"), scopes.map((scope) => [scope, scopeName(...JSON.parse(scope))]));
      const rows = found.objects.filter((row) => key(row) === chosen.monthlyScope);
      const months = unique(rows.map((row) => row.month)).sort().slice(-data.limits.months);
      const byMetric = new Map();
      rows.forEach((row) => { if (!byMetric.has(row.metric_id)) byMetric.set(row.metric_id, new Map()); byMetric.get(row.metric_id).set(row.month, row); });
      const monthEnd = (month) => isoDay(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5, 7)), 0) / 86400000);
      const latest = (id) => { const all = byMetric.get(id); return all.get([...all.keys()].sort().slice(-1)[0]); };
      return el("div", { class: "card" }, el("div", { class: "controls" }, control),
        tableOf(words("monthly"), [
          { head: words("metric"), kind: "th", cell: (id) => metricName(id) },
          ...(found.has("target") ? [{ head: words("target"), kind: "n", cell: (id) => { const row = latest(id); return targetText(id, bandOf(id, row.scope_type, row.scope_id, monthEnd(row.month)), row.target); } }] : []),
          ...months.map((month) => ({ head: month.slice(0, 7), kind: "n", cell: (id) => {
            const row = byMetric.get(id).get(month);
            if (!row || row.value === null) return "–";
            const text = metricNumber(id, row.value) + (row.is_complete === false ? " …" : "");
            return found.has("rag") && row.target !== null && row.target !== undefined ? dot(row.rag, text) : text;
          } })),
          ...(found.has("ytd") ? [{ head: words("ytd"), kind: "n", cell: (id) => metricNumber(id, latest(id).ytd) }] : []),
        ], [...byMetric.keys()], true),
        cutNote(found), el("p", { class: "note" }, "… " + words("notComplete")));
    },

    scorecards() {
      const found = grid("scorecard"), teams = grid("teams"), people = grid("people");
      if (!found && !teams && !people) return null;
      // What has a name is not shown by its key as well.
      const hidden = (monthly) => [["agent_id", "agent_name"], ["group_id", "group_name"]].filter(([key, name]) => monthly.has(key) && monthly.has(name) && monthly === (key === "agent_id" ? people : teams)).map(([key]) => key);
      const cards = [];
      if (found) {
        const types = unique(found.objects.map((row) => row.scope_type)), months = unique(found.objects.map((row) => row.month));
        // The newest month is seldom over; the one before it has more to say.
        const controls = el("div", { class: "controls" },
          choice("scoreType", words("level"), types.map((type) => [type, wordOf("scopeType", type)]), types.includes("group") ? "group" : types[0]),
          choice("scoreMonth", words("month"), months.map((month) => [month, month.slice(0, 7)]), months[1] || months[0]));
        const rows = found.objects.filter((row) => row.scope_type === chosen.scoreType && row.month === chosen.scoreMonth);
        const ids = unique(rows.map((row) => row.metric_id)), cell = new Map(rows.map((row) => [row.scope_id + "\n" + row.metric_id, row]));
        const scoreEnd = isoDay(Date.UTC(Number(chosen.scoreMonth.slice(0, 4)), Number(chosen.scoreMonth.slice(5, 7)), 0) / 86400000);
        const aim = (row) => targetText(row.metric_id, bandOf(row.metric_id, row.target_scope || row.scope_type, { total: "all", group: row.group_id }[row.target_scope] || row.scope_id, scoreEnd), row.target);
        const total = (member) => {
          const own = rows.filter((row) => row.scope_id === member && typeof row.points === "number");
          const weight = own.reduce((sum, row) => sum + (row.weight || 0), 0);
          return weight > 0 ? own.reduce((sum, row) => sum + row.points, 0) / weight : null;
        };
        const names = new Map(rows.filter((row) => row.scope_name && chosen.scoreType !== "total").map((row) => [row.scope_id, row.scope_name]));
        const members = unique(rows.map((row) => row.scope_id)).sort((a, b) => (total(b) === null ? -1 : total(b)) - (total(a) === null ? -1 : total(a)) || (a < b ? -1 : 1));
        cards.push(el("div", { class: "card" }, controls, rows.length === 0 ? el("p", { class: "note" }, words("noData")) : tableOf(words("scorecards"), [
          { head: words("member"), kind: "th", cell: (member) => names.get(member) || memberName(chosen.scoreType, member) },
          ...ids.map((id) => ({ head: metricName(id), kind: "n", cell: (member) => {
            const row = cell.get(member + "\n" + id);
            if (!row) return "–";
            const told = el("span", { title: words("target") + " " + aim(row) + ", " + words("attainment") + " " + number(row.attainment, "share") }, dot(row.rag, metricNumber(id, row.actual)));
            return told;
          } })),
          { head: words("total"), kind: "n", cell: (member) => number(total(member), "share") },
        ], members, true), cutNote(found), el("p", { class: "note" }, ids.map((id) => metricName(id) + ": " + words("target") + " " + unique(rows.filter((row) => row.metric_id === id).map(aim)).slice(0, 4).join(" / ")).join(" · "))));
      }
      for (const [name, monthly] of [["teams", teams], ["people", people]]) {
        if (!monthly) continue;
        const months = unique(monthly.objects.map((row) => row.month));
        const control = choice(name + "Month", words("month"), months.map((month) => [month, month.slice(0, 7)]), months[1] || months[0]);
        const about = data.tables.find((table) => table.name === monthly.table);
        cards.push(el("div", { class: "card" }, el("h3", {}, wordOf("scopeType", name === "teams" ? "group" : "agent"), " ", el("code", {}, monthly.table)), el("div", { class: "controls" }, control),
          plainTable(monthly, monthly.objects.filter((row) => row.month === chosen[name + "Month"]), ["month", ...hidden(monthly)]), cutNote(monthly), about && about.grain && el("p", { class: "note" }, words("grain") + ": " + about.grain)));
      }
      return cards;
    },

    areas() {
      const daily = data.daily;
      const areaOf = (series) => (metrics.get(series.key[0]) || {}).area;
      const known_ = daily ? daily.series.filter(areaOf) : [];
      if (known_.length === 0) return null;
      // What is among the headline numbers first, in its order there.
      const place = (series) => { const at = metrics.get(series.key[0]).headline_position; return typeof at === "number" ? at : Infinity; };
      const areas_ = unique(known_.map(areaOf)).sort();
      const first = known_.reduce((best, series) => (place(series) < place(best) ? series : best));
      const areaChoice = choice("area", words("area"), areas_.map((area) => [area, area]), place(first) === Infinity ? areas_[0] : areaOf(first));
      const here = known_.filter((series) => areaOf(series) === chosen.area);
      const scopeKey = (series) => JSON.stringify(series.key.slice(1));
      const scopes = unique(here.map(scopeKey));
      const scopeChoice = choice("areaScope", words("scope"), scopes.map((scope) => [scope, scopeName(...JSON.parse(scope))]));
      const shown = here.filter((series) => scopeKey(series) === chosen.areaScope && hasAny(measure(daily, series, "value")))
        .sort((a, b) => (place(a) === place(b) ? (a.key[0] < b.key[0] ? -1 : 1) : place(a) - place(b)));
      return [el("div", { class: "controls" }, areaChoice, scopeChoice), el("div", { class: "two" }, shown.map((series) => {
        const values = (name) => measure(daily, series, name), id = series.key[0];
        const lines = [{ label: words("value"), values: values("value"), colour: colour("one") }];
        if (hasAny(values("target"))) lines.push({ label: words("target"), values: values("target"), colour: colour("two"), width: 1.5, dash: [6, 4] });
        return el("div", { class: "card" }, chart({ title: metricName(id), first: series.first, days: series.days, lines, text: (value) => metricNumber(id, value),
          unit: unitName(metricUnit(id)), open: positions(values("is_complete"), (value) => value === 0), height: 210 }));
      }))];
    },

    backlog() {
      const ages = grid("backlog");
      if (!ages) return null;
      const names = Object.keys(words("age"));
      const toDay = (text) => Math.round(Date.parse(text + "T00:00:00Z") / 86400000);
      const first = toDay(ages.objects[0].day), last = toDay(ages.objects[ages.objects.length - 1].day);
      const byDay = new Map(ages.objects.map((row) => [toDay(row.day), row]));
      const lines = names.map((name, at) => ({ label: words("age")[name], colour: colour("a" + (at + 1)),
        values: Array.from({ length: last - first + 1 }, (_, day) => { const row = byDay.get(first + day); return row ? row[name] : 0; }) }));
      return el("div", { class: "card" }, chart({ title: words("backlogAge"), first, days: last - first + 1, lines, text: (value) => number(value), unit: unitName("tickets"), height: 240, isStacked: true }));
    },

    risk() {
      const found = grid("matrix"), register = grid("register");
      if (!found) return null;
      const bases = ["inherent", "residual"].filter((basis) => found.objects.some((row) => row.basis === basis));
      const [shownBasis, shownCell] = (chosen.cell || "").split("/");
      const risksAt = (cell) => {
        if (!register) return [];
        const p = cell.basis === "residual" ? "residual_probability" : "probability", i = cell.basis === "residual" ? "residual_impact" : "impact";
        return register.objects.filter((row) => register.has(p) && register.has(i) && row[p] === cell.probability && row[i] === cell.impact);
      };
      const map = (basis) => {
        const at = new Map(found.objects.filter((row) => row.basis === basis).map((row) => [row.probability + ":" + row.impact, row]));
        const cells = [el("span", { class: "axis up" }, words("probability") + " →")];
        for (let p = 5; p >= 1; p -= 1) {
          cells.push(el("span", { class: "axis" }, p));
          for (let i = 1; i <= 5; i += 1) {
            const cell = at.get(p + ":" + i), key = p + ":" + i;
            const text = cell ? fill("{0} {1}, {2} {3}, {4}, {5}", words("probability"), p, words("impact"), i, wordOf("levelOf", cell.level), cell.risks + " " + words(cell.risks === 1 ? "risk1" : "risks")) : key;
            const isShown = shownBasis === basis && shownCell === key;
            cells.push(el("button", { type: "button", class: (cell ? cell.level : "") + (cell && cell.risks > 0 ? "" : " none"), "aria-pressed": isShown ? "true" : "false", "aria-label": text, title: text, "data-control": "cell" + basis + key,
              on: { click: () => { chosen.cell = basis + "/" + key; draw("cell" + basis + key); } } },
            el("b", {}, cell ? cell.risks : 0), el("small", {}, cell ? wordOf("levelLetter", cell.level) + " " + number(cell.score) : "")));
          }
        }
        cells.push(el("span", {}), el("span", {}), [1, 2, 3, 4, 5].map((i) => el("span", { class: "axis" }, i)), el("span", { class: "axis along" }, words("impact") + " →"));
        return el("div", { class: "card" }, el("h3", {}, words("basisOf")[basis]), el("div", { class: "heat", role: "group", "aria-label": words("basisOf")[basis] }, cells));
      };
      const cell = found.objects.find((row) => row.basis === shownBasis && row.probability + ":" + row.impact === shownCell);
      const list = cell ? risksAt(cell) : [];
      return [el("div", { class: "two" }, bases.map(map)),
        el("div", { class: "card", "aria-live": "polite" }, el("h3", {}, words("risksHere")), cell
          ? [el("p", {}, level(cell.level), " " + words("basisOf")[cell.basis] + ": " + words("probability") + " " + cell.probability + ", " + words("impact") + " " + cell.impact + ", " + words("score") + " " + number(cell.score)
              + (typeof cell.expected_loss === "number" && cell.risks > 0 ? ", " + words("expectedLoss") + " " + number(cell.expected_loss) : "")),
            list.length ? el("ul", {}, list.map((row) => el("li", {}, row.title))) : el("p", { class: "note" }, cell.risks + " " + words(cell.risks === 1 ? "risk1" : "risks"))]
          : el("p", { class: "note" }, words("chooseCell")),
        el("p", { class: "note" }, Object.keys(words("levelOf")).map((name) => [level(name), " "])))];
    },

    register() {
      const found = grid("register");
      if (!found) return null;
      const score = (row) => (typeof row.residual_score === "number" ? row.residual_score : row.probability * row.impact);
      const rows = [...found.objects].sort((a, b) => score(b) - score(a) || (a.risk_id < b.risk_id ? -1 : 1));
      const order = ["title", "category", "owner", "probability", "impact", "inherent_score", "inherent_level", "residual_score", "residual_level", "expected_loss", "response", "suggested_response", "status", "review_due", "overdue_days", "risk_id"];
      const columns = order.filter((name) => found.has(name)).map((name) => {
        const column = found.column(name);
        return { head: label(column), title: column.description, kind: name === "title" ? "th" : isMeasure(column) ? "n" : "nb", cell: (row) => (name.endsWith("_level") ? level(row[name]) : cellText(column, row[name])) };
      });
      return el("div", { class: "card" }, tableOf(words("register"), columns, rows, true), cutNote(found));
    },

    indicators() {
      const found = grid("indicators");
      if (!found) return null;
      const valueName = ["kri_value", "value"].find((name) => found.has(name));
      const byId = new Map();
      found.objects.forEach((row) => { if (!byId.has(row.kri_id)) byId.set(row.kri_id, []); byId.get(row.kri_id).push(row); });
      const latest = (id) => { const rows = byId.get(id); return [...rows].reverse().find((row) => row.is_complete !== false && row.state !== "unknown") || rows[rows.length - 1]; };
      // What is stale judges a day long past, so it stands behind all that is not.
      const rank = (id) => (isStale(latest(id).day) ? 4 : 0) + 3 - STATES.indexOf(known(latest(id).state));
      const ids = [...byId.keys()].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
      const show = metricNumber;
      return el("div", { class: "card" }, tableOf(words("indicators"), [
        { head: words("indicators"), kind: "th", cell: (id) => kriName(id) },
        { head: words("state"), kind: "nb", cell: (id) => mark(latest(id).state, "riskState") },
        ...(valueName ? [{ head: words("value"), kind: "n", cell: (id) => show(id, latest(id)[valueName]) }] : []),
        ...(found.has("amber") ? [{ head: words("thresholdAmber"), kind: "n", cell: (id) => show(id, latest(id).amber) }] : []),
        ...(found.has("red") ? [{ head: words("thresholdRed"), kind: "n", cell: (id) => show(id, latest(id).red) }] : []),
        ...(valueName ? [{ head: words("history"), kind: "nb sparkcell", cell: (id) => {
          const row = latest(id), lines = ["amber", "red"].filter((name) => typeof row[name] === "number").map((name) => ({ value: row[name], colour: name }));
          return spark(byId.get(id).map((one) => (one[valueName] === undefined ? null : one[valueName])), kriName(id) + ", " + words("history"), lines) || "–";
        } }] : []),
        { head: words("day"), kind: "nb", cell: (id) => dayText_(latest(id).day) },
      ], ids, true), cutNote(found));
    },

    events() {
      const found = grid("events");
      if (!found) return null;
      const control = choice("events", words("state"), [["all", words("all")], ["open", words("openEvents")], ["closed", words("closedEvents")]]);
      const indicators = grid("indicators"), known_ = new Map();
      if (indicators) indicators.objects.forEach((row) => { if (!(known_.get(row.kri_id) > row.day)) known_.set(row.kri_id, row.day); });
      const isOld = (row) => known_.has(row.kri_id) && isStale(known_.get(row.kri_id));
      const rows = found.objects.filter((row) => chosen.events === "all" || (chosen.events === "open") === (row.closed_on === null));
      const optional = (name, make) => (found.has(name) ? [make(found.column(name))] : []);
      return el("div", { class: "card" }, el("div", { class: "controls" }, control), rows.length === 0 ? el("p", { class: "note" }, words("noData")) : tableOf(words("events"), [
        { head: words("indicators"), kind: "th", cell: (row) => kriName(row.kri_id) },
        ...optional("worst_state", () => ({ head: words("worst"), kind: "nb", cell: (row) => mark(row.worst_state, "riskState") })),
        { head: words("opened"), kind: "nb", cell: (row) => row.opened_on },
        { head: words("closedOn"), kind: "nb", cell: (row) => row.closed_on || [el("b", {}, words("open")), isOld(row) && el("b", { class: "stale" }, " " + words("stale"))] },
        ...optional("days", (column) => ({ head: label(column), kind: "n", cell: (row) => number(row.days) })),
        ...optional("peak_value", (column) => ({ head: label(column), kind: "n", cell: (row) => metricNumber(row.kri_id, row.peak_value) })),
        ...optional("peak_on", (column) => ({ head: label(column), kind: "nb", cell: (row) => row.peak_on || "–" })),
        ...optional("category", (column) => ({ head: label(column), kind: "nb", cell: (row) => row.category || "–" })),
      ], rows, true), cutNote(found));
    },

    daily() {
      const trends = data.trends.filter((one) => one.series.length);
      if (!trends.length) return null;
      const tableChoice = choice("dailyTable", words("table"), trends.map((one) => [one.table, one.table]));
      const daily = trends.find((one) => one.table === chosen.dailyTable);
      const keyOf = (series) => JSON.stringify(series.key);
      const seriesChoice = choice("dailySeries", words("series"), daily.series.map((series) => [keyOf(series),
        series.key.map((value, at) => (daily.dimensions[at].name === "scope_type" ? null : label(daily.dimensions[at]) + ": " + (value === "all" ? words("all") : value === null ? words("none") : value))).filter(Boolean).join(", ") || words("all")]));
      const series = daily.series.find((one) => keyOf(one) === chosen.dailySeries);
      const drawable = daily.measures.filter((column) => column.name !== "is_complete");
      const withValues = drawable.filter((column) => hasAny(measure(daily, series, column.name)));
      const measures = withValues.length ? withValues : drawable;
      const measureChoice = choice("dailyMeasure", words("measure"), measures.map((column) => [column.name, label(column)]));
      const column = measures.find((one) => one.name === chosen.dailyMeasure);
      const values = measure(daily, series, column.name);
      const open = positions(measure(daily, series, "is_complete"), (value) => value === 0);
      const notes = [daily.description, column.description, fill(words("daysShown"), data.limits.days), daily.of > daily.series.length ? fill(words("seriesCut"), daily.series.length, daily.of) : "", daily.mixed ? fill(words("mixedSeries"), daily.mixed) : ""];
      return el("div", { class: "card" }, el("div", { class: "controls" }, tableChoice, daily.dimensions.length > 0 && seriesChoice, measureChoice),
        chart({ title: label(column), first: series.first, days: series.days, lines: [{ label: label(column), values, colour: colour("one") }], text: (value) => number(value, unitOf(column)), unit: unitName(unitOf(column)), open }),
        el("p", { class: "note" }, notes.filter(Boolean).join(language === "zh" ? "。" : ". ").replace(/([.。])[.。] ?/g, "$1 ")));
    },

    ledger() {
      const found = grid("ledger"), reasons = grid("quarantine");
      if (!found) return null;
      const closes = (row) => row.records === row.accepted + row.quarantined + row.blank && row.rows === row.clean + row.exact_duplicates + row.superseded + (row.quarantined_in_clean || 0);
      const bar = (row) => {
        const of = row.rows + row.quarantined + row.blank || 1, parts_ = [["a", row.clean], ["c", row.exact_duplicates + row.superseded + row.blank], ["b", row.quarantined + (row.quarantined_in_clean || 0)]];
        const made = el("div", { class: "bar", role: "img", "aria-label": number(row.clean / of, "share") });
        parts_.forEach(([name, count]) => { if (count > 0) { const piece = el("i", { class: name }); piece.style.width = "max(" + ((100 * count) / of).toFixed(3) + "%, 2px)"; made.append(piece); } });
        return made;
      };
      const count = (head, get) => ({ head, kind: "n", cell: (row) => whole(get(row)) });
      return [el("div", { class: "card" }, el("h3", {}, words("fate")), tableOf(words("fate"), [
        { head: words("dataset"), kind: "th", cell: (row) => row.dataset }, count(words("files"), (row) => row.files), count(words("records"), (row) => row.records),
        { head: "", kind: "nb", cell: bar },
        count(words("clean"), (row) => row.clean), count(words("duplicates"), (row) => row.exact_duplicates), count(words("superseded"), (row) => row.superseded), count(words("setAside"), (row) => row.quarantined + (row.quarantined_in_clean || 0)), count(words("blank"), (row) => row.blank),
        { head: words("closes"), kind: "nb", cell: (row) => (closes(row) ? dot("green", words("yes"), "riskState") : dot("red", words("no"), "riskState")) },
      ], found.objects), cutNote(found)),
      reasons && el("div", { class: "card" }, el("h3", {}, words("reasons")), tableOf(words("reasons"), [
        { head: words("dataset"), kind: "th", cell: (row) => row.dataset }, { head: words("reason"), kind: "nb", cell: (row) => el("code", {}, row.reason) }, { head: words("column"), kind: "nb", cell: (row) => row.column_name || "–" },
        count(words("records"), (row) => row.records), { head: words("example"), kind: "w", cell: (row) => row.message },
      ], reasons.objects, true), cutNote(reasons))];
    },

    checks() {
      const found = grid("checks");
      if (!found) return null;
      const of = (state) => ({ passed: "green", kept: "green", warned: "amber", broken: "red" }[state] || "unknown");
      const states = unique(found.objects.map((row) => row.state));
      const table = (rows) => tableOf(words("checks"), found.columns.map((column, at) => ({ head: label(column), title: column.description, kind: at === 0 ? "th" : isMeasure(column) ? "n" : column.kind === "string" && column.name === "message" ? "w" : "nb",
        cell: (row) => (column.name === "state" ? mark(of(row.state), "rag", wordOf("checkState", row.state)) : cellText(column, row[column.name])) })), rows, true);
      const notKept = found.objects.filter((row) => of(row.state) !== "green");
      return el("div", { class: "card" }, el("dl", { class: "facts" }, states.map((state) => el("div", {}, el("dt", {}, mark(of(state), "rag", wordOf("checkState", state))), el("dd", {}, whole(found.objects.filter((row) => row.state === state).length))))),
        notKept.length > 0 && table(notKept), el("details", {}, el("summary", {}, words("asTable")), table(found.objects)), cutNote(found));
    },

    freshness() {
      const found = grid("freshness");
      return found && el("div", { class: "card" }, plainTable(found, found.objects), cutNote(found));
    },

    runs() {
      if (!data.runs.length) return null;
      const timed = data.runs.filter((run) => run.seconds !== null).reverse();
      const longest = Math.max(...timed.map((run) => run.seconds), 0.01);
      const built = data.runs.find((run) => run.tables.length > 0);
      const slowest = built ? [...built.tables].sort((a, b) => b[2] - a[2] || (a[0] < b[0] ? -1 : 1)).slice(0, 10) : [];
      const most = Math.max(...slowest.map((one) => one[2]), 0.01);
      const of = (status) => ({ published: "green", held: "amber", failed: "red" }[status] || "unknown");
      const width = 100 / Math.max(timed.length, 12);
      return [el("div", { class: "two" },
        timed.length > 1 && el("div", { class: "card" }, el("h3", {}, words("durations")), svg("svg", { viewBox: "0 0 100 36", preserveAspectRatio: "none", role: "img", "aria-label": words("durations"), style: "width:100%;height:9rem" },
          timed.map((run, at) => svg("rect", { x: (at * width + width * 0.15).toFixed(2), width: (width * 0.7).toFixed(2), y: (36 - (35 * run.seconds) / longest).toFixed(2), height: ((35 * run.seconds) / longest).toFixed(2), fill: "var(--a3)" }, svg("title", {}, run.run + ": " + number(run.seconds) + " s")))),
          el("p", { class: "note" }, "0 – " + number(longest) + " s")),
        slowest.length > 0 && el("div", { class: "card" }, el("h3", {}, words("slowest")), el("dl", { class: "hbar" }, slowest.map(([name, , seconds]) => {
          const bar = el("i", {});
          bar.style.width = ((100 * seconds) / most).toFixed(1) + "%";
          return [el("dt", {}, el("code", {}, name)), el("dd", {}, bar), el("dd", { class: "n" }, number(seconds, "", 2) + " s")];
        })))),
      el("div", { class: "card" }, tableOf(words("runs"), [
        { head: words("started"), kind: "th", cell: (run) => instant(run.started_at) }, { head: words("status"), kind: "nb", cell: (run) => mark(of(run.status), "rag", wordOf("statusOf", run.status)) },
        { head: words("jobs"), kind: "nb", cell: (run) => run.chosen || words("everything") }, { head: words("seconds"), kind: "n", cell: (run) => (run.seconds === null ? "–" : number(run.seconds, "", 2)) },
        { head: words("tablesBuilt"), kind: "n", cell: (run) => whole(run.tables.length) }, { head: words("records"), kind: "n", cell: (run) => whole(run.records) }, { head: words("error"), kind: "w", cell: (run) => run.error || (run.held_for.length ? words("moved") + ": " + run.held_for.join(", ") : "") },
      ], data.runs, true))];
    },

    tables() {
      return el("div", { class: "card" }, tableOf(words("tables"), [
        { head: words("table"), kind: "th", cell: (table) => el("code", {}, table.name) }, { head: words("rows"), kind: "n", cell: (table) => whole(table.rows) },
        { head: words("newest"), kind: "nb", cell: (table) => instant(table.newest) }, { head: words("description"), kind: "w", cell: (table) => table.description || "–" }, { head: words("grain"), kind: "t", cell: (table) => table.grain || "–" },
      ], data.tables, true));
    },
  };

  // ---- the whole page ----
  const frame = () => {
    document.title = words("title");
    root.lang = language;
    document.getElementById("skip").textContent = words("skip");
    document.getElementById("top").replaceChildren(
      el("div", {}, el("h1", {}, words("title")), el("p", { class: "about" }, words("asOf") + " " + instant(data.as_of) + " UTC · " + words("snapshot") + " " + data.snapshot.slice(0, 12) + " · " + words("run") + " " + data.run)),
      el("div", { class: "tools" },
        el("button", { type: "button", id: "language", "data-control": "language", lang: language === "zh" ? "en" : "zh", title: words("languageHint"), on: { click: () => { language = language === "zh" ? "en" : "zh"; draw("language"); } } }, words("language")),
        el("button", { type: "button", id: "theme", "data-control": "theme", on: { click: () => {
          theme = { auto: "light", light: "dark", dark: "auto" }[theme];
          if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
          draw("theme");
        } } }, words("theme") + ": " + words("themes")[theme]),
        el("button", { type: "button", on: { click: () => window.print() } }, words("print"))));
    document.getElementById("foot").replaceChildren(el("p", {}, fill(words("limits"), data.limits.days, data.limits.series, data.limits.groups, data.limits.months, data.limits.runs, data.limits.characters)), el("p", {}, words("footer")));
  };
  const draw = (focus) => {
    const scrolled = new Map([...document.querySelectorAll(".parts ul")].map((list) => [list.className, list.scrollLeft]));
    const opened = [...document.querySelectorAll("details")].map((one) => one.open);
    plots.forEach((plot) => plot.end());
    plots = [];
    frame();
    const sections = Object.entries(parts).map(([name, make]) => [name, make()]).filter(([, made]) => made && (!Array.isArray(made) || made.flat().some(Boolean)));
    document.getElementById("main").replaceChildren(...sections.map(([name, made]) => el("section", { id: name, "aria-labelledby": "h-" + name }, el("h2", { id: "h-" + name }, words(name)), made)));
    document.getElementById("parts").setAttribute("aria-label", words("parts"));
    document.getElementById("parts").replaceChildren(el("ul", {}, sections.map(([name]) => el("li", {}, el("a", { href: "#" + name }, words(name))))));
    document.querySelectorAll("figure").forEach((figure) => figure.make && figure.make());
    [...document.querySelectorAll("details")].forEach((one, at) => { if (opened[at]) one.open = true; });
    document.querySelectorAll(".parts ul").forEach((list) => { list.scrollLeft = scrolled.get(list.className) || 0; });
    if (focus) { const again = [...document.querySelectorAll("[data-control]")].find((one) => one.dataset.control === focus); if (again) again.focus({ preventScroll: true }); }
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
  // Paper is white: charts are drawn for it, and back again.
  let before = null;
  addEventListener("beforeprint", () => { before = theme; theme = "light"; root.dataset.theme = "light"; draw(); });
  addEventListener("afterprint", () => { theme = before || "auto"; if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme; draw(); });
  draw();
})();
