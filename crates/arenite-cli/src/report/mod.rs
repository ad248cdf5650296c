//! The report of a training run: its numbers, and the page that draws them.
//!
//! The file of `--json` and the data in the page are the same serialisation of [`Report`]. The
//! page (`page.html`, `page.css`, `charts.js`, `page.js`) is embedded in the program and needs
//! neither a network nor a server, so that it can be sent as one file.

use serde::{Deserialize, Deserializer, Serialize};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = concat!(include_str!("charts.js"), include_str!("page.js"));

const STYLE_MARK: &str = "/*__ARENITE_CSS__*/";
const SCRIPT_MARK: &str = "/*__ARENITE_JS__*/";
const DATA_MARK: &str = "/*__ARENITE_DATA__*/";

/// One training run under one or more allocation strategies.
///
/// Numbers that are not finite are written as JSON `null` and read back as NaN.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The headline of the page.
    pub title: String,
    /// The words of the command line that repeats the run.
    pub program: Vec<String>,
    /// That command line in the syntax of a shell.
    pub command: String,
    /// The machine of the run.
    pub machine: Machine,
    /// The trained model.
    pub model: Model,
    /// One entry for each strategy, in the order of `--memory`. The page compares with `system`.
    pub strategies: Vec<StrategyReport>,
    /// Text generated after [`sample_prompt`](Self::sample_prompt), without the prompt.
    pub sample: String,
    /// The prompt of the sample.
    pub sample_prompt: String,
}

/// The machine of a run, with the field names of `arenite doctor`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system.
    pub os: String,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The processor.
    pub processor: Processor,
    /// The OS pages.
    pub pages: OsPages,
}

/// The processor of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processor {
    /// Model name, as reported by the kernel.
    pub model: Option<String>,
    /// Logical processors that the process may use.
    pub usable: usize,
}

/// The OS pages of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OsPages {
    /// Size of an OS page in bytes.
    pub size_bytes: u64,
    /// The policy for transparent huge pages, for example `madvise`.
    pub transparent: String,
}

/// The model of a run and its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Number of trained parameters.
    pub parameters: u64,
    /// Transformer layers.
    pub layers: u64,
    /// Width of the residual stream, in elements.
    pub width: u64,
    /// Attention heads per layer.
    pub heads: u64,
    /// Tokens in a sequence.
    pub context: u64,
    /// Sequences in a step.
    pub batch: u64,
    /// Steps trained under each strategy.
    pub steps: u64,
    /// Seed of the weights and of the order of the text.
    pub seed: u64,
    /// Distinct tokens.
    pub vocabulary: u64,
    /// Length of the text in bytes.
    pub text_bytes: u64,
    /// The file, or a description of the text.
    pub text_name: String,
}

/// The results of one strategy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StrategyReport {
    /// `system`, `pool` or `arena`.
    pub name: String,
    /// Median time of a step in milliseconds.
    #[serde(deserialize_with = "nan_from_null")]
    pub step_ms_median: f64,
    /// 95th percentile of the time of a step in milliseconds.
    #[serde(deserialize_with = "nan_from_null")]
    pub step_ms_p95: f64,
    /// This strategy's median step time divided by that of `system`: below one is faster. `None`
    /// without `system`.
    pub ratio_to_system: Option<f64>,
    /// Blocks allocated in a step.
    #[serde(deserialize_with = "nan_from_null")]
    pub allocations_per_step: f64,
    /// Calls of malloc in a step.
    #[serde(deserialize_with = "nan_from_null")]
    pub malloc_calls_per_step: f64,
    /// Page faults in a step after warm-up: first touches, and rarely an OS page that the kernel
    /// moved.
    #[serde(deserialize_with = "nan_from_null")]
    pub faults_per_step: f64,
    /// Peak of the bytes in live blocks.
    pub peak_in_use_bytes: u64,
    /// Peak of the bytes held from upstream. `None` if unknown, as under `system`.
    pub peak_held_bytes: Option<u64>,
    /// Maximum resident set size of the process.
    pub max_rss_bytes: u64,
    /// Cross-entropy of each step, in nats per token.
    #[serde(deserialize_with = "nans_from_nulls")]
    pub losses: Vec<f32>,
    /// Time of each step in milliseconds. Empty if it was not recorded.
    #[serde(deserialize_with = "nans_from_nulls")]
    pub step_ms: Vec<f64>,
    /// Memory over time, in the order of time.
    pub timeline: Vec<TimelinePoint>,
}

/// The memory in use and held at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TimelinePoint {
    /// Milliseconds since the strategy started to train.
    #[serde(deserialize_with = "nan_from_null")]
    pub elapsed_ms: f64,
    /// Bytes in live blocks.
    pub in_use_bytes: u64,
    /// Bytes held from upstream. `None` if unknown, as under `system`.
    pub held_bytes: Option<u64>,
}

/// Renders `report` as one self-contained HTML page. O(length of the report).
///
/// # Panics
/// Never: a report contains only strings and numbers, which always serialise.
///
/// ```
/// use arenite_cli::report::{Report, render};
///
/// let page = render(&Report { title: "A & </script>".into(), ..Report::default() });
/// assert!(page.contains(r#""title":"A \u0026 \u003c/script\u003e""#));
/// ```
#[must_use]
pub fn render(report: &Report) -> String {
    let json = serde_json::to_string(report).expect("strings and numbers serialise");
    // the data is inserted last, so that a placeholder in a text of the report stays text
    PAGE.replacen(STYLE_MARK, STYLE, 1).replacen(SCRIPT_MARK, SCRIPT, 1).replacen(
        DATA_MARK,
        &escape_for_script(&json),
        1,
    )
}

