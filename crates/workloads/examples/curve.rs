//! Trains the character model and prints the loss against time.
use std::time::Instant;
use workloads::char_lm::{CORPUS, Config, Model, Split, StepEstimate, Text};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::default();
    let mut path = None;
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("steps", v)) => config.steps = v.parse()?,
            Some(("width", v)) => config.width = v.parse()?,
            Some(("heads", v)) => config.heads = v.parse()?,
            Some(("layers", v)) => config.layers = v.parse()?,
            Some(("batch", v)) => config.batch = v.parse()?,
            Some(("context", v)) => config.context = v.parse()?,
            Some(("rate", v)) => config.learning_rate = v.parse()?,
            Some(("decay", v)) => config.weight_decay = v.parse()?,
            Some(("warm_up", v)) => config.warm_up = v.parse()?,
            _ => path = Some(argument),
        }
    }
    let bytes = match path {
        Some(path) => std::fs::read(path)?,
        None => CORPUS.as_bytes().to_vec(),
    };
    let text = Text::new(&bytes, config.context)?;
    let global = arenite_alloc::Global;
    let mut model = Model::<_>::new(config, text.vocabulary(), 1, global)?;
    println!("{config:?}");
    println!(
        "{} characters, vocabulary {}, {} parameters",
        text.len(),
        text.vocabulary(),
        model.parameter_count()
    );
    println!("{:?}", StepEstimate::new(&config, text.vocabulary())?);
    let start = Instant::now();
    let mut recent = Vec::new();
    for step in 1..=config.steps {
        recent.push(model.train_step(&text, global)?);
        if step.is_multiple_of(50) || step == config.steps {
            let last = &recent[recent.len().saturating_sub(20)..];
            let mean = last.iter().sum::<f32>() / last.len() as f32;
            let seconds = start.elapsed().as_secs_f64();
            println!(
                "step {step:5}  loss {mean:.3}  {seconds:6.2} s  {:.2} ms a step",
                1e3 * seconds / step as f64
            );
        }
    }
    let mut held = 0.0;
    for seed in 0..20 {
        let batch = text.batch(&config, Split::Validation, seed, global)?;
        held += model.evaluate(&batch, global)? / 20.0;
    }
    println!("validation {held:.3}");
    let sample = model.generate(&text.encode("/// The "), 200, 0.8, 1, global)?;
    println!("{}", text.decode(sample.as_slice()));
    Ok(())
}
