//! What a training run says on the terminal: the table, the finding, the sample.
//!
//! Rests on [`Report`] alone, so that terminal, page and JSON tell the same numbers.

use crate::report::{Report, StrategyReport};
use arenite_core::Bytes;
use comfy_table::{CellAlignment, Table, presets};

/// The first pair of strategies whose losses differ in any bit.
pub(super) fn same_losses(strategies: &[StrategyReport]) -> Option<(usize, usize)> {
    let bits =
        |strategy: &StrategyReport| strategy.losses.iter().map(|loss| loss.to_bits()).collect::<Vec<_>>();
    let first = bits(strategies.first()?);
    strategies.iter().position(|strategy| bits(strategy) != first).map(|at| (at, 0))
}

/// The mean of the last twenty losses.
fn last_loss(strategy: &StrategyReport) -> f32 {
    let last: Vec<f32> = strategy.losses.iter().rev().take(20).copied().collect();
    if last.is_empty() { f32::NAN } else { last.iter().sum::<f32>() / last.len() as f32 }
}

/// Everything that is printed after training.
pub(super) fn text(report: &Report) -> String {
    let model = &report.model;
    let mut text = format!(
        "{} parameters, {} layers of width {}, {} x {} characters a step, {} steps on {}\n\n{}\n",
        model.parameters,
        model.layers,
        model.width,
        model.batch,
        model.context,
        model.steps,
        model.text_name,
        table(&report.strategies)
    );
    text += &finding(&report.strategies);
    if !report.sample.is_empty() {
        text += &format!("\nThe trained model writes:\n\n{}{}\n", report.sample_prompt, report.sample);
    }
    text
}

fn table(strategies: &[StrategyReport]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "memory", "ms/step", "p95", "ratio", "allocs", "malloc", "faults", "in use", "held", "resident",
        "loss",
    ]);
    for strategy in strategies {
        table.add_row([
            strategy.name.clone(),
            format!("{:.2}", strategy.step_ms_median),
            format!("{:.2}", strategy.step_ms_p95),
            strategy.ratio_to_system.map_or("-".into(), |ratio| format!("{ratio:.2}")),
            format!("{:.0}", strategy.allocs_per_step),
            format!("{:.1}", strategy.system_calls_per_step),
            format!("{:.1}", strategy.faults_per_step),
            bytes(strategy.peak_in_use),
            bytes(strategy.peak_held),
            bytes(strategy.rss_peak),
            format!("{:.3}", last_loss(strategy)),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn bytes(count: u64) -> String {
    Bytes(usize::try_from(count).unwrap_or(usize::MAX)).to_string()
}

/// What the table's columns count, and what came out.
fn finding(strategies: &[StrategyReport]) -> String {
    let mut text = String::from(
        "Per step after warm-up: allocs = blocks of the model; malloc = calls that reached the system's allocator; \
         faults = page faults.\nIn use, held and resident are peaks; system holds no more than is in use as far as can be told. \
         Pool and arena also recycle\nthe matrix library's scratch blocks (--recycle). ",
    );
    let names: Vec<&str> = strategies.iter().map(|strategy| strategy.name.as_str()).collect();
    if same_losses(strategies).is_none() && names.len() > 1 {
        text += &format!("Losses are identical to the bit under {}.", names.join(", "));
    }
    text.push('\n');
    let Some(system) = strategies.iter().find(|strategy| strategy.name == "system") else { return text };
    for strategy in strategies.iter().filter(|strategy| strategy.name != "system") {
        let saved = system.step_ms_median - strategy.step_ms_median;
        let word = if saved >= 0.0 { "less" } else { "more" };
        let faults = system.faults_per_step - strategy.faults_per_step;
        text += &format!("{}: {:.2} ms {word} a step than system", strategy.name, saved.abs());
        if faults.abs() >= 0.5 {
            let word = if faults > 0.0 { "fewer" } else { "more" };
            text += &format!(", {:.0} page faults {word}", faults.abs());
        }
        if saved > 0.0 && faults > 100.0 {
            text += &format!(" ({:.2} us for each)", saved * 1e3 / faults);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(name: &str, median: f64, losses: &[f32]) -> StrategyReport {
        StrategyReport {
            name: name.into(),
            step_ms_median: median,
            losses: losses.to_vec(),
            ..Default::default()
        }
    }

    #[test]
    fn losses_that_differ_in_one_bit_are_found() {
        let one = strategy("system", 2.0, &[1.0, 2.0]);
        assert_eq!(same_losses(&[one.clone(), strategy("pool", 1.0, &[1.0, 2.0])]), None);
        let other = strategy("arena", 1.0, &[1.0, f32::from_bits(2f32.to_bits() + 1)]);
        assert_eq!(same_losses(&[one.clone(), one, other]), Some((2, 0)));
        assert_eq!(same_losses(&[]), None);
    }

    #[test]
    fn a_slower_strategy_is_said_to_be_slower() {
        let text = finding(&[strategy("system", 2.0, &[1.0]), strategy("arena", 3.5, &[1.0])]);
        assert!(text.contains("arena: 1.50 ms more a step than system"), "{text}");
    }
}
