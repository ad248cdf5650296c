//! The two words in the initial-exec model, on x86-64 Linux.
//!
//! The name of the symbol contains the version of the crate, so two versions in one program have
//! storage of their own.
#![expect(
    unsafe_code,
    reason = "reads and writes thread-local words by their offset from the thread pointer"
)]

use crate::heap::thread::heap_table::CurrentHeap;
use crate::heap::thread::thread_heap::ThreadHeap;
use core::arch::{asm, global_asm};

macro_rules! symbol {
    () => {
        concat!(
            "arenite_heap_current_",
            env!("CARGO_PKG_VERSION_MAJOR"),
            "_",
            env!("CARGO_PKG_VERSION_MINOR"),
            "_",
            env!("CARGO_PKG_VERSION_PATCH")
        )
    };
}

global_asm!(
    concat!(".section .tbss.", symbol!(), ",\"awT\",@nobits"),
    ".p2align 4",
    concat!(".globl ", symbol!()),
    concat!(".hidden ", symbol!()),
    concat!(".type ", symbol!(), ", @object"),
    concat!(".size ", symbol!(), ", 16"),
    concat!(symbol!(), ":"),
    ".zero 16",
    ".text",
);

#[inline(always)]
pub(crate) fn get() -> CurrentHeap {
    let (heap_id, thread): (u64, *const ThreadHeap);
    // SAFETY: reads 16 bytes of the calling thread's own storage, which are zero or written by
    // `set`.
    unsafe {
        asm!(
            concat!("mov {offset}, qword ptr [rip + ", symbol!(), "@GOTTPOFF]"),
            "mov {heap_id}, qword ptr fs:[{offset}]",
            "mov {thread}, qword ptr fs:[{offset} + 8]",
            offset = out(reg) _,
            heap_id = lateout(reg) heap_id,
            thread = lateout(reg) thread,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    (heap_id, thread)
}

#[inline(always)]
pub(crate) fn set((heap_id, thread): CurrentHeap) {
    // SAFETY: writes 16 bytes of the calling thread's own storage, which these two functions alone
    // use.
    unsafe {
        asm!(
            concat!("mov {offset}, qword ptr [rip + ", symbol!(), "@GOTTPOFF]"),
            "mov qword ptr fs:[{offset}], {heap_id}",
            "mov qword ptr fs:[{offset} + 8], {thread}",
            offset = out(reg) _,
            heap_id = in(reg) heap_id,
            thread = in(reg) thread,
            options(nostack, preserves_flags),
        );
    }
}
