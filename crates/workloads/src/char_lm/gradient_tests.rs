//! The hand-written gradients compared with finite differences, for every parameter of a small
//! model.
//!
//! The model runs in `f64`, where central differences with step 1e-5 are exact to about eight
//! digits.

use super::parameter::Parameter;
use super::{Batch, Config, Model};
use arenite_tensor::{Array, Global, Random};

const STEP: f64 = 1e-5;

fn small(layers: usize, expansion: usize) -> Config {
    Config { layers, expansion, width: 8, heads: 2, context: 5, batch: 3, ..Config::default() }
}

fn batch(random: &mut Random, vocabulary: usize, shape: [usize; 2]) -> Batch<Global> {
    let mut tokens = || {
        Array::with_allocator(Global)
            .from_fn(shape, |_| u8::try_from(random.below(vocabulary)).unwrap())
            .unwrap()
    };
    Batch { inputs: tokens(), targets: tokens() }
}

/// Perturbs every parameter, so that no gradient is small because of the initial values.
fn shake(model: &mut Model<Global, f64>, random: &mut Random) {
    for parameter in model.parameters_mut() {
        for value in parameter.value.as_mut_slice() {
            *value += random.next_f64() - 0.5;
        }
    }
}

fn value(model: &mut Model<Global, f64>, number: usize, at: usize) -> &mut f64 {
    let parameter: &mut Parameter<f64, Global> = model.parameters_mut().nth(number).unwrap();
    &mut parameter.value.as_mut_slice()[at]
}

fn check(config: Config, shape: [usize; 2]) {
    let vocabulary = 7;
    let random = &mut Random::new(11);
    let mut model = Model::<Global, f64>::new(config, vocabulary, 5, Global).unwrap();
    shake(&mut model, random);
    let batch = batch(random, vocabulary, shape);
    let loss = model.gradients(&batch, &Global, &mut |_| {}).unwrap();
    assert_eq!(loss, model.evaluate(&batch, Global).unwrap());
    let gradients: Vec<Vec<f64>> = model.parameters().map(|p| p.gradient.as_slice().to_vec()).collect();
    assert_eq!(gradients.len(), 4 + 6 * config.layers);
    for (number, gradient) in gradients.iter().enumerate() {
        let mut largest = 0.0_f64;
        for (at, &analytic) in gradient.iter().enumerate() {
            let start = *value(&mut model, number, at);
            *value(&mut model, number, at) = start + STEP;
            let above = model.evaluate(&batch, Global).unwrap();
            *value(&mut model, number, at) = start - STEP;
            let below = model.evaluate(&batch, Global).unwrap();
            *value(&mut model, number, at) = start;
            let numeric = (above - below) / (2.0 * STEP);
            assert!(
                (numeric - analytic).abs() < 1e-8 + 1e-6 * numeric.abs(),
                "parameter {number}, element {at}: finite difference {numeric}, gradient {analytic}"
            );
            largest = largest.max(analytic.abs());
        }
        assert!(largest > 1e-6, "parameter {number} has no gradient");
    }
}

#[test]
fn gradients_match_finite_differences() {
    check(small(2, 4), [3, 5]);
}

#[test]
fn gradients_match_for_one_layer_one_head_and_a_short_context() {
    check(Config { heads: 1, ..small(1, 1) }, [2, 3]);
}

#[test]
fn non_finite_gradients_change_nothing() {
    let random = &mut Random::new(11);
    let mut model = Model::<Global, f64>::new(small(1, 2), 7, 5, Global).unwrap();
    let batch = batch(random, 7, [3, 5]);
    *value(&mut model, 3, 0) = f64::INFINITY;
    let before: Vec<u64> = model.values().map(f64::to_bits).collect();
    assert!(!model.step(&batch, Global).unwrap().is_finite());
    assert!(model.values().map(f64::to_bits).eq(before));
    assert_eq!(model.steps_done(), 0);
}
