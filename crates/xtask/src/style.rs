//! The style rules for comments: width, banned words, and the first word of a function's doc.
//!
//! The rules are checked by machine because a rule that only a reviewer knows is soon broken.

use crate::sources::Source;
use crate::strip::{Kind, is_word, pieces, strip_comments};
use std::fmt;
use std::ops::Range;

/// Maximum width of a line that holds a comment, in columns.
pub const MAX_COMMENT_COLUMNS: usize = 100;

/// Words and phrases that no comment contains, in lower case.
pub const BANNED: &[&str] = &[
    "rests on",
    "told of",
    "tells of",
    "told from",
    "whoever",
    "nobody",
    "somebody",
    "lent",
    "lend",
    "lends",
    "lending",
    "given back",
    "gives back",
    "give back",
    "giving back",
    "gave back",
    "who needs",
    "who asks",
    "the house",
    "fast door",
    "safe door",
    "checked door",
    "front door",
    "the door",
    "folder",
    "folders",
    "the same at most",
];

/// Openings that no doc comment has.
const BANNED_OPENINGS: &[&str] = &["The same", "As above", "Of", "It"];

/// Words that look like a verb in the third person and are none.
const NO_VERBS: &[&str] = &[
    "Addresses",
    "Allocations",
    "Always",
    "Besides",
    "Blocks",
    "Bytes",
    "Cores",
    "Elements",
    "Entries",
    "Its",
    "Kilobytes",
    "Layouts",
    "Messages",
    "Nodes",
    "Others",
    "Pages",
    "Perhaps",
    "Rows",
    "Seconds",
    "Slots",
    "Sometimes",
    "Strides",
    "Threads",
    "Towards",
    "Units",
    "Values",
    "Words",
];

/// Endings of nouns and adverbs that no verb in the third person has: "Address", "Thus", "This".
const NO_VERB_ENDINGS: &[&str] = &["ss", "us", "is", "As", "Was", "ias"];

/// Words that may stand between a doc comment and the `fn` that it documents.
const MODIFIERS: &[&str] = &["async", "const", "default", "extern", "safe", "unsafe"];

/// A style rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A comment line has at most [`MAX_COMMENT_COLUMNS`] columns.
    Width,
    /// A comment contains none of the [`BANNED`] words.
    Words,
    /// The doc of a function begins with a verb in the third person.
    Verb,
}

/// A comment that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Path of the file from the workspace's root.
    pub path: String,
    /// Number of the line, from 1.
    pub line: usize,
    /// The rule that is broken.
    pub rule: Rule,
    /// Description of the problem.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Returns every problem of `file` in the order of its lines. Only Rust files are checked.
pub fn problems(file: &Source) -> Vec<Problem> {
    if !file.path.ends_with(".rs") {
        return Vec::new();
    }
    let text = File::new(&file.text);
    let mut found = text.wide_lines();
    for comment in text.comments() {
        found.extend(banned_words(&comment));
        if comment.marker == "///" {
            found.extend(text.missing_verb(&comment));
        }
    }
    found.sort();
    let with_path = |(line, rule, message)| Problem { path: file.path.clone(), line, rule, message };
    found.into_iter().map(with_path).collect()
}

/// A problem without the path of its file.
type Found = (usize, Rule, String);

/// A Rust text and the places of its comments.
struct File<'a> {
    text: &'a str,
    /// The text without its comments and literals.
    code: String,
    /// Offset of the start of each line.
    line_starts: Vec<usize>,
    comments: Vec<Range<usize>>,
}

impl<'a> File<'a> {
    fn new(text: &'a str) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        let comments = pieces(text).into_iter().filter(|piece| piece.kind == Kind::Comment);
        Self {
            text,
            code: strip_comments(text),
            line_starts: std::iter::once(0).chain(starts).collect(),
            comments: comments.map(|piece| piece.start..piece.start + piece.text.len()).collect(),
        }
    }

