//! Side-by-side benchmarks of arenite and its peers, in one process.
//!
//! - `arenas`, `blocks`, `heaps`, `sized_pools`, `mappings`, `page_moves`, `rings`: adapters; each
//!   calls a library through its fastest public call.
//! - `suites`: bodies, generic functions that run on every adapter of a case.
//! - `competitor`: a body on one adapter, with a clock around it; `measurement`: the clock.
//! - `threads`, `core_distance`: rounds of several threads.
//! - [`bench`](Bench): runs the competitors of a case in short alternating rounds and takes
//!   medians.
//! - [`Report`]: the [`Row`]s of a suite; [`table()`] and `json` write them.
//!
//! # Measured calls of each library
//! | arena | allocate | free all |
//! |---|---|---|
//! | arenite `Arena` | `Resource::allocate`, `alloc` | `reset` |
//! | bumpalo `Bump` | `try_alloc_layout`, `alloc` | `reset` |
//! | bump-scope `Bump`, its fastest settings | `allocate_layout`, `alloc` | `reset_to_start` |
//! | blink-alloc `BlinkAlloc` (typed: `Blink`) | `allocate`, `put_no_drop` | `reset` |
//! | arenite `SharedArena`; blink-alloc `SyncBlinkAlloc` | `allocate` | `reset` |
//!
//! | arena with marks | free to a mark |
//! |---|---|
//! | arenite `Arena` | `restore_mut`, `restore`, `scope` |
//! | bump-scope `Bump` | `checkpoint` + `reset_to`, `scoped` |
//!
//! | pool or heap | allocate | free |
//! |---|---|---|
//! | arenite `Pool`, `SharedPool` | `allocate_block` | `deallocate_block` |
//! | slab `Slab<MaybeUninit<[u8; N]>>` | `vacant_entry` + `insert` | `remove` |
//! | every heap | `GlobalAlloc::alloc` | `GlobalAlloc::dealloc` |
//!
//! | library | memory from the kernel | release |
//! |---|---|---|
//! | arenite `Region` | `reserve`, `advise_huge`, `commit` | drop |
//! | the kernel | `mmap` (with `MAP_POPULATE`; with `PROT_NONE`), `mprotect` | `munmap` |
//! | arenite `Region`; the kernel | moved: `remap`; `mremap` with `MREMAP_DONTUNMAP` | – |
//! | arenite `ring_buffer`; `MagicBuffer::new`; `SliceRingBuffer::with_capacity` | itself | drop |
//!
//! | ring | element in, out | message in | message out |
//! |---|---|---|---|
//! | arenite | `push`, `pop` | `push_all`; `reserve` + `commit` | `pop_exact` |
//! | rtrb | `push`, `pop` | `push_entire_slice` | `pop_entire_slice` |
//! | ringbuf `HeapRb` | `try_push`, `try_pop` | `push_slice` | `pop_slice` |
//! | crossbeam `ArrayQueue` | `push`, `pop` | – | – |
//!
//! | ring | message read in place |
//! |---|---|
//! | arenite | `peek_exact` + `release` |
//! | rtrb | `read_chunk` + `as_slices`, with a copy if there are two slices |
//!
//! # Method
//! Each case runs in its own process ([`run_isolated`]), because a malloc keeps state: glibc's
//! `mmap` threshold depends on earlier frees. Within the case all competitors share the process.
//! bumpalo, bump-scope and blink-alloc allocate from the system's malloc.
//!
//! A result is the median of many rounds of at least a tenth of a millisecond of thread CPU time.
//! The competitors run in rotating order. Each warms up with an eighth of the work first, so that
//! its caches and its delayed purges are in a steady state. The first rounds are dropped.
//!
//! Every body passes its allocator to `black_box` before the loop, so that no arena's position
//! stays in a register. Every block's address goes to `black_box`, so that no allocation is
//! optimised away.
//!
//! The two threads of a round in `ring` first measure their distance (`core_distance`). Rounds of
//! different distances are in different rows, because the host of a virtual machine moves them.
//!
//! Builds with debug assertions (the tests) count blocks, bytes, writes and frees; a case whose
//! competitors differ is an error.

mod arenas;
mod bench;
mod blocks;
mod competitor;
mod core_distance;
mod failure;
mod heaps;
mod isolated;
mod json;
mod live_block;
mod machine;
mod mappings;
mod measurement;
mod message;
mod page_moves;
mod progress;
mod quantiles;
mod report;
mod rings;
mod sized_pools;
mod suites;
mod table;
mod tally;
mod threads;

pub use bench::{Bench, Settings};
pub use failure::{AllocFailed, Failure};
pub use heaps::left_out;
pub use isolated::{CASE, run_isolated};
pub use json::JsonFile;
pub use machine::Machine;
pub use progress::Progress;
pub use quantiles::Quantiles;
pub use report::{Report, Row};
pub use suites::{SUITES, Suite};
pub use table::{losses, table};
