"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const root = document.documentElement;
  const finite = (x) => typeof x === "number" && Number.isFinite(x);
  const list = (x) => (Array.isArray(x) ? x : []);
  const text = (x) => (typeof x === "string" ? x : "");

  // ---- elements ----
  const SVG = "http://www.w3.org/2000/svg";
  const fill = (node, attributes, children) => {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined) node.setAttribute(name, value);
    }
    for (const child of children) if (child !== null) node.append(child);
    return node;
  };
  const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const sv = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  // ---- numbers, in words ----
  const digits = (x, options) => new Intl.NumberFormat("en", options).format(x);
  const number = (x) => {
    if (!finite(x)) return "–";
    if (x === 0 || Number.isInteger(x) || Math.abs(x) >= 1000) return digits(x, { maximumFractionDigits: 0 });
    return digits(x, { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });
  };
  const short = (x) => digits(x, { maximumSignificantDigits: 6 });
  const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  const unitOf = (x) => {
    let unit = 0;
    for (let rest = Math.abs(x); rest >= 1023.5 && unit < UNITS.length - 1; rest /= 1024) unit += 1;
    return unit;
  };
  const bytes = (x) => {
    if (!finite(x)) return "–";
    const unit = unitOf(x);
    return `${digits(x / 1024 ** unit, { maximumSignificantDigits: x >= 1000 * 1024 ** unit ? 4 : 3 })} ${UNITS[unit]}`;
  };
  const ms = (x) => (finite(x) ? `${number(x)} ms` : "–");
  const plural = (n, one, many) => `${number(n)} ${n === 1 ? one : many}`;
  const joined = (parts) => (parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts[parts.length - 1]}`);

  // ---- the strategies ----
  const KNOWN = ["system", "pool", "arena"];
  const DASHES = [null, "9 4", "2.5 2.5", "10 3 2 3", "5 3", "14 4"];
  const strategiesOf = (data) => {
    let next = KNOWN.length;
    return list(data.strategies).map((s, index) => {
      const known = KNOWN.indexOf(s.name);
      const slot = known >= 0 ? known : next++ % DASHES.length;
      const timeline = list(s.timeline).filter((p) => p && finite(p.ms) && finite(p.in_use) && finite(p.held));
      timeline.sort((a, b) => a.ms - b.ms);
      return { ...s, label: text(s.name) || `strategy ${index + 1}`, css: `s${slot}`, dash: DASHES[slot], timeline,
        losses: list(s.losses), steps: list(s.step_ms).filter(finite) };
    });
  };
  const systemOf = (strategies) => strategies.find((s) => s.name === "system" && finite(s.step_ms_median) && s.step_ms_median > 0);
  const ratioOf = (s, system) => {
    if (finite(s.ratio_to_system)) return s.ratio_to_system;
    return system && finite(s.step_ms_median) ? s.step_ms_median / system.step_ms_median : NaN;
  };

  /** Where the losses of the strategies part, if they do. JSON keeps the bits of every finite float. */
  const compareLosses = (strategies) => {
    const ran = strategies.filter((s) => s.losses.length > 0);
    const apart = [];
    for (const s of ran.slice(1)) {
      const first = ran[0].losses;
      const n = Math.max(first.length, s.losses.length);
      let i = 0;
      while (i < n && i < first.length && i < s.losses.length && Object.is(first[i], s.losses[i])) i += 1;
      if (i < n) apart.push({ name: s.label, step: i, ours: s.losses[i], theirs: first[i] });
    }
    const gaps = ran.length ? ran[0].losses.filter((x) => !finite(x)).length : 0;
    return { ran, apart, gaps, same: apart.length === 0 };
  };

  // ---- header ----
  const timeAgainst = (s, system) => {
    const ratio = s.step_ms_median / system.step_ms_median;
    const percent = Math.abs(ratio - 1) * 100;
    if (percent < 2) return `${s.label} took ${ms(s.step_ms_median)}, within 2 % of it`;
    const change = ratio > 2 ? `${number(ratio)} times as long` : `${Math.round(percent)} % ${ratio < 1 ? "less" : "more"}`;
    return `${s.label} took ${ms(s.step_ms_median)} (${change})`;
  };
  const finding = (strategies) => {
    const timed = strategies.filter((s) => finite(s.step_ms_median));
    const system = systemOf(strategies);
    if (strategies.length === 0) return "No strategy was run, so there is nothing to compare.";
    if (timed.length === 0) return "No step time was measured, so the strategies cannot be compared by time.";
    const others = timed.filter((s) => s !== system);
    if (system && others.length === 0) {
      return `Only system was timed: ${ms(system.step_ms_median)} a step (median), with nothing to compare it with.`;
    }
    if (system) return `A step took ${ms(system.step_ms_median)} under system (median); ${joined(others.map((s) => timeAgainst(s, system)))}.`;
    const each = joined(others.map((s) => `${ms(s.step_ms_median)} under ${s.label}`));
    return `A step took ${each} (median); system was not timed, so there is no baseline to compare with.`;
  };
  const notes = (strategies) => {
    const out = [];
    const system = systemOf(strategies);
    const spread = system && finite(system.step_ms_p95) ? system.step_ms_p95 - system.step_ms_median : 0;
    const close = !system ? [] : strategies.filter((s) => s !== system && finite(s.step_ms_median)
      && Math.abs(s.step_ms_median - system.step_ms_median) < spread);
    if (close.length) {
      out.push(`The difference between system and ${joined(close.map((s) => s.label))} is smaller than system's own spread from median to p95 (${ms(spread)}).`);
    }
    const held = strategies.filter((s) => finite(s.peak_held));
    if (held.length) out.push(`Memory held at the peak: ${joined(held.map((s) => `${bytes(s.peak_held)} under ${s.label}`))}.`);
    const losses = compareLosses(strategies);
    if (losses.ran.length > 1) {
      out.push(losses.same ? `The losses of ${joined(losses.ran.map((s) => s.label))} are identical${losses.gaps ? " where they are finite" : " to the bit"}.`
        : "The losses of the strategies DIFFER: they did not do the same work, so their times do not compare.");
    }
    const absent = KNOWN.filter((name) => !strategies.some((s) => s.name === name));
    if (absent.length && strategies.length) out.push(`Not in this report: ${joined(absent)}.`);
    return out;
  };
  /** The command, which may wrap between its words but not at their hyphens. */
  const commandLine = (line) => el("code", null, ...line.split(/( +)/).map((part, i) => (i % 2 ? part : el("span", null, part))));
  const drawHeader = (data, strategies) => {
    const title = text(data.title) || "Training report";
    byId("title").textContent = title;
    document.title = title;
    byId("finding").textContent = finding(strategies);
    byId("notes").replaceChildren(...notes(strategies).map((note) => el("li", null, note)));
    byId("command").replaceChildren(...(text(data.command) ? [commandLine(data.command)] : []));
  };

  // ---- table ----
  const drawTable = (data, strategies) => {
    const host = byId("table");
    if (strategies.length === 0) {
      host.replaceChildren(el("p", { class: "none" }, "No strategy was run."));
      return 0;
    }
    const system = systemOf(strategies);
    const rows = [
      ["Time per step", "median", (s) => s.step_ms_median, ms],
      ["Time per step", "95th percentile", (s) => s.step_ms_p95, ms],
      ["Ratio to system", "of medians; below 1 is faster", (s) => ratioOf(s, system), number],
      ["Allocations", "per step", (s) => s.allocs_per_step, number],
      ["System-allocator calls", "per step", (s) => s.system_calls_per_step, number],
      ["Page faults", "per step, after warm-up", (s) => s.faults_per_step, number],
      ["Peak in use", null, (s) => s.peak_in_use, bytes],
      ["Peak held", null, (s) => s.peak_held, bytes],
      ["Resident peak", "of the process", (s) => s.rss_peak, bytes],
    ];
    const head = strategies.map((s) => el("th", { scope: "col" }, swatch(s), s.label));
    const body = rows.map(([name, unit, value, format]) => {
      const values = strategies.map(value);
      const low = Math.min(...values.filter(finite));
      const marked = values.some((x) => finite(x) && x > low);
      const cells = values.map((x) => el("td", { class: marked && x === low ? "low" : null,
        title: format === bytes && finite(x) ? `${digits(x)} bytes` : null }, format(x)));
      return el("tr", null, el("th", { scope: "row" }, name, unit && el("small", null, unit)), ...cells);
    });
    host.replaceChildren(el("table", null, el("thead", null, el("tr", null, el("th", { scope: "col" }, "Strategy"), ...head)), el("tbody", null, ...body)));
    return rows.length * strategies.length;
  };
  const swatch = (s) => sv("svg", { class: `swatch ${s.css}`, viewBox: "0 0 18 8", "aria-hidden": "true" },
    sv("line", { class: "line", x1: 0, x2: 18, y1: 4, y2: 4, "stroke-dasharray": s.dash }));

  // ---- charts: scales ----
  const niceStep = (span, n) => {
    const raw = span / Math.max(n, 1);
    const power = 10 ** Math.floor(Math.log10(raw));
    return power * ([1, 2, 2.5, 5, 10].find((m) => m * power >= raw * (1 - 1e-9)) || 10);
  };
  const ticks = (lo, hi, n) => {
    if (!(hi > lo)) return [lo];
    const step = niceStep(hi - lo, n);
    const out = [];
    for (let i = Math.ceil(lo / step - 1e-9); i * step <= hi + step * 1e-9; i += 1) out.push(Number((i * step).toPrecision(12)));
    return out;
  };
  const byteTicks = (lo, hi, n) => {
    const unit = 1024 ** unitOf(hi);
    return ticks(lo / unit, hi / unit, n).map((t) => t * unit);
  };
  /** [lo, hi] widened to whole ticks, and never empty. */
  const widen = (lo, hi, n, base) => {
    if (!(hi > lo)) return base === undefined ? [lo - 0.5, lo + 0.5] : [base, lo > base ? lo * 1.1 : base + 1];
    const step = niceStep(hi - lo, n);
    return [Math.floor(lo / step + 1e-9) * step, Math.ceil(hi / step - 1e-9) * step];
  };
  const extent = (values) => values.reduce(([lo, hi], x) => (finite(x) ? [Math.min(lo, x), Math.max(hi, x)] : [lo, hi]), [Infinity, -Infinity]);
  const inSeconds = (msMax) => msMax >= 10000;
  const clock = (x, seconds) => (seconds ? `${number(x / 1000)} s` : `${number(x)} ms`);
  /** Index of the last point at or before x, or -1. */
  const lastAt = (points, x) => {
    let [lo, hi] = [0, points.length];
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (points[mid][0] <= x) lo = mid + 1; else hi = mid;
    }
    return lo - 1;
  };

  // ---- charts: lines ----
  /** At most first, lowest, highest and last of the points that fall on one pixel column, so that no peak is lost. */
  const thin = (points, toX) => {
    const out = [];
    for (let i = 0; i < points.length;) {
      const column = Math.floor(toX(points[i][0]));
      let [j, lo, hi] = [i, i, i];
      while (j < points.length && Math.floor(toX(points[j][0])) === column && finite(points[j][1]) === finite(points[i][1])) {
        if (points[j][1] < points[lo][1]) lo = j;
        if (points[j][1] > points[hi][1]) hi = j;
        j += 1;
      }
      out.push(...[...new Set([i, lo, hi, j - 1])].sort((a, b) => a - b).map((k) => points[k]));
      i = j;
    }
    return out;
  };
  /** Path of a line that breaks at gaps, and the points that stand alone. */
  const trace = (points, toX, toY, stepped) => {
    let [path, open] = ["", false];
    const alone = [];
    points.forEach(([x, y], i) => {
      if (!finite(y)) { open = false; return; }
      const at = `${toX(x).toFixed(1)}`;
      path += open ? (stepped ? `H${at}V${toY(y).toFixed(1)}` : `L${at},${toY(y).toFixed(1)}`) : `M${at},${toY(y).toFixed(1)}`;
      const next = points[i + 1];
      if (!open && !(next && finite(next[1]))) alone.push([toX(x), toY(y)]);
      open = true;
    });
    return { path, alone };
  };
  /** Draws again, in the next frame, when `plot` is no longer as wide as it was drawn. */
  const onResize = (plot, drawnWidth, draw) => {
    const check = () => { if (plot.clientWidth && plot.clientWidth !== drawnWidth()) draw(); };
    new ResizeObserver(() => requestAnimationFrame(check)).observe(plot);
  };
  let charts = 0;
  /**
   * A line chart with axes, a cursor for mouse, touch and arrow keys, and a redraw when its width changes.
   * spec: label, xLabel, yLabel, height, x: [lo, hi], y(n): [lo, hi], xTicks, yTicks, xText, yText, stops: [x…],
   * series: [{ css, dash, thin, stepped, points: [[x, y]…], shown() }], references: [{ y, text }], read(x or null), say(x).
   */
  const lineChart = (host, spec) => {
    const id = `chart${charts += 1}`;
    const plot = el("div", { class: "chart", tabindex: 0, role: "slider", "aria-label": spec.label, "aria-valuemin": 0,
      "aria-valuemax": Math.max(spec.stops.length - 1, 0), "aria-valuenow": 0, "aria-valuetext": "no position chosen; move with the arrow keys" });
    host.append(plot);
    let [width, cursor, line, toX, box] = [0, null, null, null, null];
    const draw = () => {
      width = Math.max(plot.clientWidth || 640, 200);
      const height = Math.round(Math.min(spec.height, Math.max(290, width * 0.62)));
      const rows = Math.max(2, Math.floor((height - 70) / 48));
      const [y0, y1] = spec.y(rows);
      const yTicks = spec.yTicks(y0, y1, rows);
      const left = 12 + 7 * Math.max(...yTicks.map((t) => spec.yText(t).length), 2);
      box = { left, right: width - 14, top: 30, bottom: height - 44 };
      const [x0, x1] = spec.x();
      toX = (x) => box.left + ((x - x0) / (x1 - x0)) * (box.right - box.left);
      toX.back = (px) => x0 + ((px - box.left) / (box.right - box.left)) * (x1 - x0);
      const toY = (y) => box.bottom - ((y - y0) / (y1 - y0)) * (box.bottom - box.top);
      const parts = [sv("title", { id: `${id}t` }, spec.label),
        sv("clipPath", { id: `${id}c` }, sv("rect", { x: box.left, y: box.top - 4, width: box.right - box.left + 4, height: box.bottom - box.top + 8 })),
        sv("text", { class: "label", x: 2, y: 14 }, spec.yLabel),
        sv("text", { class: "label", x: (box.left + box.right) / 2, y: height - 6, "text-anchor": "middle" }, spec.xLabel())];
      for (const t of yTicks) {
        parts.push(sv("line", { class: "grid", x1: box.left, x2: box.right, y1: toY(t), y2: toY(t) }),
          sv("text", { x: box.left - 6, y: toY(t) + 4, "text-anchor": "end" }, spec.yText(t)));
      }
      for (const t of spec.xTicks(x0, x1, Math.max(2, Math.floor((box.right - box.left) / 62)))) {
        parts.push(sv("line", { class: "axis", x1: toX(t), x2: toX(t), y1: box.bottom, y2: box.bottom + 5 }),
          sv("text", { x: toX(t), y: box.bottom + 19, "text-anchor": toX(t) > box.right - 12 ? "end" : "middle" }, spec.xText(t)));
      }
      parts.push(sv("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
      for (const r of (spec.references || []).filter((r) => r.y >= y0 && r.y <= y1)) {
        parts.push(sv("line", { class: "reference", x1: box.left, x2: box.right, y1: toY(r.y), y2: toY(r.y) }),
          sv("text", { x: box.right, y: toY(r.y) - 5, "text-anchor": "end" }, r.text));
      }
      const group = sv("g", { "clip-path": `url(#${id}c)` });
      for (const s of spec.series.filter((s) => s.shown())) {
        const { path, alone } = trace(thin(s.points, toX), toX, toY, s.stepped);
        const turns = s.points.filter((p, i) => i > 0 && p[1] !== s.points[i - 1][1]).length;
        // A calm line keeps a margin, so that it can be seen across a busy one.
        if (path && s.stepped && turns < width / 8) group.append(sv("path", { class: "halo", d: path }));
        if (path) group.append(sv("path", { class: `line ${s.css}${s.thin ? " thin" : ""}`, "stroke-dasharray": s.dash, d: path }));
        for (const [cx, cy] of alone) group.append(sv("circle", { class: `dot ${s.css}`, cx, cy, r: 4 }));
      }
      line = sv("line", { class: "cursor", y1: box.top, y2: box.bottom, visibility: "hidden" });
      plot.replaceChildren(sv("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": `${id}t` }, ...parts, group, line));
      plot.dataset.points = String(spec.series.reduce((n, s) => n + s.points.length, 0));
      plot.dataset.paths = String(group.childElementCount);
      show();
    };
    const show = () => {
      const at = cursor === null ? null : spec.stops[cursor];
      const px = at === null ? -1 : toX(at);
      const inside = px >= box.left - 1 && px <= box.right + 1;
      fill(line, { x1: px, x2: px, visibility: inside ? "visible" : "hidden" }, []);
      spec.read(at);
      if (at !== null) fill(plot, { "aria-valuenow": cursor, "aria-valuetext": spec.say(at) }, []);
    };
    const move = (to) => {
      cursor = spec.stops.length === 0 || to === null ? null : Math.min(Math.max(to, 0), spec.stops.length - 1);
      show();
    };
    const point = (event) => {
      const frame = plot.getBoundingClientRect();
      const x = toX.back((event.clientX - frame.left) * (width / (frame.width || 1)));
      const before = lastAt(spec.stops.map((stop) => [stop]), x);
      const after = before + 1 < spec.stops.length && (before < 0 || spec.stops[before + 1] - x < x - spec.stops[before]);
      move(after ? before + 1 : before);
    };
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") move(null); });
    plot.addEventListener("keydown", (event) => {
      const far = Math.max(1, Math.round(spec.stops.length / 20));
      const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: far, PageDown: -far, Home: -Infinity, End: Infinity }[event.key];
      if (event.key === "Escape") move(null);
      else if (by !== undefined) { move(cursor === null ? (by === Infinity ? by : 0) : cursor + by); event.preventDefault(); }
    });
    draw();
    onResize(plot, () => width, draw);
    return draw;
  };

  // ---- memory ----
  const valuesAt = (s, at) => {
    if (at === null) return `in use ${bytes(s.peak_in_use)}, held ${bytes(s.peak_held)}`;
    const p = s.timeline[lastAt(s.timeline.map((q) => [q.ms]), at)];
    if (!p) return "not yet measured";
    if (at > s.timeline[s.timeline.length - 1].ms) return "has ended";
    return `in use ${bytes(p.in_use)}, held ${bytes(p.held)}`;
  };
  const memoryLegend = (strategies, hidden, redraw) => strategies.map((s) => {
    const values = el("span", { class: "values" });
    const key = sv("svg", { class: `key ${s.css}`, viewBox: "0 0 34 26", "aria-hidden": "true" },
      sv("line", { class: "line", x1: 1, x2: 33, y1: 8, y2: 8, "stroke-dasharray": s.dash }),
      sv("polyline", { class: "line thin", points: "1,23 9,16 9,23 17,16 17,23 25,16 25,23 33,16" }));
    const button = el("button", { type: "button", "aria-pressed": "true" }, key, el("span", { class: "name" }, s.label), values);
    button.addEventListener("click", () => {
      if (!hidden.delete(s)) hidden.add(s);
      button.setAttribute("aria-pressed", String(!hidden.has(s)));
      redraw();
    });
    return { item: el("li", null, button), values, s };
  });
  const drawMemory = (data, strategies) => {
    const host = byId("memory");
    const drawn = strategies.filter((s) => s.timeline.length > 0);
    if (drawn.length === 0) {
      host.replaceChildren(el("p", null, "No memory timeline was recorded."));
      return 0;
    }
    const all = extent(drawn.flatMap((s) => s.timeline.map((p) => p.ms)));
    const [start, end] = [Math.min(0, all[0]), Math.max(all[1], all[0] + 1)];
    const tenth = (end - start) / 10;
    const windows = [["whole run", start, end], ["first tenth", start, start + tenth], ["last tenth", end - tenth, end]];
    const hidden = new Set();
    let view = windows[0];
    let redraw = () => {};
    const seconds = inSeconds(end);
    const readout = el("p", { class: "readout" });
    const legend = memoryLegend(drawn, hidden, () => redraw());
    const shown = () => drawn.filter((s) => !hidden.has(s));
    const stops = [...new Set(drawn.flatMap((s) => s.timeline.map((p) => p.ms)))].sort((a, b) => a - b);
    const buttons = windows.map((w) => {
      const button = el("button", { type: "button", "aria-pressed": String(w === view) }, w[0]);
      button.addEventListener("click", () => {
        view = w;
        buttons.forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
        redraw();
      });
      return button;
    });
    host.replaceChildren(el("div", { class: "controls", role: "group", "aria-label": "part of the run to show" }, ...buttons));
    redraw = lineChart(host, {
      label: `Memory held and in use over time under ${joined(drawn.map((s) => s.label))}`,
      yLabel: "memory: held (thick line), in use (thin line)",
      xLabel: () => `clock time since training started, the strategies taking turns (${seconds ? "s" : "ms"})`,
      height: 400, stops,
      x: () => [view[1], view[2]],
      y: (n) => {
        const top = Math.max(...drawn.flatMap((s) => s.timeline.map((p) => Math.max(p.held, p.in_use))));
        const unit = 1024 ** unitOf(top);
        return widen(0, top / unit, n, 0).map((v) => v * unit);
      },
      xTicks: (a, b, n) => (seconds ? ticks(a / 1000, b / 1000, n).map((t) => t * 1000) : ticks(a, b, n)),
      yTicks: byteTicks,
      xText: (t) => short(seconds ? t / 1000 : t),
      yText: bytes,
      series: [
        ...drawn.map((s) => ({ css: s.css, thin: true, points: s.timeline.map((p) => [p.ms, p.in_use]), shown: () => !hidden.has(s) })),
        ...drawn.map((s) => ({ css: s.css, dash: s.dash, stepped: true, points: s.timeline.map((p) => [p.ms, p.held]), shown: () => !hidden.has(s) })),
      ],
      read: (at) => {
        readout.textContent = at === null ? "At their peaks:" : `At ${clock(at, seconds)}:`;
        for (const { values, s } of legend) values.textContent = valuesAt(s, at);
      },
      say: (at) => `at ${clock(at, seconds)}: ${shown().map((s) => `${s.label} ${valuesAt(s, at)}`).join("; ")}`,
    });
    host.append(readout, el("ul", { class: "legend" }, ...legend.map((entry) => entry.item)), el("p", { class: "hint" },
      "Point at the chart, or move through it with the arrow keys, to read values. A name shows or hides its lines."));
    return drawn.reduce((n, s) => n + s.timeline.length, 0);
  };

  // ---- loss ----
  const lossWords = (losses) => {
    if (losses.ran.length === 1) return el("p", null, `One strategy recorded losses: ${losses.ran[0].label}.`);
    if (losses.same) {
      const gaps = losses.gaps ? `, where finite (${plural(losses.gaps, "step is", "steps are")} not finite)` : "";
      return el("p", null, `Identical to the bit under: ${losses.ran.map((s) => s.label).join(", ")}${gaps}.`);
    }
    const value = (x) => (x === undefined ? "no loss" : x === null ? "a loss that is not finite" : String(x));
    return el("p", { class: "warning", role: "alert" }, `The losses differ. ${losses.apart.map((a) =>
      `${a.name} departs from ${losses.ran[0].label} at step ${a.step + 1}: ${value(a.ours)} against ${value(a.theirs)}.`).join(" ")}`);
  };
  const drawLoss = (data, strategies) => {
    const host = byId("loss");
    const losses = compareLosses(strategies);
    const all = losses.ran.flatMap((s) => s.losses).filter(finite);
    if (all.length === 0) {
      host.replaceChildren(el("p", null, losses.ran.length ? "Losses were recorded, but none is finite." : "No losses were recorded."));
      return 0;
    }
    host.replaceChildren(lossWords(losses));
    const drawn = losses.same ? losses.ran.slice(0, 1) : losses.ran;
    const steps = Math.max(...drawn.map((s) => s.losses.length));
    const vocabulary = data.model && data.model.vocabulary;
    const guess = finite(vocabulary) && vocabulary > 1 ? Math.log(vocabulary) : NaN;
    const [lo, hi] = extent(all);
    const readout = el("p", { class: "readout" });
    const at = (step) => drawn.map((s) => {
      const x = s.losses[step - 1];
      return `${losses.same ? "loss" : s.label} ${finite(x) ? x.toFixed(4) : x === null ? "not finite" : "–"}`;
    }).join(", ");
    lineChart(host, {
      label: `Loss by training step, ${losses.same ? "one line for all strategies" : `one line each for ${joined(drawn.map((s) => s.label))}`}`,
      yLabel: "loss (nats per token)", xLabel: () => "training step", height: 320,
      stops: Array.from({ length: steps }, (_, i) => i + 1),
      x: () => (steps > 1 ? [1, steps] : [0, 2]),
      y: (n) => widen(lo, hi, n),
      xTicks: (a, b, n) => ticks(a, b, n).filter((t) => Number.isInteger(t) && t >= 1 && t <= steps), yTicks: ticks,
      xText: short, yText: short,
      series: drawn.map((s) => ({ css: losses.same ? "plain" : s.css, dash: losses.same ? null : s.dash, shown: () => true,
        points: s.losses.map((x, i) => [i + 1, x]) })),
      references: finite(guess) ? [{ y: guess, text: `uniform guess: ln ${vocabulary} = ${guess.toFixed(2)}` }] : [],
      read: (step) => {
        const last = drawn[0].losses[drawn[0].losses.length - 1];
        readout.textContent = step === null ? `First ${at(1)}; ${losses.same && finite(last) ? `last ${at(steps)}, ` : ""}after ${plural(steps, "step", "steps")}.`
          : `Step ${step}: ${at(step)}`;
      },
      say: (step) => `step ${step}: ${at(step)}`,
    });
    host.append(readout);
    if (!losses.same) host.append(el("p", { class: "hint" }, ...drawn.map((s) => el("span", { class: "entry" }, swatch(s), ` ${s.label}`))));
    return drawn.reduce((n, s) => n + s.losses.length, 0);
  };

  // ---- step times ----
  const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))];
  const histogramRow = (s, top, box, bins, lo, hi) => {
    const counts = new Array(bins).fill(0);
    const beyond = s.steps.filter((x) => x > hi).length;
    for (const x of s.steps) if (x <= hi) counts[Math.min(bins - 1, Math.max(0, Math.floor(((x - lo) / (hi - lo)) * bins)))] += 1;
    const tallest = Math.max(...counts, 1);
    const w = (box.right - box.left) / bins;
    const base = top + 74;
    const toX = (x) => box.left + ((Math.min(x, hi) - lo) / (hi - lo)) * (box.right - box.left);
    const out = [sv("text", { class: "strong", x: box.left, y: top + 14 }, s.label),
      sv("line", { class: "axis", x1: box.left, x2: box.right, y1: base, y2: base })];
    counts.forEach((count, i) => {
      const h = count ? Math.max(1.5, (count / tallest) * 46) : 0;
      if (h) out.push(sv("rect", { class: `bar soft ${s.css}`, x: box.left + i * w + 0.5, y: base - h, width: Math.max(w - 1, 1), height: h }));
    });
    for (const [value, css] of [[s.step_ms_median, "mark"], [s.step_ms_p95, "mark dashed"]]) {
      if (finite(value) && value <= hi) out.push(sv("line", { class: css, x1: toX(value), x2: toX(value), y1: base - 52, y2: base + 4 }));
    }
    const range = extent(s.steps);
    const tail = beyond ? `${plural(beyond, "step", "steps")} beyond the scale, longest ${ms(range[1])}` : range[0] < range[1] ? `${ms(range[0])} to ${ms(range[1])}` : ms(range[0]);
    out.push(sv("text", { x: box.right, y: top + 14, "text-anchor": "end" }, tail));
    return out;
  };
  const drawSteps = (data, strategies) => {
    const host = byId("steps");
    const drawn = strategies.filter((s) => s.steps.length > 0);
    byId("steps-section").hidden = drawn.length === 0;
    if (drawn.length === 0) return 0;
    const sorted = drawn.map((s) => [...s.steps].sort((a, b) => a - b));
    const most = Math.max(...sorted.map((x) => x[x.length - 1]));
    const usual = Math.max(...sorted.map((x) => quantile(x, 0.98)), ...drawn.flatMap((s) => [s.step_ms_median, s.step_ms_p95]).filter(finite));
    const least = Math.min(...sorted.map((x) => x[0]));
    const cut = Math.min(most, usual + (usual - least) * 0.1);
    const [lo, hi] = widen(least, Math.max(cut, least), 12);
    const label = `Distribution of step times under ${joined(drawn.map((s) => s.label))}`;
    const plot = el("div", { class: "static" });
    const hint = el("p", { class: "hint" }, "Each row counts the steps of one strategy; its tallest bar fills the row. "
      + "Solid tick: median. Dashed tick: 95th percentile.");
    host.replaceChildren(plot, hint);
    let width = 0;
    const draw = () => {
      width = Math.max(plot.clientWidth || 640, 200);
      const box = { left: 4, right: width - 10 };
      const bottom = drawn.length * 88;
      const bins = Math.max(16, Math.min(80, Math.floor((box.right - box.left) / 9)));
      const marks = ticks(lo, hi, Math.max(2, Math.floor(width / 62))).flatMap((t) => {
        const x = box.left + ((t - lo) / (hi - lo)) * (box.right - box.left);
        return [sv("line", { class: "grid", x1: x, x2: x, y1: 22, y2: bottom }),
          sv("text", { x, y: bottom + 12, "text-anchor": x > box.right - 14 ? "end" : x < box.left + 14 ? "start" : "middle" }, short(t))];
      });
      plot.replaceChildren(sv("svg", { viewBox: `0 0 ${width} ${bottom + 34}`, role: "img", "aria-label": label }, sv("title", null, label), ...marks,
        ...drawn.flatMap((s, i) => histogramRow(s, i * 88, box, bins, lo, hi)),
        sv("text", { class: "label", x: width / 2, y: bottom + 30, "text-anchor": "middle" }, "time of a step (ms)")));
      plot.dataset.points = String(drawn.reduce((n, s) => n + s.steps.length, 0));
    };
    draw();
    onResize(plot, () => width, draw);
    return drawn.reduce((n, s) => n + s.steps.length, 0);
  };

  // ---- sample and facts ----
  const drawSample = (data) => {
    const [prompt, sample] = [text(data.sample_prompt), text(data.sample)];
    const host = byId("sample");
    if (!prompt && !sample) {
      host.replaceChildren(el("p", null, "No text was sampled."));
      return 0;
    }
    const block = el("pre", { tabindex: 0, "aria-label": "prompt and sampled text" });
    if (prompt) block.append(el("span", { class: "prompt" }, prompt));
    block.append(sample);
    host.replaceChildren(block);
    host.append(el("p", { class: "hint" }, prompt ? "Underlined: the prompt. The rest is the model's." : "Written without a prompt."));
    return sample.length;
  };
  const facts = (name, pairs) => el("div", null, el("h3", null, name), el("dl", null, ...pairs
    .filter(([, value]) => value !== "").flatMap(([key, value]) => [el("dt", null, key), el("dd", null, value)])));
  /** The seed as it is written: 64 bits do not fit a JavaScript number. A quote inside a string is escaped, so no text matches. */
  const seedOf = (json) => (/"seed":\s*(\d+)/.exec(json) || ["", "–"])[1];
  const drawFacts = (data) => {
    const [machine, model] = [data.machine || {}, data.model || {}];
    const pairs = [
      ["parameters", number(model.parameters)],
      ["layers × width", `${number(model.layers)} × ${number(model.width)}`],
      ["heads", number(model.heads)],
      ["context", finite(model.context) ? plural(model.context, "token", "tokens") : "–"],
      ["batch", finite(model.batch) ? plural(model.batch, "sequence", "sequences") : "–"],
      ["steps", number(model.steps)],
      ["seed", seedOf(byId("data").textContent)],
      ["vocabulary", finite(model.vocabulary) ? plural(model.vocabulary, "token", "tokens") : "–"],
      ["text", text(model.text_name)],
      ["text size", bytes(model.text_bytes)],
    ];
    byId("facts").replaceChildren(facts("Model", pairs), facts("Machine", [
      ["processor", text(machine.cpu)],
      ["cores", number(machine.cores)],
      ["kernel", text(machine.kernel)],
      ["OS page", bytes(machine.page_bytes)],
      ["huge pages", text(machine.huge_pages)],
    ]));
    return pairs.length;
  };

  // ---- the page: a part that fails says so and takes no other with it ----
  const fail = (host, error) => {
    host.append(el("p", { class: "warning", role: "alert" }, `This part of the report could not be drawn: ${error.message}`));
    console.error(error);
  };
  const main = () => {
    const data = JSON.parse(byId("data").textContent) || {};
    const strategies = strategiesOf(data);
    const parts = [["title", drawHeader], ["table", drawTable], ["memory", drawMemory], ["steps", drawSteps], ["loss", drawLoss],
      ["sample", drawSample], ["facts", drawFacts]];
    let failed = 0;
    for (const [id, draw] of parts) {
      const host = byId(id);
      try {
        host.dataset.drawn = String(draw(data, strategies) ?? 1);
      } catch (error) {
        failed += 1;
        fail(host || document.body, error);
      }
    }
    root.dataset.rendered = failed ? "with errors" : "ok";
  };
  try {
    main();
  } catch (error) {
    root.dataset.rendered = "with errors";
    fail(document.body, error);
  }
})();
