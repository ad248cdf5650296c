//! How far a run is, shown on a terminal.
//!
//! Rests on `indicatif`. Nothing is drawn in the first second, and nothing at all where standard error is no terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// A bar that counts cases.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    began: Instant,
    shown: Cell<bool>,
}

impl Progress {
    /// A bar of `cases`.
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

    /// Names what runs now.
    pub fn case(&self, name: &str) {
        if !self.shown.get() && self.began.elapsed() > Duration::from_secs(1) {
            self.shown.set(true);
            // A target that draws only if standard error is a terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_message(name.to_owned());
    }

    /// Counts a case.
    pub fn step(&self) {
        self.bar.inc(1);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
