//! The character model as a job: it learns, is bit-identical in any memory, and survives
//! exhaustion.

mod support;

use arenite_alloc::Arena;
use arenite_core::{AllocErrorKind, Resource};
use arenite_tensor::{ArrayError, Global};
use support::Probe;
use workloads::char_lm::{CORPUS, Config, Model, ModelError, Phase, Split, StepEstimate, Text};

fn config() -> Config {
    Config { layers: 2, width: 16, heads: 2, context: 12, batch: 3, steps: 40, ..Config::default() }
}

fn text() -> Text {
    let verse = "The quick brown fox jumps over the lazy dog; the dog sleeps on. ";
    Text::new(verse.repeat(30).as_bytes(), 12).expect("a text")
}

fn losses<R: Resource + Clone, S: Resource + Clone>(
    state: R,
    step: &S,
    steps: usize,
) -> (Vec<u32>, Vec<u32>) {
    let text = text();
    let mut model = Model::<R>::new(config(), text.vocabulary(), 3, state).expect("a model");
    let losses =
        (0..steps).map(|_| model.train_step(&text, step.clone()).expect("a step").to_bits()).collect();
    (losses, model.values().map(f32::to_bits).collect())
}

#[test]
fn the_loss_falls() {
    let (losses, _) = losses(Global, &Global, 40);
    let (first, last) = (f32::from_bits(losses[0]), f32::from_bits(losses[39]));
    assert!((first - 3.4).abs() < 0.5 && last < 2.0, "{first} to {last}");
}

#[test]
fn training_is_bit_identical_when_fresh_memory_is_garbage() {
    let expected = losses(Global, &Global, 8);
    for garbage in [0x00, 0xff, 0x7f, 0xa5] {
        let (state, step) = (Probe::new(garbage), Probe::new(garbage));
        assert_eq!(losses(&state, &&step, 8), expected, "garbage {garbage:#x}");
        assert_eq!((state.state().live_blocks, step.state().live_blocks), (0, 0));
    }
}

#[test]
fn training_is_bit_identical_in_arenas() {
    let (state, step) = (Arena::new(), Arena::new());
    assert_eq!(losses(&state, &&step, 8), losses(Global, &Global, 8));
}

#[test]
fn every_step_allocates_the_same_blocks_in_the_same_order() {
    let (text, probe) = (text(), Probe::new(0xa5));
    let mut model = Model::<_>::new(config(), text.vocabulary(), 3, Global).unwrap();
    let mut logs = (0..3).map(|_| {
        model.train_step(&text, &probe).unwrap();
        probe.take_log()
    });
    let first = logs.next().unwrap();
    assert!(logs.all(|log| log == first));
    assert_eq!(first.iter().sum::<isize>(), 0);
}

#[test]
fn the_estimate_of_a_step_is_exact() {
    let text = text();
    for changed in [
        config(),
        Config { layers: 1, batch: 1, width: 4, heads: 1, ..config() },
        Config { batch: 7, expansion: 1, ..config() },
        Config { layers: 3, expansion: 2, context: 10, ..config() },
        Config { width: 32, heads: 8, batch: 1, ..config() },
    ] {
        let (state, step) = (Probe::new(1), Probe::new(1));
        let mut model = Model::<_>::new(changed, text.vocabulary(), 3, &state).unwrap();
        assert_eq!(model.state_bytes(), state.state().in_use);
        model.train_step(&text, &step).unwrap();
        let requested = step.take_log().into_iter().filter(|&size| size >= 0);
        let estimate = StepEstimate::new(&changed, text.vocabulary()).unwrap();
        assert_eq!(estimate.blocks, requested.clone().count());
        assert_eq!(estimate.total_bytes, usize::try_from(requested.sum::<isize>()).unwrap());
        assert_eq!(estimate.peak_bytes, step.state().peak, "{changed:?}");
    }
}

#[test]
fn failed_step_frees_everything_and_can_be_repeated() {
    let (text, step) = (text(), Probe::new(0xff));
    let mut model = Model::<_>::new(config(), text.vocabulary(), 3, Global).unwrap();
    let mut twin = Model::<_>::new(config(), text.vocabulary(), 3, Global).unwrap();
    let blocks = StepEstimate::new(&config(), text.vocabulary()).unwrap().blocks;
    for nth in 0..blocks {
        let before: Vec<u32> = model.values().map(f32::to_bits).collect();
        step.fail_after(Some(nth));
        match model.train_step(&text, &step) {
            Err(ArrayError::Alloc(error)) => assert_eq!(error.kind, AllocErrorKind::Injected),
            other => panic!("call {nth} did not fail: {other:?}"),
        }
        assert_eq!((step.state().live_blocks, step.state().in_use), (0, 0), "call {nth}");
        assert!(model.values().map(f32::to_bits).eq(before), "call {nth} moved a parameter");
        assert_eq!(model.train_step(&text, &step).unwrap(), twin.train_step(&text, Global).unwrap());
    }
    step.fail_after(Some(blocks));
    assert!(model.train_step(&text, &step).is_ok());
}

