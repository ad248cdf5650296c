//! The text to train on: a file, standard input or the embedded corpus.

use super::error::TrainError;
use crate::option_file::{FileError, input_name, is_standard};
use arenite_core::Bytes;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

/// Maximum size of a text in bytes.
const MAX_TEXT_BYTES: usize = 256 << 20;

/// Returns the name of the text and its bytes, or `None` for the embedded corpus.
pub(super) fn read_text(path: Option<&Path>) -> Result<(String, Option<Vec<u8>>), TrainError> {
    let Some(path) = path else { return Ok(("arenite's own sources and documents".into(), None)) };
    let fail = FileError::read("--text", path);
    let mut bytes = Vec::new();
    if is_standard(path) {
        if io::stdin().is_terminal() {
            return Err(fail(io::Error::other("it is a terminal; pipe a text into it")).into());
        }
        read_bounded(&mut io::stdin().lock(), &mut bytes, path)?;
    } else {
        read_bounded(&mut std::fs::File::open(path).map_err(fail)?, &mut bytes, path)?;
    }
    Ok((input_name(path), Some(bytes)))
}

/// Reads to the end, or until the text is too large or contains a NUL.
fn read_bounded(source: &mut dyn Read, bytes: &mut Vec<u8>, path: &Path) -> Result<(), TrainError> {
    let chunk_bytes = 1 << 20;
    loop {
        let before = bytes.len();
        let read = source.take(chunk_bytes).read_to_end(bytes);
        let read = read.map_err(FileError::read("--text", path))?;
        // a device such as /dev/zero never ends; `Text::new` rejects bytes with a NUL
        if read == 0 || bytes[before..].contains(&0) {
            return Ok(());
        }
        if bytes.len() > MAX_TEXT_BYTES {
            return Err(TrainError::TooLarge { name: input_name(path), limit: Bytes(MAX_TEXT_BYTES) });
        }
    }
}
