//! The laws of a resource as checks over any implementation.
//!
//! Rests on [`Lent`](crate::Lent). Each law is a function of its own, so that a test's name says which one is broken;
//! [`resource_laws!`](crate::resource_laws) writes one test per law.

mod accounting;
mod owned_blocks;
mod contents;
mod fit;
mod no_memory;
mod failed_request;

pub use accounting::account;
pub(crate) use accounting::coherent;
pub use owned_blocks::blocks;
pub use contents::{prefix, zeroed};
pub use fit::{disjoint, fit, stay, zero_size};
pub use no_memory::no_memory;
pub use failed_request::{errors, refusal};

use core::alloc::Layout;

/// What the laws may ask of one implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// The largest alignment that it serves, in bytes.
    pub max_align: usize,
    /// The largest block that the checks ask for, in bytes.
    pub max_size: usize,
    /// How many blocks the checks hold at once.
    pub max_live: usize,
    /// Whether `in_use` is back where it was when every block is given back.
    pub frees_each: bool,
    /// Whether nobody else uses the same counts at the same time.
    pub own_counts: bool,
}

impl Default for Traits {
    /// Any alignment, 64 KiB blocks, 64 at once, each freed on its own, with counts of its own.
    fn default() -> Self {
        Self { max_align: 4 << 20, max_size: 64 << 10, max_live: 64, frees_each: true, own_counts: true }
    }
}

impl Traits {
    /// The same for an arena: giving a block back frees its bytes only where it was the last.
    #[must_use]
    pub const fn freed_together(mut self) -> Self {
        self.frees_each = false;
        self
    }

    /// The same for a resource whose counts others share, such as the program's global allocator.
    #[must_use]
    pub const fn shared_counts(mut self) -> Self {
        self.own_counts = false;
        self
    }

    /// The same for equal blocks of `size` bytes at `align`, `count` at once.
    #[must_use]
    pub const fn equal_blocks(mut self, size: usize, align: usize, count: usize) -> Self {
        self.max_size = size;
        self.max_align = align;
        self.max_live = count;
        self
    }

    /// The sizes to try, up to the largest.
    fn sizes(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        let max = self.max_size;
        [1, 3, 7, 8, 9, 24, 63, 64, 65, 255, 1000, 4096, 5000, 65_536]
            .into_iter()
            .filter(move |&size| size <= max)
    }

    /// The alignments to try, up to the largest.
    fn aligns(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        let max = self.max_align;
        (0..=16).chain([22]).map(|shift| 1 << shift).filter(move |&align| align <= max)
    }

    /// Blocks of many sizes and alignments, as many as may be held at once.
    fn mixed(&self) -> impl Iterator<Item = Layout> + use<> {
        let sizes = self.sizes().cycle();
        let aligns = self.aligns().filter(|&align| align <= 4096).cycle();
        sizes.zip(aligns).take(self.max_live).map(|(size, align)| layout(size, align))
    }
}

/// A layout that the checks know to exist.
fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a size and alignment that exist")
}

/// Writes one test per law for one implementation, and one of random operations against a model.
///
/// The expression is evaluated for each test; what it borrows may be made in it.
///
/// ```
/// use testkit::{laws::Traits, resource_laws};
/// resource_laws!(system, arenite_alloc::System::new(), Traits::default());
/// resource_laws!(
///     arena_over_arena,
///     arenite_alloc::Arena::chunked_by(&arenite_alloc::Arena::new(), 4096),
///     Traits::default().freed_together()
/// );
/// ```
#[macro_export]
macro_rules! resource_laws {
    ($name:ident, $make:expr, $traits:expr) => {
        mod $name {
            #[expect(
                clippy::allow_attributes,
                reason = "an implementation may need none of the names around it"
            )]
            #[allow(unused_imports, reason = "the same")]
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
            fn law_5_refusal() {
                $crate::laws::refusal(&$make, &$traits);
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
            fn law_7_prefix() {
                $crate::laws::prefix(&$make, &$traits);
            }
            #[test]
            fn law_8_account() {
                $crate::laws::account(&$make, &$traits);
            }
            #[test]
            fn law_9_errors() {
                $crate::laws::errors(&$make, &$traits);
            }
            #[test]
            fn blocks_own_and_resize() {
                $crate::laws::blocks(&$make, &$traits);
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
