//! A monitor of memory pressure.
//!
//! Rests on [`PressureReading`] and on the kernel's triggers. One thread waits: on the triggers that the kernel sets and on the events of
//! its control groups, for a second at most, and reads the level then; so a stall or a limit that is met is heard of at once, and a machine
//! that merely fills up within a second. It costs ten small files a second.

use super::Shrinkable;
use arenite_core::{MemoryPressure, PressureLevel, ResourceState, Trim};
use arenite_pages::machine::{PressureReading, available_memory};
use arenite_pages::{GroupLevel, PressureError, PressureTrigger, StallKind};
use core::fmt;
use core::time::Duration;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Instant;

/// How long the monitor waits before it looks again.
const INTERVAL: Duration = Duration::from_secs(1);
/// What the kernel is asked to wake for: so much waiting within the window. Windows of other lengths want a privilege.
const STALL: Duration = Duration::from_millis(150);
const WINDOWS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

type OnChange = Arc<dyn Fn(PressureLevel, PressureLevel) + Send + Sync>;
type Source = Box<dyn Fn() -> PressureReading + Send + Sync>;

/// The monitor could not start its thread.
#[derive(Debug)]
pub struct MonitorError(io::Error);

impl fmt::Display for MonitorError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("cannot start the thread that watches for memory pressure")
    }
}

impl core::error::Error for MonitorError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Tells how short memory is, calls when that changes, and has whatever is registered give back.
///
/// Nothing runs before somebody wants to hear of changes; then one thread, until the monitor is dropped. Callbacks run on it; one that
/// panics is told of the next change all the same, and so are the others.
///
/// ```
/// use arenite_core::MemoryPressure;
/// use arenite_observe::MemoryMonitor;
/// let monitor = MemoryMonitor::new();
/// if monitor.current_pressure_level() >= MemoryPressure::High || monitor.available_memory() < 1 << 20 {
///     monitor.trigger_garbage_collection();
/// }
/// monitor.on_pressure_change(|old, new| println!("memory pressure: {old} to {new}"))?;
/// # Ok::<(), arenite_observe::MonitorError>(())
/// ```
pub struct MemoryMonitor {
    shared: Arc<Shared>,
}

struct Shared {
    source: Source,
    interval: Duration,
    state: Mutex<State>,
    stop: Condvar,
}

/// What says by a function what it holds.
struct Told<T> {
    what: Weak<T>,
    figures: fn(&T) -> ResourceState,
}

impl<T: Trim + Send + Sync> Shrinkable for Told<T> {
    fn figures(&self) -> ResourceState {
        self.what.upgrade().map_or_else(ResourceState::default, |what| (self.figures)(&what))
    }

    fn shrink(&self, target_held: usize) -> usize {
        self.what.upgrade().map_or(0, |what| what.trim(target_held))
    }
}

struct State {
    level: PressureLevel,
    on_change: Arc<[OnChange]>,
    registered: Vec<Weak<dyn Shrinkable>>,
    /// Room for all of them when they are put in order: there may be no memory for it then.
    order: Vec<(usize, Arc<dyn Shrinkable>)>,
    /// Of what lends no blocks.
    told: Vec<Arc<dyn Shrinkable>>,
    /// From which level on what is registered is shrunk by itself.
    shrink_from: Option<PressureLevel>,
    watching: bool,
    stopped: bool,
    given_back: usize,
}

impl Default for MemoryMonitor {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryMonitor {
    /// A monitor of this machine, its control group and the limits of this process.
    #[must_use]
    pub fn new() -> Self {
        Self::reading(PressureReading::read, INTERVAL)
    }

    /// A monitor of what `source` says, asked once in each `interval`.
    #[must_use]
    pub fn reading(source: impl Fn() -> PressureReading + Send + Sync + 'static, interval: Duration) -> Self {
        let state = State {
            level: PressureLevel::Normal,
            on_change: Arc::new([]),
            registered: Vec::new(),
            order: Vec::new(),
            told: Vec::new(),
            shrink_from: None,
            watching: false,
            stopped: false,
            given_back: 0,
        };
        let (source, stop) = (Box::new(source), Condvar::new());
        Self { shared: Arc::new(Shared { source, interval, state: Mutex::new(state), stop }) }
    }

    /// The level now, on the scale of five. Opens about ten files. Callbacks hear of a change.
    #[must_use]
    pub fn level(&self) -> PressureLevel {
        self.shared.look()
    }

    /// The level now, on the scale of four.
    #[must_use]
    pub fn current_pressure_level(&self) -> MemoryPressure {
        self.level().memory_pressure()
    }

    /// Bytes that this process may still take before the machine, a control group or a limit of its own stops it.
    #[must_use]
    pub fn available_memory(&self) -> u64 {
        available_memory()
    }

