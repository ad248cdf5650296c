//! arenite's heap as the `malloc` of any program: `LD_PRELOAD=libarenite_preload.so PROGRAM`.
//!
//! One static [`Heap`] serves calls before `main`, in every thread and after `main`. The functions
//! follow the C library's rules for errno, alignment and overflow. C++'s `new` and `delete` arrive
//! through `malloc` and `free`. A free of an address that is not a block ends the program with one
//! line, as in the C library. `docs/preload.md` lists the environment variables; `arenite run`
//! sets them.
//!
//! | function | difference from the C library |
//! |---|---|
//! | `malloc free calloc realloc reallocarray` | alignment 8 up to 8 bytes, 16 above |
//! | `posix_memalign aligned_alloc memalign valloc pvalloc` | alignment is at most 2 MiB |
//! | `malloc_usable_size malloc_trim` | apply to the heap's own blocks |
//! | `mallinfo mallinfo2 malloc_stats` | statistics of the heap; chunks and bins are 0 |
//! | `mallopt` | supports no parameter and returns 0 |
//! | `free_sized free_aligned_sized cfree` | the size is ignored |
//!
//! - `malloc_api`: the C functions
//! - `options`: the environment variables, read when the library is loaded
//! - `report`: the statistics at exit
//! - `fatal`: the message and abort on an invalid free

mod fatal;
pub mod malloc_api;
mod options;
mod report;

use arenite_alloc::Heap;

/// The heap of the whole program.
pub(crate) static HEAP: Heap = Heap::new();