#[test]
fn model_construction_frees_everything_when_it_fails() {
    let state = Probe::new(0xff);
    let mut nth = 0;
    loop {
        state.fail_after(Some(nth));
        match Model::<_>::new(config(), 30, 3, &state) {
            Ok(_) => break,
            Err(error) => assert!(matches!(error, ModelError::Array(ArrayError::Alloc(_))), "{error}"),
        }
        assert_eq!(state.state().live_blocks, 0, "call {nth}");
        nth += 1;
    }
    assert_eq!(nth, 4 * (4 + 6 * 2));
}

#[test]
fn impossible_sizes_are_errors() {
    for changed in [
        Config { width: usize::MAX / 2 + 1, heads: 1, ..config() },
        Config { batch: 1 << 40, context: 1 << 20, ..config() },
        Config { expansion: usize::MAX, ..config() },
        Config { context: 1 << 31, batch: 1 << 31, ..config() },
        Config { layers: 0, ..config() },
    ] {
        assert!(matches!(Model::<_>::new(changed, 30, 3, Global), Err(ModelError::Config(_))), "{changed:?}");
    }
    for vocabulary in [0, 1, 257, usize::MAX] {
        assert!(Model::<_>::new(config(), vocabulary, 3, Global).is_err());
    }
}

#[test]
fn encoding_fails_for_unknown_characters_and_long_contexts() {
    let text = text();
    let mut model = Model::<_>::new(config(), text.vocabulary(), 3, Global).unwrap();
    let mut batch = text.batch(&config(), Split::Training, 1, Global).unwrap();
    batch.targets[[0, 0]] = 200;
    assert!(matches!(model.step(&batch, Global), Err(ArrayError::Index { index: 200, .. })));
    batch.inputs[[0, 0]] = 200;
    assert!(matches!(model.step(&batch, Global), Err(ArrayError::Index { index: 200, .. })));
    let long = text.batch(&Config { context: 13, ..config() }, Split::Training, 1, Global).unwrap();
    assert!(matches!(model.step(&long, Global), Err(ArrayError::Index { index: 12, bound: 12 })));
    assert_eq!(model.steps_done(), 0);
}

#[test]
fn phases_come_in_order_and_memory_rises_and_falls_with_them() {
    let (text, step) = (text(), Probe::new(0));
    let mut model = Model::<_>::new(config(), text.vocabulary(), 3, Global).unwrap();
    let mut seen = Vec::new();
    model.train_step_observed(&text, &step, |phase| seen.push((phase, step.state().in_use))).unwrap();
    let (phases, bytes): (Vec<Phase>, Vec<usize>) = seen.into_iter().unzip();
    use Phase::{Backward, Embedding, Forward, Head, Loss, Update};
    assert_eq!(phases, [Embedding, Forward(0), Forward(1), Loss, Head, Backward(1), Backward(0), Update]);
    assert!(bytes[..4].is_sorted_by(|a, b| a < b), "{bytes:?}");
    assert!(bytes[3..].is_sorted_by(|a, b| a > b), "{bytes:?}");
}

#[test]
fn generation_works_for_any_prompt_and_frees_everything() {
    let (text, step) = (text(), Probe::new(0xff));
    let mut model = Model::<_>::new(config(), text.vocabulary(), 3, Global).unwrap();
    for _ in 0..40 {
        model.train_step(&text, Global).unwrap();
    }
    for prompt in ["", "T", "The quick brown fox jumps over the lazy dog"] {
        let once = model.generate(&text.encode(prompt), 30, 0.8, 9, &step).unwrap();
        let again = model.generate(&text.encode(prompt), 30, 0.8, 9, Global).unwrap();
        assert_eq!(once, again);
        assert!(text.decode(once.as_slice()).starts_with(prompt));
        assert_eq!(once.len(), prompt.len() + 30);
    }
    assert!(model.generate(&[250], 1, 0.8, 9, &step).is_err());
    assert!(model.generate(&[1], usize::MAX, 0.8, 9, &step).is_err());
    assert_eq!(step.state().live_blocks, 0);
}

#[test]
fn the_corpus_can_be_learnt() {
    let text = Text::new(CORPUS.as_bytes(), Config::default().context).unwrap();
    assert!(text.len() > 10_000 && text.vocabulary() <= Text::MAX_VOCABULARY);
}
