//! The code of a Rust text: comments, strings and characters blanked, lines kept.
//!
//! Rests on nothing. A rule about the word `unsafe` must not trip over a sentence about it; a full parser would be a
//! dependency of seconds for a question that one pass over the bytes answers.

/// `text` with every comment and the inside of every literal replaced by spaces. O(n); lines keep their numbers.
pub fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let skipped = if after_word && first != '"' && first != '\'' { 0 } else { literal(rest) };
        let (kept, taken) = if skipped > 0 { (false, skipped) } else { (true, first.len_utf8()) };
        let (head, tail) = rest.split_at(taken);
        if kept {
            out.push(first);
        } else {
            out.extend(head.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        after_word = kept && is_word(first);
        rest = tail;
    }
    out
}

/// Whether `c` may stand in an identifier.
pub fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The bytes of the comment or literal that `text` starts with; 0 where it starts with neither.
fn literal(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    let prefix = text.len() - text.trim_start_matches(['b', 'c', 'r']).len();
    let (letters, body) = text.split_at(prefix.min(2));
    if letters.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        if body[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = letters.len() + hashes + 1;
            return text[open..].find(&close).map_or(text.len(), |end| open + end + close.len());
        }
        return 0;
    }
    if body.starts_with('"') {
        return letters.len() + quoted(body, '"');
    }
    if body.starts_with('\'') && (letters.is_empty() || letters == "b") {
        let mut inside = body[1..].chars();
        let first = inside.next();
        // a lifetime has no closing quote one character on
        if first == Some('\\') || inside.next() == Some('\'') {
            return letters.len() + quoted(body, '\'');
        }
    }
    0
}

/// The bytes of the literal that `text` starts with, its quotes counted.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The bytes of the block comment, which may hold others, that `text` starts with.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_keeps_code_and_blanks_comments() {
        assert_eq!(code("let a = 1; // unsafe\nunsafe { b() }"), "let a = 1;          \nunsafe { b() }");
        assert_eq!(code("a /* x /* y */ z */ b"), "a                   b");
        assert_eq!(code("//! unsafe ü").trim(), "");
    }

    #[test]
    fn code_blanks_strings_of_every_kind() {
        for text in [
            "\"unsafe\"",
            "r\"unsafe\"",
            "r#\"un\"safe\"#",
            "b\"\\\"unsafe\"",
            "br#\"unsafe\"#",
            "c\"unsafe\"",
        ] {
            let all = format!("f({text}) + unsafe_code");
            assert_eq!(code(&all).replace(' ', ""), "f()+unsafe_code", "{text}");
        }
    }

    #[test]
    fn code_tells_characters_from_lifetimes() {
        assert_eq!(code("f('\"', x)").replace(' ', ""), "f(,x)");
        assert_eq!(code("f('\\'', b'\"', 'ü')").replace(' ', ""), "f(,,)");
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    }

    #[test]
    fn code_takes_the_end_of_a_word_for_no_prefix() {
        assert_eq!(code("expr#\"a\"#;unsafe").replace(' ', ""), "expr##;unsafe");
        assert_eq!(code("r#type unsafe"), "r#type unsafe");
    }

    #[test]
    fn code_of_a_text_that_breaks_off_ends() {
        for text in ["\"abc", "/* abc", "r#\"abc\"", "'\\", "b"] {
            assert_eq!(code(text).chars().count(), text.chars().count(), "{text}");
        }
    }
}
