//! Functions that run before and after the process forks, so that no thread that the child lacks
//! holds a heap's lock or the region registry's.
//!
//! Handlers that register later run earlier before a fork. Allocators register at their first use,
//! so their locks are acquired last: no later handler can need an allocation.
#![expect(unsafe_code, reason = "reads statics through pointers, and unlocks the registry after a fork")]

use crate::{os, region};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// Functions around each fork (`pthread_atfork`).
#[derive(Debug)]
pub struct ForkHandlers {
    /// Called on the thread that forks, before the fork.
    pub prepare: fn(),
    /// Called on that thread in the parent, after the fork.
    pub parent: fn(),
    /// Called in the child, after the fork.
    pub child: fn(),
}

/// Maximum number of registered handlers.
const MAX_HANDLERS: usize = 8;

static HANDLERS: [AtomicPtr<ForkHandlers>; MAX_HANDLERS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_HANDLERS];
/// State of the registration with the C library: 0 no, 1 under way, 2 done.
static REGISTERED: AtomicU32 = AtomicU32::new(0);
/// Number of forks that are over.
static FORK_EPOCH: AtomicU32 = AtomicU32::new(0);
/// Number of threads that fork now.
static IN_FORK: AtomicU32 = AtomicU32::new(0);
/// Number of handlers that the current fork began with: another may register meanwhile.
static CALLED: AtomicUsize = AtomicUsize::new(0);

/// Registers handlers for each later fork. A second registration has no effect. Later ones run
/// earlier before a fork and later after it. The lock of the region registry is held inside all of
/// them.
///
/// Returns `false` if 8 handlers are registered, or the C library fails.
///
/// An allocator may call this: if the C library needs memory for it, it calls `malloc`, which
/// finds the handlers registered.
pub fn at_fork(handlers: &'static ForkHandlers) -> bool {
    let new = core::ptr::from_ref(handlers).cast_mut();
    let store = |slot: &AtomicPtr<ForkHandlers>| {
        let null = core::ptr::null_mut();
        match slot.compare_exchange(null, new, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(current) => current == new,
        }
    };
    HANDLERS.iter().any(store) && register()
}

/// Returns the number of forks since the first call, or `None` during a fork or if the C library
/// fails. Two equal results mean that no child began in between. A child that was made without the
/// C library is not counted.
#[inline]
pub(crate) fn fork_epoch() -> Option<u32> {
    let registered =
        REGISTERED.load(Ordering::Acquire) == 2 || register() && REGISTERED.load(Ordering::Acquire) == 2;
    // read first: a fork that begins later is counted when it is over
    let quiet = registered && IN_FORK.load(Ordering::SeqCst) == 0;
    quiet.then(|| FORK_EPOCH.load(Ordering::SeqCst))
}

fn register() -> bool {
    if REGISTERED.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_err() {
        return true;
    }
    let registered = os::pthread_atfork(prepare, parent, child);
    REGISTERED.store(if registered { 2 } else { 0 }, Ordering::Release);
    registered
}

fn handler_at(slot: &AtomicPtr<ForkHandlers>) -> Option<&'static ForkHandlers> {
    // SAFETY: null, or a static that `at_fork` stored there.
    unsafe { slot.load(Ordering::Acquire).as_ref() }
}

extern "C" fn prepare() {
    IN_FORK.fetch_add(1, Ordering::SeqCst);
    let count = HANDLERS.iter().take_while(|slot| handler_at(slot).is_some()).count();
    HANDLERS[..count].iter().rev().filter_map(handler_at).for_each(|handlers| (handlers.prepare)());
    region::lock_for_fork();
    // under the registry's lock, so that no other thread's fork comes between
    CALLED.store(count, Ordering::Relaxed);
}

extern "C" fn parent() {
    run_after(|handlers| handlers.parent);
    FORK_EPOCH.fetch_add(1, Ordering::SeqCst);
    IN_FORK.fetch_sub(1, Ordering::SeqCst);
}

extern "C" fn child() {
    run_after(|handlers| handlers.child);
    FORK_EPOCH.fetch_add(1, Ordering::SeqCst);
    // the child has no other thread that could be forking
    IN_FORK.store(0, Ordering::SeqCst);
}

fn run_after(handler: fn(&ForkHandlers) -> fn()) {
    let count = CALLED.load(Ordering::Relaxed).min(MAX_HANDLERS);
    // SAFETY: `prepare` locked it on this thread, or on the one that this thread is the child's
    // copy of.
    unsafe { region::unlock_after_fork() };
    HANDLERS[..count].iter().filter_map(handler_at).for_each(|handlers| handler(handlers)());
}
