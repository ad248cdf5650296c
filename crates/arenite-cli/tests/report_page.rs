//! The report page in a browser: the charts are drawn, the console is empty, and no text becomes
//! markup.
//!
//! The tests need Chromium in PATH; without it, each one prints a line and passes. They check the
//! document after the script ran, and the console, because an error in a chart does not show in
//! the file.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use arenite_cli::report::{
    Machine, Model, OsPages, Processor, Report, StrategyReport, TimelinePoint, render,
};

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const TIMEOUT: Duration = Duration::from_secs(180);
const DATA: &str = "<script type=\"application/json\"";
const NASTY: &str = "</script><script>document.documentElement.dataset.broken=1</script><!-- <img src=x \
                     onerror=\"document.documentElement.dataset.broken=2\"> \"q\" 'q' \\ & \u{2028}\u{2029} ß 山 🏜 \
                     /*__ARENITE_DATA__*/";

/// The expected page after its script ran: `data-drawn` by element, and the number of lines.
struct Expected {
    drawn: [(&'static str, usize); 4],
    lines: usize,
}

/// The document and the console of the browser.
struct Seen {
    document: String,
    console: Vec<String>,
}

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found = BROWSERS.iter().flat_map(|name| dirs.iter().map(move |dir| dir.join(name)));
    let browser = found.into_iter().find(|file| file.is_file());
    if browser.is_none() {
        println!("skipped: no Chromium found (apt-get install chromium)");
    }
    browser
}

/// Opens `page`, waits for its script, and returns the document and the console.
fn open(browser: &Path, page: &str) -> Seen {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("report.html");
    let log = dir.path().join("log");
    fs::write(&file, page).expect("the page is written");
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-quic"])
        .args(["--disable-dev-shm-usage", "--hide-scrollbars", "--enable-logging=stderr"])
        .args(["--window-size=1440,900", "--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).expect("a log"))
        .spawn()
        .expect("the browser starts");
    let mut stdout = child.stdout.take().expect("a pipe");
    let (send, receive) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.read_to_end(&mut bytes);
        drop(send.send(read.map(|_| bytes)));
    });
    let received = receive.recv_timeout(TIMEOUT);
    if received.is_err() {
        child.kill().expect("the browser is stopped");
    }
    let status = child.wait().expect("the browser ends");
    let logged = String::from_utf8_lossy(&fs::read(&log).expect("the log is read")).into_owned();
    let bytes = received.expect("the browser ends in time").expect("the document is read");
    reader.join().expect("the reader ends");
    assert!(status.success(), "{status}\n{logged}");
    let console = logged.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    Seen { document: String::from_utf8_lossy(&bytes).into_owned(), console }
}

/// Returns the start tag of the element `id`.
fn tag<'a>(document: &'a str, id: &str) -> &'a str {
    let Some(at) = document.find(&format!(" id=\"{id}\"")) else { return "" };
    let start = document[..at].rfind('<').unwrap_or(at);
    document[start..].split('>').next().unwrap_or("")
}

/// Returns every difference from the expected page.
fn faults(seen: &Seen, expected: &Expected) -> Vec<String> {
    let mut out: Vec<String> = seen.console.iter().map(|line| format!("console: {line}")).collect();
    let Some((drawn, _)) = seen.document.split_once(DATA) else {
        out.push("the page has no data".into());
        return out;
    };
    let root = drawn.split_once("<head").map_or("", |(root, _)| root);
    if !root.contains("data-rendered=\"ok\"") {
        out.push(format!("not rendered: {root}"));
    }
    if root.contains("data-broken") {
        out.push("text of the report ran as script".into());
    }
    for (id, count) in expected.drawn {
        if !tag(drawn, id).contains(&format!("data-drawn=\"{count}\"")) {
            out.push(format!("{id}: {count} expected in <{}>", tag(drawn, id)));
        }
    }
    let lines = drawn.matches("<path class=\"line ").count();
    if lines != expected.lines {
        out.push(format!("{lines} lines drawn, {} expected", expected.lines));
    }
    for word in ["NaN", "undefined", "Infinity", "[object"] {
        if drawn.contains(word) {
            out.push(format!("{word} in the page"));
        }
    }
    out
}

/// Returns a page that shows `page` in a frame `width` pixels wide, and then becomes its document.
///
/// A headless window is at least 500 pixels wide; a frame can be narrower. The root gets the
/// number of pixels by which it is too wide.
fn framed(page: &str, width: u32) -> String {
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        "<!DOCTYPE html><iframe style=\"width:{width}px;height:800px;border:0\" srcdoc=\"{page}\"></iframe><script>
         const frame = document.querySelector('iframe');
         frame.addEventListener('load', () => {{
           const root = frame.contentDocument.documentElement;
           root.dataset.window = frame.contentWindow.innerWidth;
           root.dataset.excess = Math.max(0, root.scrollWidth - root.clientWidth);
           document.replaceChild(root.cloneNode(true), document.documentElement);
         }});</script>"
    )
}