    /// Has `call` told of every change of the level of four: what it was, and what it is. The first call starts the thread.
    ///
    /// # Errors
    /// [`MonitorError`] where no thread can be had; `call` then hears of changes that [`MemoryMonitor::level`] finds.
    pub fn on_pressure_change(
        &self,
        call: impl Fn(MemoryPressure, MemoryPressure) + Send + Sync + 'static,
    ) -> Result<(), MonitorError> {
        self.on_level_change(move |old, new| {
            let (old, new) = (old.memory_pressure(), new.memory_pressure());
            if old != new {
                call(old, new);
            }
        })
    }

    /// The same for the level of five.
    ///
    /// # Errors
    /// As [`MemoryMonitor::on_pressure_change`].
    pub fn on_level_change(
        &self,
        call: impl Fn(PressureLevel, PressureLevel) + Send + Sync + 'static,
    ) -> Result<(), MonitorError> {
        let mut state = self.shared.state();
        let call: OnChange = Arc::new(call);
        state.on_change = state.on_change.iter().cloned().chain([call]).collect();
        drop(state);
        self.watch()
    }

    /// Registers something that can give back; it is forgotten when its last `Arc` goes.
    pub fn register<S: Shrinkable + 'static>(&self, what: &Arc<S>) {
        self.enter(Arc::<S>::clone(what));
    }

    /// The same for what lends no blocks, and says by `figures` what it uses and holds: a cache of the program's own.
    /// It is there until the monitor goes, or [`MemoryMonitor::forget`] is called with the number that this returns.
    pub fn register_with<T: Trim + Send + Sync + 'static>(
        &self,
        what: &Arc<T>,
        figures: fn(&T) -> ResourceState,
    ) -> usize {
        let entry: Arc<dyn Shrinkable> = Arc::new(Told { what: Arc::downgrade(what), figures });
        let number = Arc::as_ptr(&entry).addr();
        self.shared.state().told.push(Arc::clone(&entry));
        self.enter(entry);
        number
    }

    /// Forgets what [`MemoryMonitor::register_with`] registered.
    pub fn forget(&self, number: usize) {
        self.shared.state().told.retain(|entry| Arc::as_ptr(entry).addr() != number);
    }

    fn enter(&self, what: Arc<dyn Shrinkable>) {
        let mut state = self.shared.state();
        state.registered.retain(|other| other.strong_count() > 0);
        state.registered.push(Arc::downgrade(&what));
        let count = state.registered.len();
        state.order.reserve(count);
    }

    /// Shrinks what is registered by itself, for as long as the level is `level` or higher: at first half of what each holds for
    /// nobody, at [`PressureLevel::Critical`] all of it.
    ///
    /// # Errors
    /// As [`MemoryMonitor::on_pressure_change`].
    pub fn shrink_from(&self, level: PressureLevel) -> Result<(), MonitorError> {
        self.shared.state().shrink_from = Some(level);
        self.watch()
    }

    /// Bytes that this monitor had others give back so far.
    #[must_use]
    pub fn given_back(&self) -> usize {
        self.shared.state().given_back
    }

    /// Has everything that is registered give back all that it can, the largest idle first; returns the bytes.
    pub fn trigger_garbage_collection(&self) -> usize {
        self.shared.shrink(|_| 0)
    }

    fn watch(&self) -> Result<(), MonitorError> {
        let mut state = self.shared.state();
        if state.watching {
            return Ok(());
        }
        let shared = Arc::downgrade(&self.shared);
        let thread = thread::Builder::new().name("arenite-pressure".to_owned()).stack_size(256 << 10);
        thread.spawn(move || watch(&shared)).map_err(MonitorError)?;
        state.watching = true;
        drop(state);
        Ok(())
    }
}

impl fmt::Debug for MemoryMonitor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        out.debug_struct("MemoryMonitor")
            .field("level", &state.level)
            .field("registered", &state.registered.len())
            .field("watching", &state.watching)
            .finish_non_exhaustive()
    }
}

impl Drop for MemoryMonitor {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        self.shared.stop.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the level, shrinks where that is wanted, and tells of a change. No lock is held while others' code runs.
    fn look(&self) -> PressureLevel {
        let Some(reading) = apart(|| (self.source)()) else { return self.state().level };
        let mut state = self.state();
        let old = state.level;
        let new = reading.level_after(old);
        state.level = new;
        let calls = (old != new).then(|| Arc::clone(&state.on_change));
        let shrinks = state.shrink_from.is_some_and(|from| new >= from);
        drop(state);
        if shrinks {
            let all = new >= PressureLevel::Critical;
            self.shrink(|idle| if all { 0 } else { idle / 2 });
        }
        for call in calls.iter().flat_map(|calls| &**calls) {
            apart(|| call(old, new));
        }
        new
    }

