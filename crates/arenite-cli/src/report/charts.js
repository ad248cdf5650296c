"use strict";
/** Elements, numbers, scales and line charts. */
const charts = (() => {
  const finite = (x) => typeof x === "number" && Number.isFinite(x);

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

  // ---- numbers ----
  const digits = (x, options) => new Intl.NumberFormat("en", options).format(x);
  /** A number as on the terminal: three digits, or a whole number. */
  const number = (x) => {
    if (!finite(x)) return "–";
    if (Number.isInteger(x) || Math.abs(x) >= 999.5) return digits(x, { maximumFractionDigits: 0 });
    return digits(x, { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });
  };
  const short = (x) => digits(x, { maximumSignificantDigits: 6 });
  const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  const unitOf = (x) => {
    let unit = 0;
    for (let rest = Math.abs(x); rest >= 1024 && unit < UNITS.length - 1; rest /= 1024) unit += 1;
    return unit;
  };
  /** Bytes as on the terminal: one decimal, rounded down. */
  const bytes = (x) => {
    if (!finite(x)) return "–";
    const unit = unitOf(x);
    return `${Math.floor((x / 1024 ** unit) * 10) / 10} ${UNITS[unit]}`;
  };
  /** Bytes of an axis tick, which may be a quarter of a unit. */
  const byteTick = (x) => `${short(x / 1024 ** unitOf(x))} ${UNITS[unitOf(x)]}`;
  /** A time in milliseconds as on the terminal: three digits in s, ms or µs. */
  const ms = (x) => {
    if (!finite(x)) return "–";
    const size = Math.abs(x);
    const [value, unit] = size >= 999.5 ? [x / 1e3, "s"] : size >= 0.9995 || size === 0 ? [x, "ms"] : [x * 1e3, "µs"];
    const places = value === 0 || Math.abs(value) >= 99.95 ? 0 : Math.abs(value) >= 9.995 ? 1 : 2;
    return `${value.toFixed(places)} ${unit}`;
  };
  const plural = (n, one, many) => `${number(n)} ${n === 1 ? one : many}`;
  const joined = (parts) => (parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts[parts.length - 1]}`);

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
  /** [lo, hi] extended to whole ticks, and never empty. */
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
  /** The first, lowest, highest and last point of each pixel column, so that no peak is lost. */
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
  /**
   * The lowest and the highest value in each bucket of a line whose cycles are narrower than `minCyclePx`; otherwise null.
   * A bucket is as wide as a cycle and the pauses between the turns of a strategy.
   */
  const envelope = (points, toX, box, minCyclePx) => {
    const at = points.filter(([x, y]) => finite(y) && toX(x) >= box.left && toX(x) <= box.right);
    if (at.length < 8) return null;
    const sorted = at.map((p) => p[1]).sort((a, b) => a - b);
    const middle = (sorted[Math.floor(sorted.length * 0.05)] + sorted[Math.floor(sorted.length * 0.95)]) / 2;
    const rises = [];
    at.forEach(([x, y], i) => { if (i > 0 && at[i - 1][1] < middle && y >= middle) rises.push(toX(x)); });
    const gaps = rises.slice(1).map((x, i) => x - rises[i]).sort((a, b) => a - b);
    if (gaps.length < 8 || gaps[gaps.length >> 1] >= minCyclePx) return null;
    const pause = gaps[Math.floor(gaps.length * 0.98)];
    const px = Math.max(2, Math.min(pause * 1.2, (box.right - box.left) / 30));
    const buckets = [];
    for (const [x, y] of at) {
      const i = Math.floor((toX(x) - box.left) / px);
      const last = buckets[buckets.length - 1];
      if (last && last.i === i) { last.lo = Math.min(last.lo, y); last.hi = Math.max(last.hi, y); last.to = toX(x); } else {
        buckets.push({ i, lo: y, hi: y, from: toX(x), to: toX(x) });
      }
    }
    return buckets;
  };
  /** The highest value in each bucket of two pixels. */
  const highest = (points, toX) => {
    const out = [];
    let bucket = NaN;
    for (const [x, y] of points) {
      const i = Math.floor(toX(x) / 2);
      if (i === bucket) out[out.length - 1][1] = Math.max(out[out.length - 1][1], y); else out.push([x, y]);
      bucket = i;
    }
    return out;
  };
  /** Paths of the band and of its two edges. */
  const band = (buckets, toY) => {
    const edge = (value, list) => list.flatMap((b) => [[b.from, value(b)], [b.to, value(b)]])
      .map(([x, y]) => `${x.toFixed(1)},${toY(y).toFixed(1)}`);
    const [top, bottom] = [edge((b) => b.hi, buckets), edge((b) => b.lo, buckets)];
    return { area: `M${top.join("L")}L${[...bottom].reverse().join("L")}Z`, edges: `M${top.join("L")}M${bottom.join("L")}` };
  };
  /** The path of a line that breaks at gaps, and the single points. */
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
  /** Draws again in the next frame after the width of `plot` has changed. */
  const onResize = (plot, drawnWidth, draw) => {
    const check = () => { if (plot.clientWidth && plot.clientWidth !== drawnWidth()) draw(); };
    new ResizeObserver(() => requestAnimationFrame(check)).observe(plot);
  };
  let chartCount = 0;
  /**
   * A line chart with axes, and a cursor for mouse, touch and arrow keys. It is drawn again when its width changes.
   * spec: label, xLabel, yLabel, height, x: [lo, hi], y(n): [lo, hi], xTicks, yTicks, xText, yText, stops: [x…],
   * series: [{ css, dash, thin, stepped, highest, envelope: pixels of a cycle below which a band is drawn, points: [[x, y]…] }],
   * references: [{ y, text }], read(x or null), describe(x).
   */
  const lineChart = (host, spec) => {
    const id = `chart${chartCount += 1}`;
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
      box = { left, right: width - 14, top: spec.yLabel ? 30 : 10, bottom: height - (spec.xLabel() ? 44 : 24) };
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
      for (const s of spec.series) {
        const buckets = s.envelope ? envelope(s.points, toX, box, s.envelope) : null;
        if (buckets) {
          const { area, edges } = band(buckets, toY);
          group.append(sv("path", { class: `band ${s.css}`, d: area }),
            sv("path", { class: `line ${s.css}${s.thin ? " thin" : ""}`, "stroke-dasharray": s.dash, d: edges }));
          continue;
        }
        const { path, alone } = trace(thin(s.highest ? highest(s.points, toX) : s.points, toX), toX, toY, s.stepped);
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
      if (at !== null) fill(plot, { "aria-valuenow": cursor, "aria-valuetext": spec.describe(at) }, []);
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

  return {
    finite, el, sv, digits, number, short, unitOf, bytes, byteTick, ms, plural, joined,
    ticks, byteTicks, widen, extent, inSeconds, clock, lastAt, onResize, lineChart,
  };
})();
