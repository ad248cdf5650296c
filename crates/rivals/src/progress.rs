//! The progress of a run on a terminal.
//!
//! Nothing is drawn in the first second, or if standard error is not a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// A progress bar that counts cases.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    began: Instant,
    shown: Cell<bool>,
}

impl Progress {
    /// Creates a bar for `cases` cases.
    #[must_use]
    pub fn new(cases: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(cases), ProgressDrawTarget::hidden());
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30} {percent:>3} %  {elapsed} (left {eta})  {msg}")
        {
            bar.set_style(style);
        }
        Self { bar, began: Instant::now(), shown: Cell::new(false) }
    }

    /// Shows the name of the running case.
    pub fn case(&self, name: &str) {
        if !self.shown.get() && self.began.elapsed() > Duration::from_secs(1) {
            self.shown.set(true);
            // This target draws only if standard error is a terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_message(name.to_owned());
    }

    /// Counts a finished case.
    pub fn step(&self) {
        self.bar.inc(1);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