    /// Shrinks each to what it has in use and `keep` of its idle bytes.
    fn shrink(&self, keep: impl Fn(usize) -> usize) -> usize {
        let idle = |what: &Arc<dyn Shrinkable>| apart(|| what.idle()).unwrap_or(0);
        let mut order = {
            let mut state = self.state();
            let mut order = core::mem::take(&mut state.order);
            // no room: another thread shrinks at this moment, and there is no memory. Who is left out, that one has; what it
            // leaves them is for the next look
            let room = order.try_reserve(state.registered.len()).map_or(0, |()| order.capacity());
            order.extend(state.registered.iter().filter_map(Weak::upgrade).map(|what| (0, what)).take(room));
            order
        };
        order.iter_mut().for_each(|(bytes, what)| *bytes = idle(what));
        // in place, as there may be no memory
        order.sort_unstable_by_key(|&(idle, _)| core::cmp::Reverse(idle));
        let shrink = |(idle, what): (usize, Arc<dyn Shrinkable>)| {
            let target = || what.figures().in_use.saturating_add(keep(idle));
            if idle == 0 { 0 } else { apart(|| what.shrink(target())).unwrap_or(0) }
        };
        let gone = order.drain(..).map(shrink).sum();
        let mut state = self.state();
        state.given_back += gone;
        if state.order.capacity() < order.capacity() {
            state.order = order;
        }
        gone
    }

    /// Waits for the next look; true: the monitor is gone.
    fn rest(&self, triggers: &mut Vec<PressureTrigger>) -> bool {
        let began = Instant::now();
        // an interval may be longer than any time there is
        let left = || self.interval.saturating_sub(began.elapsed());
        while !triggers.is_empty() {
            let left = left();
            if left.is_zero() || self.state().stopped {
                return self.state().stopped;
            }
            // nobody wakes this wait when the monitor goes
            match PressureTrigger::wait_any(triggers, Some(left.min(INTERVAL))) {
                Ok(None) => {}
                Ok(Some(_)) => {
                    // one that fires all the time is looked at ten times a second
                    thread::sleep(self.interval.min(INTERVAL) / 10);
                    return self.state().stopped;
                }
                Err(_) => {
                    // there may be no memory for the wait: not again at once
                    thread::sleep(left.min(INTERVAL));
                    // as when a control group is removed: the others are waited for
                    let gone = |trigger: &PressureTrigger| {
                        matches!(trigger.wait(Some(Duration::ZERO)), Err(PressureError::Gone))
                    };
                    triggers.retain(|trigger| !gone(trigger));
                    // one may have fired meanwhile
                    return self.state().stopped;
                }
            }
        }
        let state = self.state();
        let waited = self.stop.wait_timeout_while(state, left(), |state| !state.stopped);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }
}

/// What a service manager says, else the kernel's own, of this process's control group or of the machine; and what its control groups
/// tell of their limits.
fn triggers() -> Vec<PressureTrigger> {
    let mut triggers = PressureTrigger::of_cgroup_events().unwrap_or_default();
    triggers.extend(stalls());
    triggers
}

/// The one that tells of tasks that wait for memory.
fn stalls() -> Option<PressureTrigger> {
    if let Ok(Some(trigger)) = PressureTrigger::of_environment() {
        return Some(trigger);
    }
    // in a group of version 1 the machine's stalls say little of the group
    PressureTrigger::of_cgroup_v1(GroupLevel::Low).ok().or_else(|| {
        WINDOWS.into_iter().find_map(|window| {
            PressureTrigger::of_cgroup(StallKind::Some, STALL, window)
                .or_else(|_| PressureTrigger::new(StallKind::Some, STALL, window))
                .ok()
        })
    })
}

/// Runs what others wrote; a panic of theirs ends that and not the monitor. The panic's own message was printed.
fn apart<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

