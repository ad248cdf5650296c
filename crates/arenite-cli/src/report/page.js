/** The report page: its parts, drawn from the data in the page. */
(() => {
  const {
    finite, el, sv, digits, number, short, unitOf, bytes, byteTick, ms, plural, joined,
    ticks, byteTicks, widen, extent, inSeconds, clock, lastAt, onResize, lineChart,
  } = charts;
  const byId = (id) => document.getElementById(id);
  const root = document.documentElement;
  const list = (x) => (Array.isArray(x) ? x : []);
  const text = (x) => (typeof x === "string" ? x : "");

  // ---- the strategies ----
  const KNOWN = ["system", "pool", "arena"];
  const DASHES = [null, "9 4", "2.5 2.5", "10 3 2 3", "5 3", "14 4"];
  const strategiesOf = (data) => {
    let next = KNOWN.length;
    return list(data.strategies).map((s, index) => {
      const known = KNOWN.indexOf(s.name);
      const slot = known >= 0 ? known : next++ % DASHES.length;
      const timeline = list(s.timeline).filter((p) => p && finite(p.elapsed_ms) && finite(p.in_use_bytes));
      timeline.sort((a, b) => a.elapsed_ms - b.elapsed_ms);
      return { ...s, label: text(s.name) || `strategy ${index + 1}`, css: `s${slot}`, dash: DASHES[slot], timeline,
        losses: list(s.losses), steps: list(s.step_ms).filter(finite) };
    });
  };
  const systemOf = (strategies) => strategies.find((s) => s.name === "system" && finite(s.step_ms_median) && s.step_ms_median > 0);
  const ratioOf = (s, system) => {
    if (finite(s.ratio_to_system)) return s.ratio_to_system;
    return system && finite(s.step_ms_median) ? s.step_ms_median / system.step_ms_median : NaN;
  };

  /** The first step at which the losses of two strategies differ. JSON keeps the bits of every finite float. */
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
      const gaps = close.map((s) => `${s.label} (${ms(Math.abs(s.step_ms_median - system.step_ms_median))})`);
      const [subject, verb] = close.length === 1 ? ["The difference", "is"] : ["The differences", "are"];
      out.push(`${subject} between system and ${joined(gaps)} ${verb} smaller than system's own spread from median to p95 (${ms(spread)}).`);
    }
    const held = strategies.filter((s) => finite(s.peak_held_bytes));
    if (held.length) out.push(`Memory held at the peak: ${joined(held.map((s) => `${bytes(s.peak_held_bytes)} under ${s.label}`))}.`);
    const losses = compareLosses(strategies);
    if (losses.ran.length > 1) {
      out.push(losses.same ? `The losses of ${joined(losses.ran.map((s) => s.label))} are identical${losses.gaps ? " where they are finite" : " to the bit"}.`
        : "The losses of the strategies DIFFER: they did not do the same work, so their times do not compare.");
    }
    const absent = KNOWN.filter((name) => !strategies.some((s) => s.name === name));
    if (absent.length && strategies.length) out.push(`Not in this report: ${joined(absent)}.`);
    return out;
  };
  /** The command line, which wraps between words but not at hyphens. */
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
      ["Allocations", "per step", (s) => s.allocations_per_step, number],
      ["malloc calls", "per step", (s) => s.malloc_calls_per_step, number],
      ["Page faults", "per step, after warm-up", (s) => s.faults_per_step, number],
      ["Peak in use", null, (s) => s.peak_in_use_bytes, bytes],
      ["Peak held", null, (s) => s.peak_held_bytes, bytes],
      ["Max RSS", "of the process", (s) => s.max_rss_bytes, bytes],
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

  // ---- memory: one panel per strategy, on the same scales ----
  const inUseAndHeld = (inUse, held) => `in use ${bytes(inUse)}${finite(held) ? `, held ${bytes(held)}` : ""}`;
  const valuesAt = (s, at) => {
    if (at === null) return `${inUseAndHeld(s.peak_in_use_bytes, s.peak_held_bytes)} at the peak`;
    const p = s.timeline[lastAt(s.timeline.map((q) => [q.elapsed_ms]), at)];
    return p ? inUseAndHeld(p.in_use_bytes, p.held_bytes) : "not yet measured";
  };
  const memoryKey = () => {
    const item = (mark, words) => el("span", { class: "entry" }, sv("svg", { class: "swatch plain", viewBox: "0 0 18 8", "aria-hidden": "true" }, ...mark), ` ${words}`);
    return el("p", { class: "readout" },
      item([sv("rect", { class: "band", x: 0, y: 0, width: 18, height: 8 }), ...[0.6, 7.4].map((y) => sv("line", { class: "line thin", x1: 0, x2: 18, y1: y, y2: y }))], "in use, from lowest to highest"),
      item([sv("line", { class: "line", x1: 0, x2: 18, y1: 4, y2: 4 })], "held, the highest"));
  };
  const memoryPanel = (host, s, scale, isLast) => {
    const values = el("span", { class: "values" });
    const { seconds } = scale;
    host.append(el("h3", { class: `panel ${s.css}` }, sv("svg", { class: "swatch", viewBox: "0 0 18 8", "aria-hidden": "true" },
      sv("rect", { class: "bar", x: 0, y: 0, width: 18, height: 8 })), ` ${s.label} `, values));
    const held = s.timeline.filter((p) => finite(p.held_bytes)).map((p) => [p.elapsed_ms, p.held_bytes]);
    return lineChart(host, {
      label: `Memory in use${held.length ? " and held" : ""} over time under ${s.label}`,
      yLabel: "", height: isLast ? 170 : 150, stops: [...new Set(s.timeline.map((p) => p.elapsed_ms))],
      xLabel: () => (isLast ? `clock time since training started, the strategies taking turns (${seconds ? "s" : "ms"})` : ""),
      x: scale.x, y: scale.y,
      xTicks: (a, b, n) => (seconds ? ticks(a / 1000, b / 1000, n).map((t) => t * 1000) : ticks(a, b, n)),
      yTicks: (a, b) => byteTicks(a, b, 3), yText: byteTick,
      xText: (t) => short(seconds ? t / 1000 : t),
      series: [
        { css: s.css, thin: true, envelope: 5, points: s.timeline.map((p) => [p.elapsed_ms, p.in_use_bytes]) },
        ...(held.length ? [{ css: s.css, stepped: true, highest: true, points: held }] : []),
      ],
      read: (at) => { values.textContent = at === null ? valuesAt(s, at) : `${valuesAt(s, at)} at ${clock(at, seconds)}`; },
      describe: (at) => `at ${clock(at, seconds)}: ${valuesAt(s, at)}`,
    });
  };
  const drawMemory = (data, strategies) => {
    const host = byId("memory");
    const drawn = strategies.filter((s) => s.timeline.length > 0);
    if (drawn.length === 0) {
      host.replaceChildren(el("p", null, "No memory timeline was recorded."));
      return 0;
    }
    const all = extent(drawn.flatMap((s) => s.timeline.map((p) => p.elapsed_ms)));
    const [start, end] = [Math.min(0, all[0]), Math.max(all[1], all[0] + 1)];
    const tenth = (end - start) / 10;
    const windows = [["whole run", start, end], ["first tenth", start, start + tenth], ["last tenth", end - tenth, end]];
    const top = Math.max(...drawn.flatMap((s) => s.timeline.flatMap((p) => [p.held_bytes, p.in_use_bytes])).filter(finite));
    const unit = 1024 ** unitOf(top);
    let view = windows[0];
    const scale = { seconds: inSeconds(end), x: () => [view[1], view[2]], y: () => widen(0, top / unit, 4, 0).map((v) => v * unit) };
    let panels = [];
    const buttons = windows.map((w) => {
      const button = el("button", { type: "button", "aria-pressed": String(w === view) }, w[0]);
      button.addEventListener("click", () => {
        view = w;
        buttons.forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
        panels.forEach((redraw) => redraw());
      });
      return button;
    });
    host.replaceChildren(el("div", { class: "controls", role: "group", "aria-label": "part of the run to show" }, ...buttons), memoryKey());
    panels = drawn.map((s, i) => memoryPanel(host, s, scale, i === drawn.length - 1));
    host.append(el("p", { class: "hint" }, "Point at a chart, or use the arrow keys, to read values. "
      + "Where steps are too narrow to draw, the band shows the lowest and the highest memory in use; the first or last tenth shows more detail."));
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
      series: drawn.map((s) => ({ css: losses.same ? "plain" : s.css, dash: losses.same ? null : s.dash,
        points: s.losses.map((x, i) => [i + 1, x]) })),
      references: finite(guess) ? [{ y: guess, text: `uniform guess: ln ${vocabulary} = ${guess.toFixed(2)}` }] : [],
      read: (step) => {
        const last = drawn[0].losses[drawn[0].losses.length - 1];
        readout.textContent = step === null ? `First ${at(1)}; ${losses.same && finite(last) ? `last ${at(steps)}, ` : ""}after ${plural(steps, "step", "steps")}.`
          : `Step ${step}: ${at(step)}`;
      },
      describe: (step) => `step ${step}: ${at(step)}`,
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
    host.append(el("p", { class: "hint" }, prompt ? "Underlined: the prompt. The model generated the rest." : "Written without a prompt."));
    return sample.length;
  };
  const facts = (name, pairs) => el("div", null, el("h3", null, name), el("dl", null, ...pairs
    .filter(([, value]) => value !== "").flatMap(([key, value]) => [el("dt", null, key), el("dd", null, value)])));
  /** The seed as text: 64 bits do not fit a JavaScript number. A quote in a string is escaped, so no text matches. */
  const seedOf = (json) => (/"seed":\s*(\d+)/.exec(json) || ["", "–"])[1];
  const drawFacts = (data) => {
    const [machine, model] = [data.machine || {}, data.model || {}];
    const [processor, pages] = [machine.processor || {}, machine.pages || {}];
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
      ["processor", text(processor.model) || "unknown"],
      ["processors", `${number(processor.usable)} usable by this process`],
      ["kernel", `${text(machine.os)} ${text(machine.kernel)}`.trim()],
      ["OS page", bytes(pages.size_bytes)],
      ["transparent huge pages", text(pages.transparent)],
    ]));
    return pairs.length;
  };

  // ---- the page: an error in one part does not affect the others ----
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
