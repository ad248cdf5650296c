//! arenite's heap as the `malloc` of any program: `LD_PRELOAD=libarenite_preload.so PROGRAM`.
//!
//! Rests on one static [`Heap`], which works before `main`, in every thread and after `main`. The functions are
//! those of the C library with its rules (errno, alignment, overflow); C++'s `new` and `delete` arrive through `malloc` and `free`.
//! A block that is given back and is none ends the program with a line that says so, as the C library does. What can be set by
//! variables stands in `docs/preload.md`; `arenite run` sets it.
//!
//! | function | what differs from the C library |
//! |---|---|
//! | `malloc free calloc realloc reallocarray` | blocks of up to 8 bytes are aligned to 8, others to 16 |
//! | `posix_memalign aligned_alloc memalign valloc pvalloc` | alignments above 2 MiB are refused with `ENOMEM` |
//! | `malloc_usable_size malloc_trim mallinfo mallinfo2 malloc_stats` | figures of the heap; chunks and bins are 0, as it has none |
//! | `mallopt` | knows no parameter, and answers 0 |
//! | `free_sized free_aligned_sized cfree` | the size is not looked at |

mod fatal;
pub mod malloc_api;
mod report;
mod options;

use arenite_alloc::Heap;

/// The heap of the whole program.
pub(crate) static HEAP: Heap = Heap::new();
