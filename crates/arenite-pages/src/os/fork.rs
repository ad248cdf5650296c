//! What is done before a process forks and after it, so that no lock of an allocator is held by a thread that the child lacks.
//!
//! Rests on the C library's list of such calls. Whoever is called first at a fork was entered last: allocators enter at their
//! first use, early, and so are held last, when nobody who may allocate is still to come.
#![expect(unsafe_code, reason = "enters functions in the C library's list")]

use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// A pair of functions around each fork.
#[derive(Debug)]
pub struct ForkHandlers {
    /// Called on the thread that forks, before.
    pub before: fn(),
    /// Called on it afterwards, in the parent and in the child, each.
    pub after: fn(),
}

/// How many pairs there can be.
const MAX_HANDLERS: usize = 8;

static HANDLERS: [AtomicPtr<ForkHandlers>; MAX_HANDLERS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_HANDLERS];
/// 0 not entered in the C library's list, 1 being entered, 2 entered.
static REGISTERED: AtomicU32 = AtomicU32::new(0);
/// Forks that are over.
static FORK_EPOCH: AtomicU32 = AtomicU32::new(0);
/// Threads that fork now.
static IN_FORK: AtomicU32 = AtomicU32::new(0);
/// How many pairs the fork under way began with: one may be entered meanwhile.
static CALLED: AtomicUsize = AtomicUsize::new(0);

/// Has a pair called around each fork from now on; asking twice is asking once. Pairs asked for later are called earlier before a
/// fork and later after it. This crate's own locks are held inside of all of them. False: there is no room, or the C library
/// refuses.
///
/// May be called from an allocator: where the C library needs memory for it, it asks `malloc`, which finds this done.
pub fn at_fork(handlers: &'static ForkHandlers) -> bool {
    let wanted = core::ptr::from_ref(handlers).cast_mut();
    let took = |slot: &AtomicPtr<ForkHandlers>| {
        let null = core::ptr::null_mut();
        match slot.compare_exchange(null, wanted, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(there) => there == wanted,
        }
    };
    HANDLERS.iter().any(took) && register()
}

/// How often the process has forked since the first question; `None` while it does so, or if the C library refuses to tell. Two equal
/// answers mean that no child began in between. A child that was made past the C library is not seen.
#[inline]
pub(crate) fn fork_epoch() -> Option<u32> {
    let entered =
        REGISTERED.load(Ordering::Acquire) == 2 || register() && REGISTERED.load(Ordering::Acquire) == 2;
    // looked at first: a fork that begins after that has counted when it is over
    let quiet = entered && IN_FORK.load(Ordering::SeqCst) == 0;
    quiet.then(|| FORK_EPOCH.load(Ordering::SeqCst))
}

fn register() -> bool {
    if REGISTERED.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_err() {
        return true;
    }
    // SAFETY: three functions of that signature, which live as long as this code does: the C library strikes them out when
    // the library that they are part of is unloaded.
    let entered =
        unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) } == 0;
    REGISTERED.store(if entered { 2 } else { 0 }, Ordering::Release);
    entered
}

fn handler_at(slot: &AtomicPtr<ForkHandlers>) -> Option<&'static ForkHandlers> {
    // SAFETY: null, or a static that was put there by `at_fork`.
    unsafe { slot.load(Ordering::Acquire).as_ref() }
}

unsafe extern "C" fn before() {
    IN_FORK.fetch_add(1, Ordering::SeqCst);
    let count = HANDLERS.iter().take_while(|slot| handler_at(slot).is_some()).count();
    HANDLERS[..count].iter().rev().filter_map(handler_at).for_each(|pair| (pair.before)());
    crate::region::lock_for_fork();
    // under the registry's lock, so that a fork on another thread does not come between
    CALLED.store(count, Ordering::Relaxed);
}

unsafe extern "C" fn after_in_parent() {
    run_after();
    FORK_EPOCH.fetch_add(1, Ordering::SeqCst);
    IN_FORK.fetch_sub(1, Ordering::SeqCst);
}

unsafe extern "C" fn after_in_child() {
    run_after();
    FORK_EPOCH.fetch_add(1, Ordering::SeqCst);
    // forks of other threads are not under way here: their threads are not
    IN_FORK.store(0, Ordering::SeqCst);
}

fn run_after() {
    let count = CALLED.load(Ordering::Relaxed).min(MAX_HANDLERS);
    // SAFETY: `before` held it on this thread, or on the one that this is the child's copy of.
    unsafe { crate::region::unlock_after_fork() };
    HANDLERS[..count].iter().filter_map(handler_at).for_each(|pair| (pair.after)());
}
