//! The two words by the initial-exec model, on x86-64 Linux.
//!
//! Rests on a symbol of thread-local storage that is named for this version of the crate, so that two versions in one program
//! have one each.
#![expect(
    unsafe_code,
    reason = "reads and writes thread-local words by their offset from the thread pointer"
)]

use super::Last;
use super::ThreadHeap;
use core::arch::{asm, global_asm};

macro_rules! symbol {
    () => {
        concat!(
            "arenite_heap_last_",
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
pub(crate) fn get() -> Last {
    let (life, thread): (u64, *const ThreadHeap);
    // SAFETY: reads 16 bytes of the calling thread's own storage, which are zero at first and written by `set` alone.
    unsafe {
        asm!(
            concat!("mov {offset}, qword ptr [rip + ", symbol!(), "@GOTTPOFF]"),
            "mov {life}, qword ptr fs:[{offset}]",
            "mov {thread}, qword ptr fs:[{offset} + 8]",
            offset = out(reg) _,
            life = lateout(reg) life,
            thread = lateout(reg) thread,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    (life, thread)
}

#[inline(always)]
pub(crate) fn set((life, thread): Last) {
    // SAFETY: writes 16 bytes of the calling thread's own storage, which only these two functions know.
    unsafe {
        asm!(
            concat!("mov {offset}, qword ptr [rip + ", symbol!(), "@GOTTPOFF]"),
            "mov qword ptr fs:[{offset}], {life}",
            "mov qword ptr fs:[{offset} + 8], {thread}",
            offset = out(reg) _,
            life = in(reg) life,
            thread = in(reg) thread,
            options(nostack, preserves_flags),
        );
    }
}