    /// Returns the number of the line, from 1, that holds the byte at `offset`.
    fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= offset)
    }

    /// Returns the text of a line without its end.
    fn line_text(&self, line: usize) -> &'a str {
        let rest = &self.text[self.line_starts[line - 1]..];
        rest.lines().next().unwrap_or_default()
    }

    fn wide_lines(&self) -> Vec<Found> {
        let mut found = Vec::new();
        let mut last = 0;
        for comment in &self.comments {
            for line in self.line(comment.start)..=self.line(comment.end.max(1) - 1) {
                let text = self.line_text(line);
                let columns = text.chars().count();
                if columns > MAX_COMMENT_COLUMNS && line != last && !is_unbreakable(text) {
                    let message =
                        format!("comment line of {columns} columns, {MAX_COMMENT_COLUMNS} is the maximum");
                    found.push((line, Rule::Width, message));
                }
                last = line;
            }
        }
        found
    }

    /// Returns the comments, line comments of consecutive lines as one.
    fn comments(&self) -> Vec<Comment> {
        let mut found: Vec<Comment> = Vec::new();
        // The last line that a following line comment can continue.
        let mut open = None;
        for range in &self.comments {
            let text = &self.text[range.clone()];
            let first = self.line(range.start);
            let marker = marker(text);
            let alone = self.line_text(first).trim_start().starts_with(marker);
            let lines = text.lines().enumerate().map(|(at, line)| (first + at, content(line, marker)));
            match found.last_mut() {
                Some(last) if alone && open == Some(first) && last.marker == marker => {
                    last.lines.extend(lines);
                    last.end = range.end;
                }
                _ => {
                    found.push(Comment { marker, start: range.start, end: range.end, lines: lines.collect() })
                }
            }
            open = (alone && marker != "/*").then_some(first + 1);
        }
        found
    }

    /// Returns the problem of a doc comment of a function that does not begin with a verb.
    fn missing_verb(&self, doc: &Comment) -> Option<Found> {
        let name = self.documented_function(doc)?;
        let (line, text) = doc.lines.iter().find(|(_, text)| !text.is_empty())?;
        let first = text.split_whitespace().next().unwrap_or_default();
        let first = first.trim_end_matches([',', '.', ':', ';']);
        (!is_third_person(first)).then(|| {
            let message = format!(
                "the doc of `fn {name}` begins with \"{first}\": begin with a verb such as \"Returns\""
            );
            (*line, Rule::Verb, message)
        })
    }

    /// Returns the name of the function that `doc` documents, if it is one and no test.
    fn documented_function(&self, doc: &Comment) -> Option<&str> {
        if is_test(self.code[..doc.start].trim_end().lines().next_back().unwrap_or_default()) {
            return None;
        }
        let mut rest = self.code[doc.end..].trim_start();
        while rest.starts_with("#[") {
            let end = bracketed(rest)?;
            if is_test(&rest[..end]) {
                return None;
            }
            rest = rest[end..].trim_start();
        }
        loop {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after.trim_start();
            match word {
                "fn" => return Some(&rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]),
                "pub" if rest.starts_with('(') => rest = rest.split_once(')')?.1.trim_start(),
                "pub" => {}
                _ if MODIFIERS.contains(&word) => {}
                _ => return None,
            }
        }
    }
}

/// A block comment, or the line comments of consecutive lines.
struct Comment {
    marker: &'static str,
    start: usize,
    end: usize,
    /// Number and content of each line.
    lines: Vec<(usize, String)>,
}

/// Returns the characters that the comment `text` begins with and that are no prose.
fn marker(text: &str) -> &'static str {
    let four = text.starts_with("////");
    ["///", "//!", "//", "/*"]
        .into_iter()
        .find(|&marker| text.starts_with(marker) && !(four && marker == "///"))
        .unwrap_or("//")
}

fn content(line: &str, marker: &str) -> String {
    let line = line.trim();
    let line = line.strip_prefix(marker).unwrap_or(line);
    if marker == "/*" {
        let line = line.strip_suffix("*/").unwrap_or(line);
        return line.trim_start_matches(['*', '!', ' ']).trim_end().to_owned();
    }
    line.trim().to_owned()
}

