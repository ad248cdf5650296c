//! Parsers of the kernel's text formats: lists of numbers, sizes with a unit, selected options,
//! named fields.
//!
//! Several files share each format. All parsers accept any text, and return `None` for an invalid
//! one.

/// Maximum number of a processor or node (`NR_CPUS` is at most 8192). A larger range is garbage,
/// and its list would need gibibytes.
const MAX_CPU: usize = 65_535;

/// Parses `0-3,8,10-11` to ascending unique numbers. An empty list is valid.
pub(crate) fn parse_cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last > MAX_CPU {
            return None;
        }
        numbers.extend(first..=last);
        if numbers.len() > 4 * MAX_CPU {
            return None;
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    Some(numbers)
}

/// Parses `48K`, `32M`, `1G` or plain bytes to bytes.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, unit) = match text.char_indices().last()? {
        (at, 'K' | 'k') => (&text[..at], 1 << 10),
        (at, 'M') => (&text[..at], 1 << 20),
        (at, 'G') => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Returns the option in brackets: `madvise` of `always [madvise] never`.
pub(crate) fn selected_option(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    let (word, _) = rest.split_once(']')?;
    (!word.is_empty()).then_some(word)
}

/// Returns the rest of the line after `name:`, trimmed. Text before the name on the line is
/// skipped (`Node 0 MemTotal:`).
pub(crate) fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.split_whitespace().next_back()? == name).then_some(value.trim())
    })
}

/// Returns a field in kibibytes (`MemTotal: 5073108 kB`), in bytes.
pub(crate) fn kib_field(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

/// Returns a field with a plain number (`HugePages_Total: 4`).
pub(crate) fn number_field(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.parse().ok()
}

/// Returns the value of a line `key value`, as in `memory.stat`.
pub(crate) fn key_value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == key).then(|| words.next()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn n16_number_lists_are_read_as_the_kernel_writes_them() {
        assert_eq!(parse_cpu_list("0-3,8,10-11\n"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(parse_cpu_list("\n"), Some(vec![]), "a node without a processor");
        assert_eq!(parse_cpu_list("5,5,4"), Some(vec![4, 5]));
        for bad in ["3-1", "a", "1-", "-1", "0-18446744073709551615", "0-99999999"] {
            assert_eq!(parse_cpu_list(bad), None, "{bad}");
        }
    }

    #[test]
    fn n16_sizes_choices_and_fields_are_parsed() {
        assert_eq!(
            (parse_size("48K"), parse_size("32M\n"), parse_size("7")),
            (Some(49_152), Some(32 << 20), Some(7))
        );
        assert_eq!(
            (parse_size(""), parse_size("K"), parse_size("é"), parse_size("99999999999999999999G")),
            (None, None, None, None)
        );
        assert_eq!(selected_option("always [madvise] never"), Some("madvise"));
        assert_eq!(
            (selected_option("always"), selected_option("[]"), selected_option("]x[")),
            (None, None, None)
        );
        let text = "Node 0 MemTotal:  12 kB\nNode 0 MemFree: 3 kB\nHugePages_Total:   4\nMemHuge: 5\n";
        assert_eq!((kib_field(text, "MemTotal"), kib_field(text, "MemFree")), (Some(12_288), Some(3_072)));
        assert_eq!((number_field(text, "HugePages_Total"), kib_field(text, "MemHuge")), (Some(4), None));
        assert_eq!(kib_field("MemTotal: 18446744073709551615 kB", "MemTotal"), None, "no overflow");
        assert_eq!(key_value("cache 4\ntotal_inactive_file 9\n", "total_inactive_file"), Some(9));
    }

    fn is_consistent(text: &str, name: &str) -> bool {
        let ascending = parse_cpu_list(text).is_none_or(|list| list.is_sorted());
        let within =
            [selected_option(text), field(text, name)].into_iter().flatten().all(|part| text.contains(part));
        let numbers =
            [kib_field(text, name), number_field(text, name), key_value(text, name), parse_size(text)];
        ascending
            && within
            && numbers.into_iter().flatten().all(|number| number == 0 || text.contains(char::is_numeric))
    }

    proptest! {
        #[test]
        fn n16_parsers_accept_any_text(text in any::<String>(), name in "[A-Za-z_]{0,8}") {
            prop_assert!(is_consistent(&text, &name));
        }

        #[test]
        fn n16_parsers_accept_text_of_their_letters(text in "[0-9,:\\-KMG \\[\\]kB\n]{0,64}") {
            prop_assert!(is_consistent(&text, "") && is_consistent(&text, "1"));
        }

        #[test]
        fn n16_a_number_list_is_read_back(numbers in proptest::collection::btree_set(0_usize..300, 0..40)) {
            let text = numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
            prop_assert_eq!(parse_cpu_list(&text), Some(numbers.into_iter().collect::<Vec<_>>()));
        }
    }
}