fn strategy(name: &str, pace: f64, points: u16) -> StrategyReport {
    let held = (name != "system").then_some(12 << 24);
    let losses = (0..points).map(|i| 2.2 + 2.4 / (1.0 + f32::from(i) / 40.0)).collect();
    let step_ms: Vec<f64> = (0..points).map(|i| pace + f64::from(i % 7) * 0.25).collect();
    let timeline = (0..points)
        .map(|i| TimelinePoint {
            elapsed_ms: f64::from(i) * pace,
            in_use_bytes: u64::from(i % 12) << 24,
            held_bytes: held,
        })
        .collect();
    StrategyReport {
        name: name.into(),
        step_ms_median: pace + 0.75,
        step_ms_p95: pace + 1.5,
        allocations_per_step: 1612.0,
        malloc_calls_per_step: 0.5,
        peak_in_use_bytes: 11 << 24,
        peak_held_bytes: held,
        max_rss_bytes: 13 << 24,
        losses,
        step_ms,
        timeline,
        ..StrategyReport::default()
    }
}

fn report(strategies: Vec<StrategyReport>) -> Report {
    Report {
        title: NASTY.into(),
        program: vec![NASTY.into()],
        command: NASTY.into(),
        machine: Machine {
            os: "linux".into(),
            kernel: Some(NASTY.into()),
            processor: Processor { model: Some(NASTY.into()), usable: 2 },
            pages: OsPages { size_bytes: 4096, transparent: "madvise".into() },
        },
        model: Model { vocabulary: 98, seed: u64::MAX, text_name: NASTY.into(), ..Model::default() },
        strategies,
        sample: NASTY.into(),
        sample_prompt: NASTY.into(),
    }
}

fn three() -> Report {
    report(vec![strategy("system", 40.0, 300), strategy("pool", 44.0, 300), strategy("arena", 31.0, 300)])
}

const THREE: Expected =
    Expected { drawn: [("table", 27), ("memory", 900), ("steps", 900), ("loss", 300)], lines: 5 + 1 };

#[test]
fn report_page_of_three_strategies_is_drawn_without_errors_at_every_width() {
    let Some(browser) = browser() else { return };
    let page = render(&three());
    for width in [320, 390, 1440] {
        let seen = open(&browser, &framed(&page, width));
        assert_eq!(faults(&seen, &THREE), Vec::<String>::new(), "{width}");
        let root = seen.document.split("<head").next().unwrap();
        assert!(root.contains(&format!("data-window=\"{width}\"")), "not the requested width: {root}");
        assert!(root.contains("data-excess=\"0\""), "wider than its window: {root}");
        let finding =
            "40.8 ms under system (median); pool took 44.8 ms (10 % more) and arena took 31.8 ms (22 % less)";
        assert!(seen.document.contains(finding));
        assert!(seen.document.contains("Identical to the bit under: system, pool, arena"));
        for text in ["1,612", "0.500", "40.8 ms", "Memory held at the peak: 192 MiB under pool and 192 MiB"] {
            assert!(seen.document.contains(text), "{text}");
        }
        let held = seen.document.split("Peak held").nth(1).and_then(|row| row.split("</tr>").next()).unwrap();
        assert!(held.contains("<td>–</td>") && !held.contains("low"), "system's held is unknown: {held}");
    }
}

/// Moves to the end of each timeline, shows the last tenth and points at the end of the loss.
const ACTIONS: &str = "<script>{
  document.querySelectorAll('#memory .chart').forEach((panel) => panel.dispatchEvent(new KeyboardEvent('keydown', { key: 'End' })));
  document.querySelectorAll('#memory .controls button')[2].click();
  const loss = document.querySelector('#loss .chart');
  const frame = loss.getBoundingClientRect();
  loss.dispatchEvent(new PointerEvent('pointermove', { clientX: frame.right - 14, clientY: frame.top + 50 }));
}</script></body>";

#[test]
fn report_page_handles_keys_pointer_and_buttons() {
    let Some(browser) = browser() else { return };
    let seen = open(&browser, &render(&three()).replace("</body>", ACTIONS));
    assert_eq!(faults(&seen, &THREE), Vec::<String>::new());
    for text in ["12.0 s: in use 176 MiB\"", "13.2 s: in use 176 MiB, held 192 MiB\""] {
        assert!(seen.document.contains(&format!("aria-valuetext=\"at {text}")), "{text}");
    }
    assert!(seen.document.contains("in use 176 MiB, held 192 MiB at 13.2 s</span>"));
    assert!(seen.document.contains("aria-pressed=\"true\">last tenth</button>"));
    assert!(seen.document.contains("aria-valuetext=\"step 300: loss 2.4832\""));
    assert!(seen.document.contains(">18446744073709551615</dd>"), "all digits of the seed");
}

