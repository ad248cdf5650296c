//! Adam with decoupled weight decay (Loshchilov and Hutter, 2019) and clipping by the global
//! gradient norm.
//!
//! An update allocates nothing: the moments are allocated with the model.

use super::parameter::{Decay, Parameter};
use super::scalar::dot;
use super::{Config, Scalar};
use arenite_core::Resource;

const FIRST: f64 = 0.9;
const SECOND: f64 = 0.99;
const EPSILON: f64 = 1e-8;

/// The learning rate over a run: a linear warm-up, then half a cosine down to a twentieth.
///
/// ```
/// use workloads::char_lm::{Config, Schedule};
/// let config = Config { steps: 100, warm_up: 10, learning_rate: 1e-3, ..Config::default() };
/// let schedule = Schedule::of(&config);
/// assert!(schedule.rate(0) < schedule.rate(9));
/// assert!(schedule.rate(99) < 0.1 * schedule.rate(10));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    steps: f64,
    warm_up: f64,
    highest: f64,
}

impl Schedule {
    /// Returns the schedule of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            steps: config.steps as f64,
            warm_up: config.warm_up as f64,
            highest: f64::from(config.learning_rate),
        }
    }

    /// Returns the learning rate of the step after `step` others.
    #[must_use]
    pub fn rate(&self, step: usize) -> f64 {
        let step = step as f64;
        if step < self.warm_up {
            return self.highest * (step + 1.0) / self.warm_up;
        }
        let done = ((step - self.warm_up) / (self.steps - self.warm_up).max(1.0)).min(1.0);
        let fall = 0.5 * (1.0 + (core::f64::consts::PI * done).cos());
        self.highest * (0.05 + 0.95 * fall)
    }
}

/// The factors of one update, common to all parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update<F> {
    /// Factor that clips the gradients to the maximum norm.
    clip: F,
    /// Learning rate divided by the bias of the first moment.
    rate: F,
    /// Inverse square root of the bias of the second moment.
    unbias: F,
    /// Factor of a decayed weight.
    keep: F,
}

/// Returns the squared norm of a parameter's gradient.
pub(crate) fn squared_norm<F: Scalar, R: Resource>(parameter: &Parameter<F, R>) -> F {
    dot(parameter.gradient.as_slice(), parameter.gradient.as_slice())
}

impl<F: Scalar> Update<F> {
    /// Returns the update after `step` others for this gradient norm; `None` if the norm is not
    /// finite.
    pub(crate) fn new(config: &Config, step: usize, squared_norm: F) -> Option<Self> {
        let norm = squared_norm.sqrt().to_f64();
        if !norm.is_finite() {
            return None;
        }
        let limit = f64::from(config.clip);
        let rate = Schedule::of(config).rate(step);
        let count = (step + 1) as f64;
        Some(Self {
            clip: F::from_f64(if norm > limit { limit / norm } else { 1.0 }),
            rate: F::from_f64(rate / (1.0 - FIRST.powf(count))),
            unbias: F::from_f64(1.0 / (1.0 - SECOND.powf(count)).sqrt()),
            keep: F::from_f64(1.0 - rate * f64::from(config.weight_decay)),
        })
    }

    /// Updates one parameter.
    pub(crate) fn apply<R: Resource>(&self, parameter: &mut Parameter<F, R>) {
        let (first, second) = (F::from_f64(FIRST), F::from_f64(SECOND));
        let (first_rest, second_rest) = (F::ONE - first, F::ONE - second);
        let epsilon = F::from_f64(EPSILON);
        let keep = if parameter.decay == Decay::Yes { self.keep } else { F::ONE };
        let values = parameter.value.as_mut_slice().iter_mut().zip(parameter.gradient.as_slice());
        let moments = parameter.first.as_mut_slice().iter_mut().zip(parameter.second.as_mut_slice());
        for ((value, &gradient), (m, v)) in values.zip(moments) {
            let gradient = gradient * self.clip;
            *m = first * *m + first_rest * gradient;
            *v = second * *v + second_rest * gradient * gradient;
            *value = *value * keep - self.rate * *m / (v.sqrt() * self.unbias + epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arenite_tensor::{Global, Random};

    fn parameter(decay: Decay) -> Parameter<f64, Global> {
        Parameter::uniform([2, 3], 1.0, decay, &mut Random::new(1), Global).unwrap()
    }

    #[test]
    fn updates_follow_the_paper() {
        let config = Config { warm_up: 1, clip: 1e9, ..Config::default() };
        for (decay, rate_of_decay) in [(Decay::Yes, f64::from(config.weight_decay)), (Decay::No, 0.0)] {
            let mut ours = parameter(decay);
            let mut theirs: Vec<[f64; 3]> =
                ours.value.as_slice().iter().map(|&value| [value, 0.0, 0.0]).collect();
            for step in 0..5 {
                let gradients: Vec<f64> = (0..6).map(|i| f64::from(i * (step - 2)) - 1.5).collect();
                ours.gradient.as_mut_slice().copy_from_slice(&gradients);
                let at = usize::try_from(step).unwrap();
                Update::new(&config, at, squared_norm(&ours)).unwrap().apply(&mut ours);
                let rate = Schedule::of(&config).rate(at);
                for ([value, first, second], gradient) in theirs.iter_mut().zip(gradients) {
                    *value -= rate * rate_of_decay * *value;
                    *first = 0.9 * *first + 0.1 * gradient;
                    *second = 0.99 * *second + 0.01 * gradient * gradient;
                    let (m, v) =
                        (*first / (1.0 - 0.9_f64.powi(step + 1)), *second / (1.0 - 0.99_f64.powi(step + 1)));
                    *value -= rate * m / (v.sqrt() + 1e-8);
                }
            }
            for (ours, theirs) in ours.value.as_slice().iter().zip(theirs) {
                assert!((ours - theirs[0]).abs() < 1e-9, "{ours} {theirs:?}");
            }
        }
    }

    #[test]
    fn gradients_above_the_limit_are_scaled_to_it() {
        let config = Config { clip: 2.0, ..Config::default() };
        assert_eq!(Update::<f64>::new(&config, 0, 16.0).unwrap().clip, 0.5);
        assert_eq!(Update::<f64>::new(&config, 0, 3.0).unwrap().clip, 1.0);
        assert!(Update::<f64>::new(&config, 0, f64::INFINITY).is_none());
        assert!(Update::<f32>::new(&config, 0, f32::NAN).is_none());
    }
}
