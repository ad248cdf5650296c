//! The style of numbers and tables on the terminal, one for all commands.

use arenite_core::Bytes;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

/// A rule under the header, and no rules between rows.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Returns an empty table with a header.
pub(crate) fn table<'h>(header: impl IntoIterator<Item = &'h str>) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(header);
    table
}

/// Aligns the columns of numbers to the right.
pub(crate) fn align_right(table: &mut Table, columns: impl IntoIterator<Item = usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Formats a number of bytes, such as `19.7 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    Bytes(usize::try_from(count).unwrap_or(usize::MAX)).to_string()
}

/// Formats a time in seconds with three digits, such as `12.6 ms`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "–".into();
    }
    let size = seconds.abs();
    let (value, unit) = if size >= 0.999_5 {
        (seconds, "s")
    } else if size >= 0.999_5e-3 || size == 0.0 {
        (seconds * 1e3, "ms")
    } else {
        (seconds * 1e6, "µs")
    };
    let digits = match value.abs() {
        value if value >= 99.95 || value == 0.0 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}

/// Formats a number as the report page does: `1,234`, `98.7`, `0.981`, and `–` for NaN.
///
/// A whole number and a number from 1000 have no decimals, others have three digits.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let size = value.abs();
    if value.fract() != 0.0 && size < 999.5 {
        let rounded = format!("{value:.2e}");
        let exponent: i32 = rounded.split_once('e').and_then(|(_, text)| text.parse().ok()).unwrap_or(0);
        return format!("{value:.*}", usize::try_from(2 - exponent).unwrap_or(0));
    }
    let digits = format!("{size:.0}");
    let mut grouped = String::from(if value < 0.0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Returns a count with its noun, such as `1 core` or `8 cores`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Returns a count of times, such as `1 time` or `8 times`.
pub(crate) fn times(count: u64) -> String {
    if count == 1 { "1 time".into() } else { format!("{count} times") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_three_digits_and_its_unit() {
        let cases = [
            (0.0, "0 ms"),
            (0.012_6, "12.6 ms"),
            (0.000_85, "850 µs"),
            (0.001, "1.00 ms"),
            (0.099_99, "100 ms"),
            (0.5, "500 ms"),
            (0.999_9, "1.00 s"),
            (2.314, "2.31 s"),
            (312.0, "312 s"),
            (f64::NAN, "–"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn a_number_has_three_digits_or_groups_of_three() {
        let cases = [
            (0.0, "0"),
            (46.0, "46"),
            (612.0, "612"),
            (0.980_5, "0.981"),
            (0.009_999, "0.0100"),
            (9.999, "10.0"),
            (34.567, "34.6"),
            (999.4, "999"),
            (999.7, "1,000"),
            (16_734.2, "16,734"),
            (-1_234_567.0, "-1,234,567"),
            (f64::NAN, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text, "{value}");
        }
    }

    #[test]
    fn a_table_of_40_rows_has_42_lines() {
        let mut table = table(["name", "bytes"]);
        for row in 0..40 {
            table.add_row([format!("process {row}"), bytes(row << 20)]);
        }
        align_right(&mut table, [1]);
        assert_eq!(table.to_string().lines().count(), 42, "{table}");
    }
}
