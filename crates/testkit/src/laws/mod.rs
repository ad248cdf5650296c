//! The laws of a resource as checks over any implementation.
//!
//! Each law is a function of its own, so a test's name says which law is broken.
//! [`resource_laws!`](crate::resource_laws) writes one test per law.
//!
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

pub use accounting::accounting;
pub(crate) use accounting::assert_coherent;
pub use contents::{grow_keeps_prefix, zeroed};
pub use failed_request::{errors, failed_request};
pub use fit::{disjoint, fit, stay, zero_size};
pub use no_memory::no_memory;
pub use owned_blocks::owned_blocks;

use core::alloc::Layout;

/// The requests that the laws may make to one implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Largest supported alignment in bytes.
    pub max_align: usize,
    /// Largest block that the checks request, in bytes.
    pub max_size: usize,
    /// Maximum number of blocks live at once.
    pub max_live: usize,
    /// Whether freeing every block returns `in_use` to its start.
    pub frees_each: bool,
    /// Whether the resource's counts have no other user.
    pub own_counts: bool,
}

impl Default for Traits {
    /// Returns the traits of a general allocator: alignments to 4 MiB, 64 blocks of up to 64 KiB,
    /// own counts.
    fn default() -> Self {
        Self { max_align: 4 << 20, max_size: 64 << 10, max_live: 64, frees_each: true, own_counts: true }
    }
}

impl Traits {
    /// Sets the trait of an arena: freeing a block reuses its bytes only if it is the newest.
    #[must_use]
    pub const fn freed_together(mut self) -> Self {
        self.frees_each = false;
        self
    }

    /// Sets the trait of a resource with shared counts, such as the program's global allocator.
    #[must_use]
    pub const fn shared_counts(mut self) -> Self {
        self.own_counts = false;
        self
    }

    /// Sets the traits of a pool: up to `count` blocks of `size` bytes at `align`.
    #[must_use]
    pub const fn equal_blocks(mut self, size: usize, align: usize, count: usize) -> Self {
        self.max_size = size;
        self.max_align = align;
        self.max_live = count;
        self
    }

    /// Returns the sizes to test, up to the largest.
    fn sizes(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        let max = self.max_size;
        [1, 3, 7, 8, 9, 24, 63, 64, 65, 255, 1000, 4096, 5000, 65_536]
            .into_iter()
            .filter(move |&size| size <= max)
    }

    /// Returns the alignments to test, up to the largest.
    fn aligns(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        let max = self.max_align;
        (0..=16).chain([22]).map(|shift| 1 << shift).filter(move |&align| align <= max)
    }

    /// Returns `max_live` layouts of many sizes and alignments.
    fn mixed(&self) -> impl Iterator<Item = Layout> + use<> {
        let sizes = self.sizes().cycle();
        let aligns = self.aligns().filter(|&align| align <= 4096).cycle();
        sizes.zip(aligns).take(self.max_live).map(|(size, align)| layout(size, align))
    }
}

/// Returns a layout that is known to be valid.
fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a size and alignment that exist")
}

/// Writes one test per law for one implementation, and one of random operations against a model.
///
/// Each test evaluates the expression anew; temporaries that it borrows may be part of it.
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