/// Returns unusual reports, each with the expected page.
fn edges() -> Vec<(&'static str, Report, Expected, &'static str)> {
    let nothing = Expected { drawn: [("table", 0), ("memory", 0), ("steps", 0), ("loss", 0)], lines: 0 };
    let mut short = strategy(NASTY, 0.0, 1);
    (short.step_ms_median, short.step_ms_p95) = (f64::NAN, f64::INFINITY);
    let one = Expected { drawn: [("table", 9), ("memory", 1), ("steps", 1), ("loss", 1)], lines: 2 + 1 };
    let bare = StrategyReport { name: "arena".into(), ..StrategyReport::default() };
    let untimed = Expected { drawn: [("table", 9), ("memory", 0), ("steps", 0), ("loss", 0)], lines: 0 };
    let mut gaps = three();
    for strategy in &mut gaps.strategies {
        strategy.losses[0] = f32::NAN;
        strategy.losses[100..150].fill(f32::NAN);
    }
    let mut apart = three();
    apart.strategies[2].losses[7] += 0.5;
    let differing =
        Expected { drawn: [("table", 27), ("memory", 900), ("steps", 900), ("loss", 900)], lines: 5 + 3 };
    let mut blank = report(vec![bare.clone()]);
    blank.strategies[0].losses = vec![f32::NAN];
    vec![
        ("empty", Report::default(), nothing, "No strategy was run"),
        ("one of each", report(vec![short]), one, "No step time was measured"),
        ("no samples", report(vec![bare]), untimed, "No memory timeline was recorded"),
        (
            "no finite loss",
            blank,
            Expected { drawn: [("table", 9), ("memory", 0), ("steps", 0), ("loss", 0)], lines: 0 },
            "none is finite",
        ),
        ("gaps", gaps, Expected { ..THREE }, "51 steps are not finite"),
        ("apart", apart, differing, "arena departs from system at step 8"),
    ]
}

#[test]
fn report_page_of_unusual_reports_is_drawn_without_errors() {
    let Some(browser) = browser() else { return };
    let mut wrong = String::new();
    for (name, report, expected, text) in edges() {
        let seen = open(&browser, &render(&report));
        for fault in faults(&seen, &expected) {
            writeln!(wrong, "{name}: {fault}").unwrap();
        }
        let drawn = seen.document.split(DATA).next().unwrap();
        if !drawn.contains(text) {
            writeln!(wrong, "{name}: {text:?} is missing").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Changes that break a page: name, replaced text and replacement.
const BREAKS: [(&str, &str, &str); 6] = [
    (
        "a chart that throws",
        "const drawLoss = (data, strategies) => {",
        "const drawLoss = () => { throw Error();",
    ),
    ("a script that does not parse", "\"use strict\";", "\"use strict\"; ("),
    ("data that is not JSON", "id=\"data\">{", "id=\"data\">{{"),
    ("a chart without an element", "<div id=\"memory\">", "<div id=\"elsewhere\">"),
    ("lines that are not drawn", "if (path) group.append", "if (!path) group.append"),
    ("something from the network", "</body>", "<img src=\"http://127.0.0.1:9/x.png\" alt=\"\"></body>"),
];

#[test]
fn report_page_faults_are_detected() {
    let Some(browser) = browser() else { return };
    let page = render(&three());
    for (name, part, instead) in BREAKS {
        assert_eq!(page.matches(part).count(), 1, "{name}");
        let seen = open(&browser, &page.replace(part, instead));
        assert!(!faults(&seen, &THREE).is_empty(), "not detected: {name}");
    }
}

/// Returns a run of 2000 steps, in which memory rises and falls in each step.
fn long_run(name: &str, offset: f64) -> StrategyReport {
    let points = |step: u32| {
        let start = f64::from(step) * 40.0 + offset;
        [(0.0, 2_u64 << 20), (5.0, 40 << 20)].map(|(ms, in_use_bytes)| TimelinePoint {
            elapsed_ms: start + ms,
            in_use_bytes,
            held_bytes: Some(48 << 20),
        })
    };
    StrategyReport { timeline: (0..2000).flat_map(points).collect(), ..strategy(name, 40.0, 2000) }
}

#[test]
fn report_page_draws_a_band_where_steps_are_narrower_than_a_pixel() {
    let Some(browser) = browser() else { return };
    let long = report(vec![long_run("system", 0.0), long_run("arena", 10.0)]);
    for (page, bands) in [(render(&long), 2), (render(&three()), 0)] {
        let seen = open(&browser, &page);
        let drawn = seen.document.split(DATA).next().unwrap();
        assert_eq!(drawn.matches("<path class=\"band ").count(), bands);
        assert!(seen.console.is_empty(), "{:?}", seen.console);
        let path = drawn.split("<path class=\"band s0\" d=\"").nth(1).unwrap_or("\"");
        let points = path.split('"').next().unwrap_or("").matches(',').count();
        assert!(points < 4000, "a band has few points for each bucket: {points}");
    }
    // a tenth of the run shows single steps
    let zoom = "<script>document.querySelectorAll('.controls button')[1].click()</script></body>";
    let short = report(vec![StrategyReport {
        timeline: long_run("arena", 0.0).timeline.into_iter().take(1000).collect(),
        ..strategy("arena", 40.0, 500)
    }]);
    let seen = open(&browser, &render(&short).replace("</body>", zoom));
    assert_eq!(seen.document.split(DATA).next().unwrap().matches("<path class=\"band ").count(), 0);
}
