//! A step uses the global allocator for its arrays and the packing buffers of its matrix products,
//! and for nothing else.

use arenite_tensor::Global;
use testkit::doubles::{ThreadCounter, allocations_of_this_thread};
use workloads::char_lm::{Config, Model, StepEstimate, Text};

#[global_allocator]
static COUNTER: ThreadCounter = ThreadCounter;

#[test]
fn step_allocates_only_arrays_and_packing_buffers() {
    let config = Config { width: 16, heads: 2, context: 12, batch: 3, ..Config::default() };
    let text = Text::new("the quick brown fox jumps over the lazy dog. ".repeat(20).as_bytes(), 12).unwrap();
    let estimate = StepEstimate::new(&config, text.vocabulary()).unwrap();
    let mut model = Model::<_>::new(config, text.vocabulary(), 3, Global).unwrap();
    for _ in 0..3 {
        let before = allocations_of_this_thread();
        model.train_step_observed(&text, Global, |_| {}).unwrap();
        assert_eq!(allocations_of_this_thread() - before, estimate.blocks + estimate.products);
    }
}
