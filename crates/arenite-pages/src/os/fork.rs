//! What is done before a process forks and after it, so that no lock of an allocator is held by a thread that the child lacks.
//!
//! Rests on the C library's list of such calls. Whoever is called first at a fork was entered last: allocators enter at their
//! first use, early, and so are held last, when nobody who may allocate is still to come.
#![expect(unsafe_code, reason = "enters functions in the C library's list")]

use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// A pair of functions around each fork.
#[derive(Debug)]
pub struct AroundFork {
    /// Called on the thread that forks, before.
    pub before: fn(),
    /// Called on it afterwards, in the parent and in the child, each.
    pub after: fn(),
}

/// How many pairs there can be.
const MOST: usize = 8;

static PAIRS: [AtomicPtr<AroundFork>; MOST] = [const { AtomicPtr::new(core::ptr::null_mut()) }; MOST];
/// 0 not entered in the C library's list, 1 being entered, 2 entered.
static ENTERED: AtomicU32 = AtomicU32::new(0);
/// Forks that are over.
static FORKS: AtomicU32 = AtomicU32::new(0);
/// Threads that fork now.
static UNDER_WAY: AtomicU32 = AtomicU32::new(0);
/// How many pairs the fork under way began with: one may be entered meanwhile.
static CALLED: AtomicUsize = AtomicUsize::new(0);

/// Has a pair called around each fork from now on; asking twice is asking once. Pairs asked for later are called earlier before a
/// fork and later after it. This crate's own locks are held inside of all of them. False: there is no room, or the C library
/// refuses.
///
/// May be called from an allocator: where the C library needs memory for it, it asks `malloc`, which finds this done.
pub fn around_fork(pair: &'static AroundFork) -> bool {
    let wanted = core::ptr::from_ref(pair).cast_mut();
    let took = |slot: &AtomicPtr<AroundFork>| {
        let null = core::ptr::null_mut();
        match slot.compare_exchange(null, wanted, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(there) => there == wanted,
        }
    };
    PAIRS.iter().any(took) && enter()
}

/// How often the process has forked since the first question; `None` while it does so, or if the C library refuses to tell. Two equal
/// answers mean that no child began in between. A child that was made past the C library is not seen.
#[inline]
pub(crate) fn forks() -> Option<u32> {
    let entered = ENTERED.load(Ordering::Acquire) == 2 || enter() && ENTERED.load(Ordering::Acquire) == 2;
    // looked at first: a fork that begins after that has counted when it is over
    let quiet = entered && UNDER_WAY.load(Ordering::SeqCst) == 0;
    quiet.then(|| FORKS.load(Ordering::SeqCst))
}

fn enter() -> bool {
    if ENTERED.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_err() {
        return true;
    }
    // SAFETY: three functions of that signature, which live as long as this code does: the C library strikes them out when
    // the library that they are part of is unloaded.
    let entered =
        unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) } == 0;
    ENTERED.store(if entered { 2 } else { 0 }, Ordering::Release);
    entered
}

fn pair(slot: &AtomicPtr<AroundFork>) -> Option<&'static AroundFork> {
    // SAFETY: null, or a static that was put there by `around_fork`.
    unsafe { slot.load(Ordering::Acquire).as_ref() }
}

unsafe extern "C" fn before() {
    UNDER_WAY.fetch_add(1, Ordering::SeqCst);
    let count = PAIRS.iter().take_while(|slot| pair(slot).is_some()).count();
    PAIRS[..count].iter().rev().filter_map(pair).for_each(|pair| (pair.before)());
    crate::region::hold_registry();
    // under the registry's lock, so that a fork on another thread does not come between
    CALLED.store(count, Ordering::Relaxed);
}

unsafe extern "C" fn after_in_parent() {
    after();
    FORKS.fetch_add(1, Ordering::SeqCst);
    UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
}

unsafe extern "C" fn after_in_child() {
    after();
    FORKS.fetch_add(1, Ordering::SeqCst);
    // forks of other threads are not under way here: their threads are not
    UNDER_WAY.store(0, Ordering::SeqCst);
}

fn after() {
    let count = CALLED.load(Ordering::Relaxed).min(MOST);
    // SAFETY: `before` held it on this thread, or on the one that this is the child's copy of.
    unsafe { crate::region::release_registry() };
    PAIRS[..count].iter().filter_map(pair).for_each(|pair| (pair.after)());
}
