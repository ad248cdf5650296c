//! A file of edges, one per line.

use super::edge_list::{EdgeList, NodeNames};
use super::error::RankError;
use crate::option_file::{FileError, input_name, is_standard};
use std::io::{self, Read};
use std::path::Path;

/// Reads the edges of a file, or of standard input for `-`.
pub(super) fn read(path: &Path) -> Result<EdgeList, RankError> {
    let mut bytes = Vec::new();
    let read = if is_standard(path) {
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = read.map_err(FileError::read("--edges", path))?;
    parse(&String::from_utf8_lossy(&bytes), input_name(path))
}

fn parse(text: &str, name: String) -> Result<EdgeList, RankError> {
    let (mut names, mut edges) = (NodeNames::default(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        let Some(from) = words.next().filter(|word| !word.starts_with('#')) else { continue };
        let to = words.next();
        let to = to.ok_or_else(|| RankError::NoEdge { name: name.clone(), line: index + 1 })?;
        let from = names.insert(from);
        edges.push((from, names.insert(to)));
    }
    if edges.is_empty() {
        return Err(RankError::Empty { name });
    }
    Ok(EdgeList { names: names.into_names(), edges, source: name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_a_line_with_two_names() {
        let list = parse("# from to\na b\n\n  b\tc  7 more\na b\n", "f".to_owned()).unwrap();
        assert_eq!(
            (list.names, list.edges),
            (vec!["a".into(), "b".into(), "c".into()], vec![(0, 1), (1, 2), (0, 1)])
        );
        let error = parse("a b\nc\n", "f".to_owned()).unwrap_err();
        assert!(matches!(error, RankError::NoEdge { line: 2, .. }), "{error}");
        assert!(matches!(parse("# none\n", "f".to_owned()), Err(RankError::Empty { .. })));
    }
}
