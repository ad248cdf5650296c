//! The tokens of Rust code, and what its attributes say about tests and module files.

use crate::strip::{Kind, is_word, pieces};
use Token::{Literal, Other, PathSeparator, Word};

/// A token of Rust code. Lifetimes are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Word(&'a str),
    Literal(&'a str),
    PathSeparator,
    Other(char),
}

/// Returns the tokens of `text` with the numbers of their lines.
pub(crate) fn tokens(text: &str) -> Vec<(Token<'_>, usize)> {
    let mut found = Vec::new();
    let mut line = 1;
    for piece in pieces(text) {
        match piece.kind {
            Kind::Comment => {}
            Kind::Literal => found.push((Literal(piece.text), line)),
            Kind::Code => code_tokens(piece.text, line, &mut found),
        }
        line += piece.text.matches('\n').count();
    }
    found
}

fn code_tokens<'a>(code: &'a str, mut line: usize, found: &mut Vec<(Token<'a>, usize)>) {
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let lifetime = first == '\'';
        let word = &rest[usize::from(lifetime)..];
        let len = word.find(|c| !is_word(c)).unwrap_or(word.len());
        let taken = if lifetime {
            1 + len
        } else if len > 0 {
            found.push((Word(&rest[..len]), line));
            len
        } else if rest.starts_with("::") {
            found.push((PathSeparator, line));
            2
        } else {
            if !first.is_whitespace() {
                found.push((Other(first), line));
            }
            line += usize::from(first == '\n');
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
}

/// What the attributes of an item say about its module or file.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    /// The item is compiled for tests alone.
    pub(crate) is_test: bool,
    /// The item is a macro of the crate's root.
    pub(crate) is_export: bool,
    /// Paths of a module's file.
    pub(crate) paths: Vec<String>,
    /// The paths apply to some configurations only.
    pub(crate) is_conditional: bool,
}

impl Attributes {
    /// Adds the attribute between whose brackets `tokens` stand.
    pub(crate) fn add(&mut self, tokens: &[(Token<'_>, usize)]) {
        let tokens: Vec<Token<'_>> = tokens.iter().map(|&(token, _)| token).collect();
        match tokens[..] {
            [Word("test")] => self.is_test = true,
            [Word("cfg"), Other('('), ..] => self.is_test |= needs_test(&tokens[2..]),
            [Word("macro_export"), ..] => self.is_export = true,
            [Word("cfg_attr"), ..] => self.is_conditional = true,
            _ => {}
        }
        for window in tokens.windows(3) {
            if let [Word("path"), Other('='), Literal(path)] = window {
                self.paths.push(path.trim_matches('"').to_owned());
            }
        }
    }
}

/// Returns whether the condition at the start of `tokens` holds in tests alone.
fn needs_test(tokens: &[Token<'_>]) -> bool {
    let is_any = match tokens {
        [Word("test"), ..] => return true,
        [Word("all"), Other('('), ..] => false,
        [Word("any"), Other('('), ..] => true,
        _ => return false,
    };
    let mut results = Vec::new();
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(1) {
        match token {
            Other('(') => depth += 1,
            Other(')') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(token, Other('(' | ',')) && !matches!(tokens.get(at + 1), Some(Other(')')))
        {
            results.push(needs_test(&tokens[at + 1..]));
        }
    }
    if is_any { results.iter().all(|&result| result) } else { results.contains(&true) }
}