/// Escapes every character that could end a script element, open a comment or end a line of
/// script.
///
/// In JSON these characters occur only in strings, where `\u….` is the same character.
fn escape_for_script(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 16);
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            other => out.push(other),
        }
    }
    out
}

fn nan_from_null<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(source)?.unwrap_or(f64::NAN))
}

/// A number type whose NaN is `null` in JSON.
trait NotANumber {
    const NAN: Self;
}

impl NotANumber for f32 {
    const NAN: Self = Self::NAN;
}

impl NotANumber for f64 {
    const NAN: Self = Self::NAN;
}

fn nans_from_nulls<'de, D, T>(source: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + NotANumber,
{
    let values = Vec::<Option<T>>::deserialize(source)?;
    Ok(values.into_iter().map(|value| value.unwrap_or(T::NAN)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "</script><script>throw 1</script><!-- --> ]]> \"q\" 'q' \\ & \u{2028}\u{2029} \0 ß 山 🏜 \
                         /*__ARENITE_DATA__*/ /*__ARENITE_JS__*/ $& $1";

    fn data_of(page: &str) -> &str {
        let open = "<script type=\"application/json\" id=\"data\">";
        let start = page.find(open).unwrap() + open.len();
        let end = start + page[start..].find("</script>").unwrap();
        &page[start..end]
    }

    fn nasty() -> Report {
        let strategy = StrategyReport {
            name: NASTY.into(),
            losses: vec![1.5, 0.1],
            step_ms: vec![0.25],
            timeline: vec![TimelinePoint { elapsed_ms: 0.5, in_use_bytes: 1, held_bytes: Some(u64::MAX) }],
            ratio_to_system: Some(0.5),
            ..StrategyReport::default()
        };
        Report {
            title: NASTY.into(),
            program: vec![NASTY.into()],
            command: NASTY.into(),
            machine: Machine {
                processor: Processor { model: Some(NASTY.into()), usable: 1 },
                ..Machine::default()
            },
            model: Model { text_name: NASTY.into(), ..Model::default() },
            strategies: vec![strategy],
            sample: NASTY.into(),
            sample_prompt: NASTY.into(),
        }
    }

    #[test]
    fn render_of_nasty_text_deserialises_to_the_same_report() {
        let page = render(&nasty());
        assert_eq!(serde_json::from_str::<Report>(data_of(&page)).unwrap(), nasty());
    }

    #[test]
    fn render_adds_no_markup_from_the_report() {
        let plain = render(&Report::default());
        let page = render(&nasty());
        let count = |text: &str, part: &str| text.to_lowercase().matches(part).count();
        for part in ["<script", "</script", "<!--", "-->", "<", ">", "\u{2028}", "\u{2029}"] {
            assert_eq!(count(&page, part), count(&plain, part), "{part:?}");
        }
    }

    #[test]
    fn render_leaves_no_placeholder_and_no_address() {
        let page = render(&Report::default());
        for part in ["__ARENITE", "http://", "https://", "@import", "src=\"", "url("] {
            let page = page.replace("http://www.w3.org/2000/svg", "").replace("url(#", "");
            assert!(!page.contains(part), "{part:?}");
        }
    }

    #[test]
    fn escape_for_script_escapes_only_dangerous_characters() {
        assert_eq!(
            escape_for_script("</a><!--&\u{2028}\u{2029}"),
            "\\u003c/a\\u003e\\u003c!--\\u0026\\u2028\\u2029"
        );
        assert_eq!(escape_for_script("{\"a\":[1,null,\"\\\"é山\"]}"), "{\"a\":[1,null,\"\\\"é山\"]}");
    }

    #[test]
    fn numbers_that_are_not_finite_are_null_and_deserialise_as_nan() {
        let mut report = nasty();
        report.strategies[0].losses = vec![f32::NAN, f32::INFINITY, 2.0];
        report.strategies[0].step_ms_median = f64::NAN;
        report.strategies[0].step_ms = vec![f64::NAN];
        let json = serde_json::to_string(&report).unwrap();
        assert!(json.contains("\"losses\":[null,null,2.0]") && json.contains("\"step_ms_median\":null"));
        let back: Report = serde_json::from_str(&json).unwrap();
        let strategy = &back.strategies[0];
        assert!(
            strategy.losses[0].is_nan() && strategy.losses[1].is_nan() && strategy.step_ms_median.is_nan()
        );
        assert!(strategy.step_ms[0].is_nan());
        assert_eq!(strategy.losses[2].to_bits(), 2.0_f32.to_bits());
    }

    #[test]
    fn losses_keep_their_bits_through_the_json() {
        let losses: Vec<f32> = (0..4096_u16).map(|i| f32::from(i).mul_add(0.001_234_5, 1.0).ln()).collect();
        let strategy = StrategyReport { losses: losses.clone(), ..StrategyReport::default() };
        let json = serde_json::to_string(&strategy).unwrap();
        let back: StrategyReport = serde_json::from_str(&json).unwrap();
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back.losses), bits(&losses));
    }
}
