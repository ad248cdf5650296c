//! Side-by-side benchmarks of arenite and its peers, in one process.
//!
//! In the order in which a figure passes: a *lender* (`arenas`, `blocks`, `heaps`, `mappings`, `rings`) lends blocks, memory or
//! slots through its library's own best public call; a *body* (`suites`) is one generic function that works on every lender of a case; a
//! `contestant` is a body on a lender, with a clock around it; a [`bench`](Bench) lets the contestants of a case run in short
//! alternating rounds and takes medians; a [`Report`] holds the [`Row`]s; [`table`] and `json` write them.
//!
//! # Which call of each library is measured
//! | library | allocate | free all, or to a mark |
//! |---|---|---|
//! | arenite `Arena` | `Resource::allocate`, `alloc` | `reset`, `restore_mut`, `restore`, `scope` |
//! | bumpalo `Bump` | `try_alloc_layout`, `alloc` | `reset` |
//! | bump-scope `Bump`, its fastest settings | `allocate_layout`, `alloc` | `reset_to_start`, `checkpoint` + `reset_to`, `scoped` |
//! | blink-alloc `BlinkAlloc` (typed: `Blink`) | `allocate`, `put_no_drop` | `reset` |
//! | arenite `SharedArena`; blink-alloc `SyncBlinkAlloc` | `allocate` | `reset` |
//! | arenite `Pool`, `SharedPool` | `allocate_block` | `deallocate_block` |
//! | slab `Slab<MaybeUninit<[u8; N]>>` | `vacant_entry` + `insert` | `remove` |
//! | arenite `Heap`, system, mimalloc, jemalloc, snmalloc | `GlobalAlloc::alloc` | `GlobalAlloc::dealloc` |
//!
//! | library | memory from the kernel | and back |
//! |---|---|---|
//! | arenite `Region` | `reserve`, `advise_huge`, `commit` | drop |
//! | the kernel | `mmap` (with `MAP_POPULATE`; with `PROT_NONE`), `mprotect` | `munmap` |
//! | arenite `Region`; the kernel | moved: `remap`; `mremap` with `MREMAP_DONTUNMAP` | – |
//! | arenite `ring_buffer`; `MagicBuffer::new`; `SliceRingBuffer::with_capacity` | itself | drop |
//!
//! | ring | element in, out | message in | message out | read in place |
//! |---|---|---|---|---|
//! | arenite | `push`, `pop` | `push_all`; `reserve` + `commit` | `pop_exact` | `peek_exact` + `release` |
//! | rtrb | `push`, `pop` | `push_entire_slice` | `pop_entire_slice` | `read_chunk` + `as_slices`, a copy where there are two |
//! | ringbuf `HeapRb` | `try_push`, `try_pop` | `vacant_len`, `push_slice` | `occupied_len`, `pop_slice` | – |
//! | crossbeam `ArrayQueue` | `push`, `pop` | – | – | – |
//!
//! # Method
//! Each case runs in a process of its own ([`isolated`]), because a malloc remembers: glibc's threshold for `mmap` moves with
//! what was freed before, and a step that it serves from kept memory after one case faults on every page after another.
//! Within the case all contestants share the process. The system's malloc is under bumpalo, bump-scope and blink-alloc too.
//!
//! A figure is the median of many rounds of a tenth of a millisecond or more of thread CPU time; the contestants take turns in
//! rotating order, each does a part of the work unmeasured first (so that it finds its caches, and its delayed
//! purges, as a program that uses it alone would), and the first rounds are dropped. Every body hands each lender to
//! `black_box` before its loop, so that no arena's position is kept in a register, and every block's address to it, so that no
//! allocation is left out. The two threads of a round in `ring` first measure how far apart they are (`distance`), and rounds
//! of different distances stand in different rows: on a virtual machine the host moves them. In builds with debug assertions (the tests) blocks, bytes, writes and frees are counted
//! and a case whose contestants differ is an error.

mod arenas;
mod bench;
mod blocks;
mod competitor;
mod core_distance;
mod failure;
mod heaps;
mod isolated;
mod json;
mod live_blocks;
mod machine;
mod mappings;
mod message;
mod page_moves;
mod progress;
mod report;
mod rings;
mod sized_pools;
mod quantiles;
mod measurement;
mod suites;
mod table;
mod tally;
mod threads;

pub use bench::{Bench, Settings};
pub use failure::{Failure, Refused};
pub use heaps::left_out;
pub use isolated::{CASE, isolated};
pub use json::JsonFile;
pub use machine::Machine;
pub use progress::Progress;
pub use report::{Report, Row};
pub use quantiles::Spread;
pub use suites::{SUITES, Suite};
pub use table::{losses, table};
