//! The table of a report as Markdown, and the list of its losses.
//!
//! The table has one row per case and unit and one column per competitor. A cell has the value,
//! its quartiles, and the ratio of arenite's value to it.

use crate::report::{OURS, Report, Row};
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

/// The ratio from which arenite counts as losing; two runs of one program differ by less.
const MIN_LOSS_RATIO: f64 = 1.02;

/// Returns the table of `report` in Markdown.
#[must_use]
pub fn table(report: &Report) -> String {
    let variants = names(report, |row| row.variants.keys().collect());
    let rivals = names(report, |row| row.rivals.keys().collect());
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    let mut header = vec![report.suite.clone(), "unit".into(), "arenite".into()];
    header.extend(variants.iter().map(|name| format!("arenite {name}")));
    header.push("ratio to the best".into());
    header.extend(rivals.iter().cloned());
    table.set_header(header);
    for row in &report.rows {
        let mut cells = vec![
            row.case.clone(),
            row.unit.clone(),
            format!("**{}**{}", format_value(row.ours), quartiles(row, OURS)),
        ];
        cells.extend(variants.iter().map(|name| {
            let ratio =
                row.ratios.get(name).map_or(String::new(), |&ratio| format!(" {}", format_ratio(ratio)));
            row.variants
                .get(name)
                .map_or("–".into(), |value| format_value(*value) + &quartiles(row, name) + &ratio)
        }));
        cells.push(row.ratio_to_best().map_or("–".into(), |ratio| format!("**{}**", format_ratio(ratio))));
        cells.extend(rivals.iter().map(|name| {
            row.rivals.get(name).map_or("–".into(), |value| {
                let ratio = row.ratio_to(name).map_or(String::new(), format_ratio);
                format!("{}{} {ratio}", format_value(*value), quartiles(row, name))
            })
        }));
        table.add_row(cells);
    }
    table.to_string()
}

/// Returns the cases in which arenite is more than 2 % behind the best rival, one line each.
#[must_use]
pub fn losses(report: &Report) -> Vec<String> {
    let is_loss = |row: &&Row| row.ratio_to_best().is_some_and(|ratio| ratio > MIN_LOSS_RATIO);
    let line = |row: &Row| {
        let (name, best) = row.best_rival()?;
        let ratio = format_ratio(row.ratio_to_best()?);
        Some(format!(
            "{}: {}: {} {} against {} of {name}, {ratio}",
            report.suite,
            row.case,
            format_value(row.ours),
            row.unit,
            format_value(best)
        ))
    };
    report.rows.iter().filter(is_loss).filter_map(line).collect()
}

/// Returns every name in the rows once, sorted.
fn names<'r>(report: &'r Report, of: impl Fn(&'r Row) -> Vec<&'r String>) -> Vec<String> {
    let mut names: Vec<String> = report.rows.iter().flat_map(of).cloned().collect();
    names.sort();
    names.dedup();
    names
}

fn format_ratio(ratio: f64) -> String {
    if ratio.is_finite() { format!("×{ratio:.2}") } else { "×∞".into() }
}

/// Formats a value with three significant digits.
fn format_value(value: f64) -> String {
    match value {
        v if v >= 100.0 || v == 0.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

fn quartiles(row: &Row, name: &str) -> String {
    let spread = row.spread.get(name);
    spread
        .map_or(String::new(), |spread| format!(" [{}…{}]", format_value(spread.q1), format_value(spread.q3)))
}
