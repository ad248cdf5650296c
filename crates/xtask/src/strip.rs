//! A lexer that tells the code, the comments and the literals of a Rust text apart.
//!
//! The source checks need no syntax tree, only a text in which a word is known to be code or
//! prose.

/// The kind of a piece of Rust text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything that is neither a comment nor a literal.
    Code,
    /// A line comment without its line end, or a block comment.
    Comment,
    /// A string or character literal with its prefix and quotes.
    Literal,
}

/// A piece of Rust text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Kind of the piece.
    pub kind: Kind,
    /// Offset of the piece in the text, in bytes.
    pub start: usize,
    /// Text of the piece.
    pub text: &'a str,
}

/// Splits `text` into its pieces, which cover all of it. O(n).
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut code_start = 0;
    let mut at = 0;
    let mut after_word = false;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let skip = if after_word && is_word(first) { 0 } else { literal(rest) };
        if skip == 0 {
            at += first.len_utf8();
            after_word = is_word(first);
            continue;
        }
        if code_start < at {
            found.push(Piece { kind: Kind::Code, start: code_start, text: &text[code_start..at] });
        }
        let is_comment = rest.starts_with("//") || rest.starts_with("/*");
        let kind = if is_comment { Kind::Comment } else { Kind::Literal };
        found.push(Piece { kind, start: at, text: &text[at..at + skip] });
        at += skip;
        code_start = at;
        after_word = false;
    }
    if code_start < at {
        found.push(Piece { kind: Kind::Code, start: code_start, text: &text[code_start..at] });
    }
    found
}

/// Replaces every comment and literal of `text` with spaces. O(n).
///
/// Byte offsets and line numbers stay as they are.
pub fn strip_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        if piece.kind == Kind::Code {
            out.push_str(piece.text);
        } else {
            out.extend(piece.text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        }
    }
    out
}

/// Returns whether `c` can be a part of an identifier.
pub fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Returns the length in bytes of the comment or literal at the start of `text`, or 0.
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
        // A lifetime has no closing quote after its first character.
        if first == Some('\\') || inside.next() == Some('\'') {
            return letters.len() + quoted(body, '\'');
        }
    }
    0
}

/// Returns the length in bytes of the literal at the start of `text`, with its quotes.
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

/// Returns the length in bytes of the block comment at the start of `text`. Block comments nest.
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
    fn strip_comments_keeps_code_and_blanks_comments() {
        assert_eq!(
            strip_comments("let a = 1; // unsafe\nunsafe { b() }"),
            "let a = 1;          \nunsafe { b() }"
        );
        assert_eq!(strip_comments("a /* x /* y */ z */ b"), "a                   b");
        assert_eq!(strip_comments("//! unsafe ü").trim(), "");
    }

    #[test]
    fn strip_comments_blanks_strings_of_every_kind() {
        for text in [
            "\"unsafe\"",
            "r\"unsafe\"",
            "r#\"un\"safe\"#",
            "b\"\\\"unsafe\"",
            "br#\"unsafe\"#",
            "c\"unsafe\"",
        ] {
            let all = format!("f({text}) + unsafe_code");
            assert_eq!(strip_comments(&all).replace(' ', ""), "f()+unsafe_code", "{text}");
        }
    }

    #[test]
    fn strip_comments_separates_characters_from_lifetimes() {
        assert_eq!(strip_comments("f('\"', x)").replace(' ', ""), "f(,x)");
        assert_eq!(strip_comments("f('\\'', b'\"', 'ü')").replace(' ', ""), "f(,,)");
        assert_eq!(strip_comments("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    }

    #[test]
    fn strip_comments_does_not_take_the_end_of_a_word_for_a_prefix() {
        assert_eq!(strip_comments("expr#\"a\"#;unsafe").replace(' ', ""), "expr##;unsafe");
        assert_eq!(strip_comments("r#type unsafe"), "r#type unsafe");
    }

    #[test]
    fn strip_comments_ends_at_the_end_of_a_broken_text() {
        for text in ["\"abc", "/* abc", "r#\"abc\"", "'\\", "b"] {
            assert_eq!(strip_comments(text).len(), text.len(), "{text}");
        }
    }

    #[test]
    fn pieces_cover_the_text_in_order() {
        let text = "let a = \"// no\"; /* b */ // c\nd('x')";
        let found = pieces(text);
        assert_eq!(found.iter().map(|piece| piece.text).collect::<String>(), text);
        let comments: Vec<&str> =
            found.iter().filter(|piece| piece.kind == Kind::Comment).map(|piece| piece.text).collect();
        assert_eq!(comments, ["/* b */", "// c"]);
        assert!(found.iter().all(|piece| text[piece.start..].starts_with(piece.text)));
    }
}
