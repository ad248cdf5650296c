//! A file of edges, one per line.

use super::edge_list::{EdgeList, NodeNames};
use super::error::RankError;
use std::io::{self, Read};
use std::path::Path;

/// Reads the edges of a file, or of standard input for `-`.
pub(super) fn read(path: &Path) -> Result<EdgeList, RankError> {
    let mut bytes = Vec::new();
    let read =
        if path == "-" { io::stdin().read_to_end(&mut bytes).map(|_| bytes) } else { std::fs::read(path) };
    let bytes = read.map_err(|source| RankError::File { path: path.to_path_buf(), source })?;
    parse(&String::from_utf8_lossy(&bytes), path)
}

fn parse(text: &str, path: &Path) -> Result<EdgeList, RankError> {
    let (mut names, mut edges) = (NodeNames::default(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        let Some(from) = words.next().filter(|word| !word.starts_with('#')) else { continue };
        let to =
            words.next().ok_or_else(|| RankError::NoEdge { path: path.to_path_buf(), line: index + 1 })?;
        let from = names.insert(from);
        edges.push((from, names.insert(to)));
    }
    if edges.is_empty() {
        return Err(RankError::Empty { path: path.to_path_buf() });
    }
    Ok(EdgeList { names: names.into_names(), edges, source: path.display().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_a_line_with_two_names() {
        let list = parse("# from to\na b\n\n  b\tc  7 more\na b\n", Path::new("f")).unwrap();
        assert_eq!(
            (list.names, list.edges),
            (vec!["a".into(), "b".into(), "c".into()], vec![(0, 1), (1, 2), (0, 1)])
        );
        let error = parse("a b\nc\n", Path::new("f")).unwrap_err();
        assert!(matches!(error, RankError::NoEdge { line: 2, .. }), "{error}");
        assert!(matches!(parse("# none\n", Path::new("f")), Err(RankError::Empty { .. })));
    }
}
