//! The text of an error and its sources.

use std::error::Error;

/// Returns an error and its sources on one line.
///
/// A source whose text the line already contains is left out.
///
/// ```
/// let error = std::io::Error::other("no such device");
/// assert_eq!(arenite_cli::error_chain(&error), "no such device");
/// ```
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        source = error.source();
    }
    text
}
