//! The laws of a resource as checks over any implementation.
//!
//! Each law is a function of its own, so a test's name identifies the broken law.
//! [`resource_laws!`](crate::resource_laws) writes one test per law.
//!
//! - `traits`: the parameters of an implementation.
//! - `fit`: laws 1 to 4: size, alignment, disjoint and stable blocks, zero-size blocks.
//! - `failed_request`: laws 5 and 9: failed requests and their errors.
//! - `no_memory`: law 5 when the global allocator is exhausted.
//! - `contents`: laws 6 and 7: zeroed bytes and preserved prefixes.
//! - `accounting`: law 8: the counts.
//! - `owned_blocks`: [`Block`](arenite_core::Block) over any resource.

mod accounting;
mod contents;
mod failed_request;
mod fit;
mod no_memory;
mod owned_blocks;
mod traits;

pub use accounting::accounting;
pub(crate) use accounting::assert_coherent;
pub use contents::{grow_keeps_prefix, zeroed};
pub use failed_request::{errors, failed_request};
pub use fit::{disjoint, fit, stay, zero_size};
pub use no_memory::no_memory;
pub use owned_blocks::owned_blocks;
pub use traits::Traits;

/// Writes one test per law for one implementation, and one of random operations against a model.
///
/// Each test evaluates the expression anew; temporaries that it borrows may be part of it.
///
/// ```
/// use testkit::{laws::Traits, resource_laws};
/// resource_laws!(system, arenite_alloc::CountedGlobal::new(), Traits::default());
/// resource_laws!(
///     arena_over_arena,
///     arenite_alloc::Arena::with_chunk_size(&arenite_alloc::Arena::new(), 4096),
///     Traits::default().freed_together()
/// );
/// ```
#[macro_export]
macro_rules! resource_laws {
    ($name:ident, $make:expr, $traits:expr) => {
        mod $name {
            #[expect(
                clippy::allow_attributes,
                reason = "an implementation may need none of these names"
            )]
            #[allow(unused_imports, reason = "an implementation may need none of these names")]
            use super::*;

            #[test]
            fn law_1_fit() {
                $crate::laws::fit(&$make, &$traits);
            }
            #[test]
            fn law_2_disjoint() {
                $crate::laws::disjoint(&$make, &$traits);
            }
            #[test]
            fn law_3_stay() {
                $crate::laws::stay($make, &$traits);
            }
            #[test]
            fn law_4_zero_size() {
                $crate::laws::zero_size(&$make, &$traits);
            }
            #[test]
            fn law_5_failed_request() {
                $crate::laws::failed_request(&$make, &$traits);
            }
            #[test]
            fn law_5_no_memory() {
                $crate::laws::no_memory(&$make, &$traits);
            }
            #[test]
            fn law_6_zeroed() {
                $crate::laws::zeroed(&$make, &$traits);
            }
            #[test]
            fn law_7_grow_keeps_prefix() {
                $crate::laws::grow_keeps_prefix(&$make, &$traits);
            }
            #[test]
            fn law_8_accounting() {
                $crate::laws::accounting(&$make, &$traits);
            }
            #[test]
            fn law_9_errors() {
                $crate::laws::errors(&$make, &$traits);
            }
            #[test]
            fn owned_blocks_resize() {
                $crate::laws::owned_blocks(&$make, &$traits);
            }
            #[test]
            fn random_operations_follow_the_model() {
                $crate::model::check(&$traits, |operations| {
                    $crate::model::follow(&$make, operations, &$traits);
                });
            }
        }
    };
}
