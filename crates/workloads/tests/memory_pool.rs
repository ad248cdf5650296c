//! Training steps of a transformer with varying batches, in a memory pool.

use arenite_alloc::MemoryPool;
use arenite_core::{Resource, Trim};
use arenite_tensor::Array;
use workloads::char_lm::{Batch, Config, Model, Text};

#[test]
fn e16_pool_holds_little_more_than_its_peak_when_batches_vary() {
    let config = Config { width: 48, heads: 4, context: 32, batch: 16, ..Config::default() };
    let text = Text::new("the quick brown fox jumps over the lazy dog. ".repeat(40).as_bytes(), 32).unwrap();
    let pool = MemoryPool::new(1 << 30).with_alignment(64);
    let mut model = Model::<_>::new(config, text.vocabulary(), 3, &pool).unwrap();
    let mut worst = 0.0_f64;
    for step in 0..60_usize {
        let batch = 1 + step * 7919 % 16;
        let mut batch = Batch {
            inputs: Array::with_allocator(&pool).zeros([batch, config.context]).unwrap(),
            targets: Array::with_allocator(&pool).zeros([batch, config.context]).unwrap(),
        };
        let last = u8::try_from(text.vocabulary() - 1).unwrap();
        for (at, target) in batch.targets.as_mut_slice().iter_mut().enumerate() {
            *target = u8::try_from(at * 31 % 200).unwrap().min(last);
        }
        let loss: f32 = model.step(&batch, &pool).unwrap();
        assert!(loss.is_finite());
        let state = pool.state();
        let ratio =
            f64::from(u32::try_from(state.held).unwrap()) / f64::from(u32::try_from(state.peak).unwrap());
        worst = worst.max(ratio);
        if step % 12 == 11 {
            println!(
                "step {step}: held {} of a peak of {}, ×{ratio:.3}, fragmentation {:.3}",
                state.held,
                state.peak,
                pool.fragmentation()
            );
        }
    }
    assert!(worst <= 1.15, "held {worst:.3} times the peak in use");
    drop(model);
    let state = pool.state();
    assert_eq!((state.in_use, state.live_blocks), (0, 0));
    pool.trim(0);
    assert!(pool.state().held <= 4096, "{}", pool.state());
}
