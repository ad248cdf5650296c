//! Old names of variables and options, which are errors that name the new one.

use std::convert::Infallible;
use std::ffi::OsString;
use thiserror::Error;

/// Old names of environment variables, each with its new name.
const VARIABLES: &[(&str, &str)] = &[
    ("ARENITE_BACKGROUND", "ARENITE_BACKGROUND_THREAD"),
    ("ARENITE_PRELOAD", "ARENITE_PRELOAD_LIB"),
    ("ARENITE_GUEST", "ARENITE_TEST_VM"),
    ("ARENITE_GAVE_BACK", "ARENITE_RECLAIMED_FILE"),
];

/// An environment variable is set under its old name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{old} is now {new}: unset the old name")]
pub struct RenamedVariable {
    /// The old name, which is set.
    pub old: &'static str,
    /// The new name.
    pub new: &'static str,
}

/// Checks that no environment variable is set under an old name.
///
/// # Errors
/// [`RenamedVariable`] for the first one that is set and not empty.
///
/// ```
/// arenite_cli::check_renamed_variables().unwrap();
/// ```
pub fn check_renamed_variables() -> Result<(), RenamedVariable> {
    first_renamed(|name| std::env::var_os(name)).map_or(Ok(()), Err)
}

fn first_renamed(value: impl Fn(&str) -> Option<OsString>) -> Option<RenamedVariable> {
    let set = |name: &str| value(name).is_some_and(|value| !value.is_empty());
    VARIABLES.iter().find(|(old, _)| set(old)).map(|&(old, new)| RenamedVariable { old, new })
}

/// Returns a value parser that refuses every value and names the new option.
pub(crate) fn refuse(
    new: &'static str,
) -> impl Fn(&str) -> Result<Infallible, String> + Clone + Send + Sync + 'static {
    move |_| Err(format!("this option is now {new}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_old_variable_is_refused_with_its_new_name_when_it_is_set() {
        assert_eq!(first_renamed(|_| None), None);
        assert_eq!(first_renamed(|_| Some(OsString::new())), None, "an empty variable counts as unset");
        for &(old, new) in VARIABLES {
            assert_ne!(old, new);
            assert_eq!(first_renamed(|name| (name == new).then(|| "1".into())), None, "{new} is accepted");
            let found = first_renamed(|name| (name == old).then(|| "1".into())).unwrap();
            assert_eq!(found, RenamedVariable { old, new });
            assert!(found.to_string().contains(old) && found.to_string().contains(new));
        }
    }
}
