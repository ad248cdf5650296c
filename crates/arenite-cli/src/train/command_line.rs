//! The command line that repeats a run.

use super::args::TrainArgs;
use super::memory::CacheScratch;
use workloads::char_lm::Config;

/// Returns the command line that repeats the run, in the syntax of a shell.
pub(super) fn command_line(args: &TrainArgs) -> String {
    let words: Vec<String> = words(args).iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

/// Returns the words of the command line that repeats the run.
pub(super) fn words(args: &TrainArgs) -> Vec<String> {
    let names: Vec<String> = args.memory.iter().map(ToString::to_string).collect();
    let mut words = vec!["arenite".to_owned(), "train".to_owned()];
    let mut option = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    option("memory", names.join(","));
    option("steps", args.steps.to_string());
    option("seed", args.seed.to_string());
    if let Some(text) = &args.text {
        option("text", text.display().to_string());
    }
    let default = Config::default();
    if args.learning_rate.to_bits() != default.learning_rate.to_bits() {
        option("learning-rate", args.learning_rate.to_string());
    }
    if let Some(limit) = args.limit {
        option("limit", limit.get().to_string());
    }
    if args.cache_scratch != CacheScratch::Auto {
        option("cache-scratch", args.cache_scratch.to_string());
    }
    for (name, value, default) in [
        ("batch", args.batch, default.batch),
        ("context", args.context, default.context),
        ("layers", args.layers, default.layers),
        ("width", args.width, default.width),
        ("heads", args.heads, default.heads),
    ] {
        if value != default {
            option(name, value.to_string());
        }
    }
    words
}

/// Returns a word in the syntax of a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,=:@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