/// Returns whether a comment line holds nothing but one long word, such as an address.
fn is_unbreakable(line: &str) -> bool {
    let words = line.trim_start().trim_start_matches(['/', '!', '*']).split_whitespace();
    let words: Vec<&str> = words.collect();
    words.len() == 1 || (words.len() == 2 && words[1].contains("://"))
}

/// Returns whether `word` looks like a verb in the third person: `Returns`.
fn is_third_person(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|first| first.is_ascii_uppercase())
        && word.len() > 2
        && letters.all(|letter| letter.is_ascii_lowercase())
        && word.ends_with('s')
        && !NO_VERBS.contains(&word)
        && !NO_VERB_ENDINGS.iter().any(|ending| word.ends_with(ending))
}

/// Returns whether `attribute` is `#[test]` or a path that ends with it.
fn is_test(attribute: &str) -> bool {
    let inside = attribute.trim().strip_prefix("#[").and_then(|rest| rest.strip_suffix(']'));
    inside.is_some_and(|path| path == "test" || path.ends_with("::test"))
}

/// Returns the length of the bracketed text at the start of `code`.
fn bracketed(code: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 1 => return Some(at + 1),
            ']' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn banned_words(comment: &Comment) -> Vec<Found> {
    let (prose, starts) = prose(&comment.lines);
    let lower = prose.to_ascii_lowercase();
    let line_at = |offset| {
        let line = starts.partition_point(|&(start, _)| start <= offset);
        starts[line.saturating_sub(1)].1
    };
    let mut found: Vec<Found> = BANNED
        .iter()
        .flat_map(|&banned| {
            let hits = lower.match_indices(banned).filter(|(at, _)| is_whole(&lower, *at, banned.len()));
            hits.map(move |(at, _)| (line_at(at), Rule::Words, format!("banned words: \"{banned}\"")))
        })
        .collect();
    if comment.marker == "///" || comment.marker == "//!" {
        let opening = BANNED_OPENINGS.iter().find(|&&opening| {
            prose.trim_start().starts_with(opening) && is_whole(prose.trim_start(), 0, opening.len())
        });
        if let Some(opening) = opening {
            let message = format!("the doc begins with \"{opening}\": name the subject");
            found.push((line_at(prose.len() - prose.trim_start().len()), Rule::Words, message));
        }
    }
    found
}

/// Returns whether no word continues before or after the `len` bytes of `text` at `at`.
fn is_whole(text: &str, at: usize, len: usize) -> bool {
    let before = text[..at].chars().next_back();
    let after = text[at + len..].chars().next();
    !before.is_some_and(is_word) && !after.is_some_and(is_word)
}

/// Returns the prose of a comment in one line, with the offset and number of each line.
///
/// Fenced code is left out. A code span is replaced with one backtick.
fn prose(lines: &[(usize, String)]) -> (String, Vec<(usize, usize)>) {
    let mut joined = String::new();
    let mut starts = Vec::new();
    let mut fenced = false;
    for (number, line) in lines {
        starts.push((joined.len(), *number));
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            for word in line.split_whitespace() {
                joined.push_str(word);
                joined.push(' ');
            }
        }
    }
    without_code_spans(&joined, starts)
}

fn without_code_spans(text: &str, mut starts: Vec<(usize, usize)>) -> (String, Vec<(usize, usize)>) {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut next_start = 0;
    while at < text.len() {
        let rest = &text[at..];
        let ticks = rest.len() - rest.trim_start_matches('`').len();
        let len = if ticks == 0 {
            rest.find('`').unwrap_or(rest.len())
        } else {
            let end = rest[ticks..].find(&rest[..ticks]);
            end.map_or(ticks, |end| end + 2 * ticks)
        };
        while starts.get(next_start).is_some_and(|(start, _)| *start < at + len) {
            let inside = if ticks == 0 { starts[next_start].0 - at } else { 0 };
            starts[next_start].0 = out.len() + inside;
            next_start += 1;
        }
        out.push_str(if ticks == 0 { &rest[..len] } else { "`" });
        at += len;
    }
    for (start, _) in &mut starts[next_start..] {
        *start = out.len();
    }
    (out, starts)
}

#[cfg(test)]
#[path = "style_tests.rs"]
mod tests;
