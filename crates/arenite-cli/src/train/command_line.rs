//! The command line that repeats a run.

use super::args::TrainArgs;
use super::memory::CacheScratch;
use workloads::char_lm::Config;

/// Returns the command line that repeats the run.
pub(super) fn command_line(args: &TrainArgs) -> String {
    let names: Vec<String> = args.memory.iter().map(ToString::to_string).collect();
    let mut line =
        format!("arenite train --memory {} --steps {} --seed {}", names.join(","), args.steps, args.seed);
    if let Some(text) = &args.text {
        line += &format!(" --text {}", quoted(&text.display().to_string()));
    }
    let default = Config::default();
    if args.learning_rate.to_bits() != default.learning_rate.to_bits() {
        line += &format!(" --learning-rate {}", args.learning_rate);
    }
    if let Some(limit) = args.limit {
        line += &format!(" --limit {}", limit.get());
    }
    if args.cache_scratch != CacheScratch::Auto {
        line += &format!(" --cache-scratch {}", args.cache_scratch);
    }
    for (name, value, default) in [
        ("batch", args.batch, default.batch),
        ("context", args.context, default.context),
        ("layers", args.layers, default.layers),
        ("width", args.width, default.width),
        ("heads", args.heads, default.heads),
    ] {
        if value != default {
            line += &format!(" --{name} {value}");
        }
    }
    line
}

/// Returns a word in the syntax of a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,=:@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