fn watch(shared: &Weak<Shared>) {
    let mut triggers = triggers();
    while let Some(shared) = shared.upgrade() {
        if shared.state().stopped {
            return;
        }
        shared.look();
        if shared.rest(&mut triggers) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arenite_alloc::StratifiedMemoryPool;
    use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
    use std::sync::mpsc;
    use std::time::Instant;

    fn machine(free: &Arc<AtomicU32>) -> impl Fn() -> PressureReading + Send + Sync + 'static {
        let free = Arc::clone(free);
        move || PressureReading { free: f64::from(free.load(Relaxed)) / 100.0, some: 0.0, full: 0.0 }
    }

    #[test]
    fn u21_an_interval_of_any_length_is_waited_for() {
        let (look, looked) = mpsc::channel();
        let source = move || {
            look.send(()).unwrap();
            PressureReading { free: 0.9, some: 0.0, full: 0.0 }
        };
        let monitor = MemoryMonitor::reading(source, Duration::MAX);
        monitor.on_level_change(|_, _| {}).unwrap();
        looked.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(
            looked.recv_timeout(Duration::from_millis(200)),
            Err(mpsc::RecvTimeoutError::Timeout),
            "its thread is there, and waits"
        );
        drop(monitor);
        assert_eq!(
            looked.recv_timeout(Duration::from_secs(10)),
            Err(mpsc::RecvTimeoutError::Disconnected),
            "and goes"
        );
    }

    #[test]
    fn u23_every_change_is_told_once_and_in_order() {
        let free = Arc::new(AtomicU32::new(90));
        let monitor = MemoryMonitor::reading(machine(&free), Duration::from_millis(5));
        let (tell, told) = mpsc::channel();
        monitor.on_pressure_change(move |old, new| tell.send((old, new)).unwrap()).unwrap();
        let wait = || told.recv_timeout(Duration::from_secs(10)).unwrap();
        for (now, change) in [
            (20, (MemoryPressure::Low, MemoryPressure::Medium)),
            (3, (MemoryPressure::Medium, MemoryPressure::Critical)),
            (90, (MemoryPressure::Critical, MemoryPressure::Low)),
        ] {
            free.store(now, Relaxed);
            assert_eq!(wait(), change);
        }
        // within the highest of four, the five change and the four do not
        free.store(3, Relaxed);
        wait();
        free.store(0, Relaxed);
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        assert_eq!(monitor.level(), PressureLevel::OutOfMemory);
        drop(monitor);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !matches!(told.try_recv(), Err(mpsc::TryRecvError::Disconnected)) {
            assert!(Instant::now() < deadline, "the thread goes with the monitor");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Says in which order it was asked.
    struct Noted(StratifiedMemoryPool, Arc<AtomicUsize>, AtomicUsize);

    impl Shrinkable for Noted {
        fn figures(&self) -> arenite_core::ResourceState {
            self.0.figures()
        }

        fn shrink(&self, target_held: usize) -> usize {
            self.2.store(self.1.fetch_add(1, Relaxed), Relaxed);
            self.0.shrink(target_held)
        }
    }

    #[test]
    fn u23_a_callback_that_panics_ends_neither_the_others_nor_the_monitor() {
        let free = Arc::new(AtomicU32::new(90));
        let monitor = MemoryMonitor::reading(machine(&free), Duration::from_millis(5));
        let (tell, told) = mpsc::channel();
        monitor.on_level_change(|_, _| panic!("of a test")).unwrap();
        monitor.on_level_change(move |_, new| tell.send(new).unwrap()).unwrap();
        for (now, level) in [(20, PressureLevel::Elevated), (3, PressureLevel::Critical)] {
            free.store(now, Relaxed);
            assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), level);
        }
    }

    #[test]
    fn u25_everything_registered_gives_back_the_largest_first() {
        let monitor = MemoryMonitor::reading(machine(&Arc::new(AtomicU32::new(90))), INTERVAL);
        let order = Arc::new(AtomicUsize::new(1));
        let pools = [1, 3, 2].map(|buffers| {
            let pool = StratifiedMemoryPool::new("pool");
            let taken: Vec<_> = (0..buffers).map(|_| pool.allocate(60_000).unwrap()).collect();
            drop(taken);
            Arc::new(Noted(pool, Arc::clone(&order), AtomicUsize::new(0)))
        });
        pools.iter().for_each(|pool| monitor.register(pool));
        monitor.register(&Arc::new(StratifiedMemoryPool::new("gone at once")));
        assert_eq!(monitor.trigger_garbage_collection(), 6 << 16);
        assert_eq!([0, 1, 2].map(|at: usize| pools[at].2.load(Relaxed)), [3, 1, 2]);
        assert_eq!(monitor.trigger_garbage_collection(), 0);
    }

    #[test]
    fn u25_pools_shrink_by_themselves_while_pressure_lasts() {
        let free = Arc::new(AtomicU32::new(90));
        let monitor = MemoryMonitor::reading(machine(&free), Duration::from_millis(5));
        let pool = Arc::new(StratifiedMemoryPool::new("pool"));
        let taken: Vec<_> = (0..8).map(|_| pool.allocate(60_000).unwrap()).collect();
        let kept = pool.allocate(100).unwrap();
        drop(taken);
        monitor.register(&pool);
        monitor.shrink_from(PressureLevel::Warning).unwrap();
        thread::sleep(Duration::from_millis(30));
        assert_eq!(pool.idle(), 8 << 16, "there is no pressure");
        free.store(3, Relaxed);
        let deadline = Instant::now() + Duration::from_secs(10);
        // what this thread keeps it hands in when it next frees something
        while pool.idle() > 256 {
            assert!(Instant::now() < deadline, "{} idle", pool.idle());
            drop(pool.allocate(10).unwrap());
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(kept.size(), 100);
    }
}
