//! The table of a report, as Markdown, and the list of its losses.
//!
//! Rests on `comfy-table`. One row a case and unit, one column a contestant; a cell holds the figure, its quartiles,
//! and arenite's figure over it.

use crate::report::{OURS, Report, Row};
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

/// From which ratio on arenite counts as behind: below it lies what two runs of one program differ by.
const BEHIND: f64 = 1.02;

/// The table of `report`, in Markdown.
#[must_use]
pub fn table(report: &Report) -> String {
    let variants = names(report, |row| row.variants.keys().collect());
    let rivals = names(report, |row| row.rivals.keys().collect());
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    let mut header = vec![report.suite.clone(), "unit".into(), "arenite".into()];
    header.extend(variants.iter().map(|name| format!("arenite {name}")));
    header.push("over the best".into());
    header.extend(rivals.iter().cloned());
    table.set_header(header);
    for row in &report.rows {
        let mut cells = vec![
            row.case.clone(),
            row.unit.clone(),
            format!("**{}**{}", figure(row.ours), quartiles(row, OURS)),
        ];
        cells.extend(variants.iter().map(|name| {
            let ratio = row.ratios.get(name).map_or(String::new(), |&ratio| format!(" {}", times(ratio)));
            row.variants
                .get(name)
                .map_or("–".into(), |value| figure(*value) + &quartiles(row, name) + &ratio)
        }));
        cells.push(row.ratio_to_best().map_or("–".into(), |ratio| format!("**{}**", times(ratio))));
        cells.extend(rivals.iter().map(|name| {
            row.rivals.get(name).map_or("–".into(), |value| {
                let ratio = row.ratio_to(name).map_or(String::new(), times);
                format!("{}{} {ratio}", figure(*value), quartiles(row, name))
            })
        }));
        table.add_row(cells);
    }
    table.to_string()
}

/// The cases in which arenite is more than two hundredths behind the best rival, one line each.
#[must_use]
pub fn losses(report: &Report) -> Vec<String> {
    let behind = |row: &&Row| row.ratio_to_best().is_some_and(|ratio| ratio > BEHIND);
    let line = |row: &Row| {
        let (name, best) = row.best_rival()?;
        let ratio = times(row.ratio_to_best()?);
        Some(format!(
            "{}: {}: {} {} against {} of {name}, {ratio}",
            report.suite,
            row.case,
            figure(row.ours),
            row.unit,
            figure(best)
        ))
    };
    report.rows.iter().filter(behind).filter_map(line).collect()
}

/// Every name in the rows, in alphabetical order, once.
fn names<'r>(report: &'r Report, of: impl Fn(&'r Row) -> Vec<&'r String>) -> Vec<String> {
    let mut names: Vec<String> = report.rows.iter().flat_map(of).cloned().collect();
    names.sort();
    names.dedup();
    names
}

fn times(ratio: f64) -> String {
    if ratio.is_finite() { format!("×{ratio:.2}") } else { "×∞".into() }
}

/// Three digits that matter.
fn figure(value: f64) -> String {
    match value {
        v if v >= 100.0 || v == 0.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

fn quartiles(row: &Row, name: &str) -> String {
    let spread = row.spread.get(name);
    spread.map_or(String::new(), |spread| format!(" [{}…{}]", figure(spread.q1), figure(spread.q3)))
}
