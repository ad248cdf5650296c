//! A SIGBUS handler for mapped files that were truncated.
//!
//! An access beyond the end of a truncated file kills the process by default. For a registered
//! mapping the handler maps a zero page over the lost one, marks the mapping as damaged, and
//! returns. For any other address it runs the previous handler.
//!
//! Each mapping is a node of a list that only grows and whose nodes are reused, so the handler
//! walks it without a lock. The handler is installed with the first mapped file. A later handler
//! of the program that does not call the previous one replaces it.
#![expect(unsafe_code, reason = "handles a signal")]

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

/// A node of the list; free while `start` is 0.
struct Node {
    start: AtomicUsize,
    end: AtomicUsize,
    damaged: AtomicBool,
    next: *const Node,
}

static WATCHED: AtomicPtr<Node> = AtomicPtr::new(null_mut());
/// Held while a node is acquired.
static INSERT_LOCK: Mutex<()> = Mutex::new(());
/// The previous action for this signal.
static PREVIOUS_HANDLER: AtomicPtr<libc::sigaction> = AtomicPtr::new(null_mut());
static PAGE_SIZE: AtomicUsize = AtomicUsize::new(0);
/// Held by the handler while it replaces an OS page.
static HANDLER_LOCK: AtomicBool = AtomicBool::new(false);

/// Returns whether the OS page at `at` can be mapped: another thread replaced it, or the file grew
/// again.
fn page_mapped(at: *mut c_void, page: usize, errno: *mut c_int) -> bool {
    // SAFETY: populates an OS page; contents and access stay.
    if unsafe { libc::madvise(at, page, libc::MADV_POPULATE_WRITE) } == 0 {
        return true;
    }
    // SAFETY: the C library has `errno` for each thread at this address.
    let only_read = unsafe { *errno } == libc::EINVAL;
    // SAFETY: as above; only populates an OS page.
    only_read && unsafe { libc::madvise(at, page, libc::MADV_POPULATE_READ) } == 0
}

/// A mapping that the handler serves until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    node: NonNull<Node>,
}

// SAFETY: nodes live for ever, and every mutable field is atomic.
unsafe impl Send for Watched {}
// SAFETY: as for `Send`.
unsafe impl Sync for Watched {}

impl Watched {
    /// Registers `[start, start + len)`: OS pages of a mapped file.
    pub(crate) fn new(start: NonNull<u8>, len: usize) -> Self {
        install();
        let start = start.addr().get();
        let _taking = INSERT_LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        let node = nodes().find(|node| node.start.load(Ordering::Acquire) == 0);
        let node = node.map_or_else(
            || {
                let next = WATCHED.load(Ordering::Acquire).cast_const();
                let (start, end) = (AtomicUsize::new(0), AtomicUsize::new(0));
                let node = Box::leak(Box::new(Node { start, end, damaged: AtomicBool::new(false), next }));
                WATCHED.store(node, Ordering::Release);
                NonNull::from(node)
            },
            NonNull::from,
        );
        let watched = Self { node };
        watched.node().damaged.store(false, Ordering::Relaxed);
        watched.node().end.store(start + len, Ordering::Release);
        watched.node().start.store(start, Ordering::Release);
        watched
    }

    fn node(&self) -> &Node {
        // SAFETY: nodes live for ever and are only read through shared references.
        unsafe { self.node.as_ref() }
    }

    /// Returns whether an access found an OS page lost. The OS page reads as zeroes since.
    pub(crate) fn is_damaged(&self) -> bool {
        self.node().damaged.load(Ordering::Acquire)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.node().start.store(0, Ordering::Release);
    }
}

/// Returns the list, from its newest node.
fn nodes() -> impl Iterator<Item = &'static Node> {
    let mut next = WATCHED.load(Ordering::Acquire).cast_const();
    core::iter::from_fn(move || {
        // SAFETY: nodes live for ever, are written before they are linked, and only read through
        // shared references.
        let node = unsafe { next.as_ref() }?;
        next = node.next;
        Some(node)
    })
}

fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        PAGE_SIZE.store(super::page_size(), Ordering::Relaxed);
        let mut before = Box::new(MaybeUninit::<libc::sigaction>::zeroed());
        // SAFETY: with no new action the call only writes the old one.
        if unsafe { libc::sigaction(libc::SIGBUS, core::ptr::null(), before.as_mut_ptr()) } != 0 {
            return;
        }
        PREVIOUS_HANDLER.store(Box::into_raw(before).cast(), Ordering::Release);
        // SAFETY: all zeroes is a valid `sigaction`: no flags, no signals blocked.
        let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_sigbus;
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        // SAFETY: writes the set.
        let _all = unsafe { libc::sigfillset(&raw mut action.sa_mask) };
        // SAFETY: `on_sigbus` is a handler with that signature and calls only what a handler may.
        let _installed = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, null_mut()) };
    });
}

extern "C" fn on_sigbus(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t` to a handler with SA_SIGINFO.
    let info_ref = unsafe { &*info };
    // SAFETY: the kernel fills in the address for this signal.
    let address = unsafe { info_ref.si_addr() }.addr();
    if info_ref.si_code == libc::BUS_ADRERR && map_zero_page(address) {
        return;
    }
    // SAFETY: written once before the handler was installed, and never freed.
    let Some(before) = (unsafe { PREVIOUS_HANDLER.load(Ordering::Acquire).as_ref() }) else { return };
    let sent = info_ref.si_code <= 0; // sent by a process instead of an access
    match before.sa_sigaction {
        libc::SIG_IGN if sent => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // The access faults again, and kills as it would have without this handler.
            // SAFETY: all zeroes is the default action.
            let default: libc::sigaction = unsafe { core::mem::zeroed() };
            // SAFETY: sets the default action.
            let _set = unsafe { libc::sigaction(signal, &raw const default, null_mut()) };
            if sent {
                // SAFETY: sends the signal once more; it is delivered when this handler returns.
                let _again = unsafe { libc::raise(signal) };
            }
        }
        handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: a handler that was installed with SA_SIGINFO has this signature.
            let handler = unsafe {
                core::mem::transmute::<usize, extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void)>(
                    handler,
                )
            };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: a handler that was installed without SA_SIGINFO has this signature.
            let handler = unsafe { core::mem::transmute::<usize, extern "C" fn(c_int)>(handler) };
            handler(signal);
        }
    }
}

/// Maps a zero page at `address` if it lies in a registered mapping. Returns whether it did.
fn map_zero_page(address: usize) -> bool {
    let page = PAGE_SIZE.load(Ordering::Relaxed);
    let inside = |node: &&Node| {
        let start = node.start.load(Ordering::Acquire);
        let end = node.end.load(Ordering::Acquire);
        // the node may have been reused between the two loads
        start != 0 && start <= address && address < end && node.start.load(Ordering::Acquire) == start
    };
    let Some(node) = nodes().find(inside) else { return false };
    // SAFETY: the C library has `errno` for each thread at this address.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let saved = unsafe { *errno };
    let at = core::ptr::without_provenance_mut(address & !(page - 1));
    // One thread at a time: a second one finds the OS page replaced, with the writes of the first.
    while HANDLER_LOCK.swap(true, Ordering::Acquire) {
        core::hint::spin_loop();
    }
    if page_mapped(at, page, errno) {
        HANDLER_LOCK.store(false, Ordering::Release);
        // SAFETY: as above.
        unsafe { *errno = saved };
        return true;
    }
    node.damaged.store(true, Ordering::Release);
    let (access, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
    // SAFETY: the OS page is part of a registered mapping whose contents are lost; its owner unmaps
    // it only after removing the node.
    let got = unsafe { libc::mmap(at, page, access, flags, -1, 0) };
    HANDLER_LOCK.store(false, Ordering::Release);
    // SAFETY: as above.
    unsafe { *errno = saved };
    got != libc::MAP_FAILED
}
