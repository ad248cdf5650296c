//! A monitor of memory pressure.
//!
//! One thread waits on the kernel's pressure triggers and on the events of its control groups, for
//! at most one second, and then reads the level. A stall or a limit is reported at once; a machine
//! that fills up is reported within a second. The cost is ten small files per second.

use super::Shrinkable;
use arenite_core::{MemoryPressure, PressureLevel};
use arenite_pages::machine::{PressureReading, available_memory};
use arenite_pages::{CgroupV1Level, PressureError, PressureTrigger, StallKind};
use core::fmt;
use core::time::Duration;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Instant;

/// Time between two readings without a trigger.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Stall time within a window that fires the trigger. Windows of other lengths need a privilege.
const STALL_TIME: Duration = Duration::from_millis(150);
const STALL_WINDOWS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

type OnChange = Arc<dyn Fn(PressureLevel, PressureLevel) + Send + Sync>;
type Source = Box<dyn Fn() -> PressureReading + Send + Sync>;

/// The thread of the monitor could not be started.
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

/// A monitor that reports the pressure level and its changes, and shrinks registered resources.
///
/// The first callback, or [`MemoryMonitor::auto_trim_from`], starts one thread, which runs until
/// the monitor is dropped. Callbacks run on that thread. A callback that panics still receives the
/// next change, and so do the others.
///
/// ```
/// use arenite_core::MemoryPressure;
/// use arenite_observe::MemoryMonitor;
/// let monitor = MemoryMonitor::new();
/// let is_short = monitor.available_memory() < 1 << 20;
/// if is_short || monitor.current_pressure_level() >= MemoryPressure::High {
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

struct State {
    level: PressureLevel,
    on_change: Arc<[OnChange]>,
    registered: Vec<Weak<dyn Shrinkable>>,
    /// Capacity for sorting the registered resources: memory may be short by then.
    shrink_order: Vec<(usize, Arc<dyn Shrinkable>)>,
    /// The lowest level at which registered resources are trimmed automatically.
    auto_trim_from: Option<PressureLevel>,
    started: bool,
    stopped: bool,
    reclaimed_bytes: usize,
}

impl Default for MemoryMonitor {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryMonitor {
    /// Creates a monitor of this machine, its control group and the limits of this process.
    #[must_use]
    pub fn new() -> Self {
        Self::with_source(PressureReading::read, POLL_INTERVAL)
    }

    /// Creates a monitor that reads `source` once per `interval`.
    #[must_use]
    pub fn with_source(
        source: impl Fn() -> PressureReading + Send + Sync + 'static,
        interval: Duration,
    ) -> Self {
        let state = State {
            level: PressureLevel::Normal,
            on_change: Arc::new([]),
            registered: Vec::new(),
            shrink_order: Vec::new(),
            auto_trim_from: None,
            started: false,
            stopped: false,
            reclaimed_bytes: 0,
        };
        let (source, stop) = (Box::new(source), Condvar::new());
        Self { shared: Arc::new(Shared { source, interval, state: Mutex::new(state), stop }) }
    }

    /// Reads the level on the scale of five and reports a change to the callbacks. Opens about ten
    /// files.
    #[must_use]
    pub fn level(&self) -> PressureLevel {
        self.shared.poll()
    }

    /// Reads the level on the scale of four.
    #[must_use]
    pub fn current_pressure_level(&self) -> MemoryPressure {
        self.level().memory_pressure()
    }

    /// Returns the bytes that this process can still allocate before the machine, a control group
    /// or a process limit stops it.
    #[must_use]
    pub fn available_memory(&self) -> u64 {
        available_memory()
    }

    /// Calls `callback` with the old and the new level at every change on the scale of four. The
    /// first callback starts the thread.
    ///
    /// # Errors
    /// [`MonitorError`] if the thread cannot be started; `callback` then receives the changes that
    /// [`MemoryMonitor::level`] finds.
    pub fn on_pressure_change(
        &self,
        callback: impl Fn(MemoryPressure, MemoryPressure) + Send + Sync + 'static,
    ) -> Result<(), MonitorError> {
        self.on_level_change(move |old, new| {
            let (old, new) = (old.memory_pressure(), new.memory_pressure());
            if old != new {
                callback(old, new);
            }
        })
    }

    /// Calls `callback` with the old and the new level at every change on the scale of five.
    ///
    /// # Errors
    /// As [`MemoryMonitor::on_pressure_change`].
    pub fn on_level_change(
        &self,
        callback: impl Fn(PressureLevel, PressureLevel) + Send + Sync + 'static,
    ) -> Result<(), MonitorError> {
        let mut state = self.shared.state();
        let callback: OnChange = Arc::new(callback);
        state.on_change = state.on_change.iter().cloned().chain([callback]).collect();
        drop(state);
        self.start()
    }

    /// Registers a resource that can be shrunk, until its last `Arc` is dropped.
    pub fn register<S: Shrinkable + 'static>(&self, resource: &Arc<S>) {
        let mut state = self.shared.state();
        state.registered.retain(|other| other.strong_count() > 0);
        state.registered.push(Arc::<S>::downgrade(resource));
        let count = state.registered.len();
        state.shrink_order.reserve(count);
    }

    /// Trims registered resources automatically while the level is `level` or higher. Half of the
    /// reclaimable bytes are released at first, and all of them at [`PressureLevel::Critical`].
    ///
    /// # Errors
    /// As [`MemoryMonitor::on_pressure_change`].
    pub fn auto_trim_from(&self, level: PressureLevel) -> Result<(), MonitorError> {
        self.shared.state().auto_trim_from = Some(level);
        self.start()
    }

    /// Returns the bytes that this monitor has reclaimed so far.
    #[must_use]
    pub fn reclaimed_bytes(&self) -> usize {
        self.shared.state().reclaimed_bytes
    }

    /// Shrinks every registered resource as far as possible, the most reclaimable first, and
    /// returns the released bytes.
    pub fn trigger_garbage_collection(&self) -> usize {
        self.shared.shrink(|_| 0)
    }

    fn start(&self) -> Result<(), MonitorError> {
        let mut state = self.shared.state();
        if state.started {
            return Ok(());
        }
        let shared = Arc::downgrade(&self.shared);
        let thread = thread::Builder::new().name("arenite-pressure".to_owned()).stack_size(256 << 10);
        thread.spawn(move || run_loop(&shared)).map_err(MonitorError)?;
        state.started = true;
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
            .field("started", &state.started)
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

    /// Reads the level, shrinks if enabled, and reports a change. No lock is held during callbacks.
    fn poll(&self) -> PressureLevel {
        let Some(reading) = catch_panic(|| (self.source)()) else { return self.state().level };
        let mut state = self.state();
        let old = state.level;
        let new = reading.level_after(old);
        state.level = new;
        let callbacks = (old != new).then(|| Arc::clone(&state.on_change));
        let shrinks = state.auto_trim_from.is_some_and(|from| new >= from);
        drop(state);
        if shrinks {
            let all = new >= PressureLevel::Critical;
            self.shrink(|bytes| if all { 0 } else { bytes / 2 });
        }
        for callback in callbacks.iter().flat_map(|callbacks| &**callbacks) {
            catch_panic(|| callback(old, new));
        }
        new
    }

    /// Shrinks each resource to its bytes in use plus `remaining` of its reclaimable bytes.
    fn shrink(&self, remaining: impl Fn(usize) -> usize) -> usize {
        let reclaimable =
            |resource: &Arc<dyn Shrinkable>| catch_panic(|| resource.reclaimable_bytes()).unwrap_or(0);
        let mut order = {
            let mut state = self.state();
            let mut order = core::mem::take(&mut state.shrink_order);
            // No capacity means that memory is short and another thread shrinks now. That thread
            // handles the resources left out here; the next poll handles the remainder.
            let capacity = order.try_reserve(state.registered.len()).map_or(0, |()| order.capacity());
            let live = state.registered.iter().filter_map(Weak::upgrade);
            order.extend(live.map(|resource| (0, resource)).take(capacity));
            order
        };
        order.iter_mut().for_each(|(bytes, resource)| *bytes = reclaimable(resource));
        // Sorted in place: memory may be short.
        order.sort_unstable_by_key(|&(bytes, _)| core::cmp::Reverse(bytes));
        let shrink = |(bytes, resource): (usize, Arc<dyn Shrinkable>)| {
            let target = || resource.usage().in_use.saturating_add(remaining(bytes));
            if bytes == 0 { 0 } else { catch_panic(|| resource.shrink(target())).unwrap_or(0) }
        };
        let reclaimed = order.drain(..).map(shrink).sum();
        let mut state = self.state();
        state.reclaimed_bytes += reclaimed;
        if state.shrink_order.capacity() < order.capacity() {
            state.shrink_order = order;
        }
        reclaimed
    }

    /// Waits for the next poll and returns whether the monitor was dropped.
    fn wait(&self, triggers: &mut Vec<PressureTrigger>) -> bool {
        let start = Instant::now();
        // The interval may be longer than an `Instant` can hold.
        let left = || self.interval.saturating_sub(start.elapsed());
        while !triggers.is_empty() {
            let left = left();
            if left.is_zero() || self.state().stopped {
                return self.state().stopped;
            }
            // A drop of the monitor does not end this wait, so it is short.
            match PressureTrigger::wait_any(triggers, Some(left.min(POLL_INTERVAL))) {
                Ok(None) => {}
                Ok(Some(_)) => {
                    // A trigger that fires without pause is served ten times per second.
                    thread::sleep(self.interval.min(POLL_INTERVAL) / 10);
                    return self.state().stopped;
                }
                Err(_) => {
                    // The wait may have failed for lack of memory: no immediate retry.
                    thread::sleep(left.min(POLL_INTERVAL));
                    // A removed control group, for example: the other triggers stay.
                    let removed = |trigger: &PressureTrigger| {
                        matches!(trigger.wait(Some(Duration::ZERO)), Err(PressureError::SourceRemoved))
                    };
                    triggers.retain(|trigger| !removed(trigger));
                    // Another trigger may have fired meanwhile.
                    return self.state().stopped;
                }
            }
        }
        let state = self.state();
        let waited = self.stop.wait_timeout_while(state, left(), |state| !state.stopped);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }
}

/// Opens the stall trigger and the events of this process's control groups.
fn open_triggers() -> Vec<PressureTrigger> {
    let mut triggers = PressureTrigger::for_cgroup_events().unwrap_or_default();
    triggers.extend(psi_trigger());
    triggers
}

/// Opens the stall trigger of the service manager, else of the control group, else of the machine.
fn psi_trigger() -> Option<PressureTrigger> {
    if let Ok(Some(trigger)) = PressureTrigger::from_env() {
        return Some(trigger);
    }
    // In a control group of version 1 the stalls of the machine say little about the group.
    PressureTrigger::for_cgroup_v1(CgroupV1Level::Low).ok().or_else(|| {
        STALL_WINDOWS.into_iter().find_map(|window| {
            PressureTrigger::for_cgroup(StallKind::Some, STALL_TIME, window)
                .or_else(|_| PressureTrigger::new(StallKind::Some, STALL_TIME, window))
                .ok()
        })
    })
}

/// Runs a user's function and returns `None` if it panics; the panic message was already printed.
fn catch_panic<T>(callback: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(callback)).ok()
}

fn run_loop(shared: &Weak<Shared>) {
    let mut triggers = open_triggers();
    while let Some(shared) = shared.upgrade() {
        if shared.state().stopped {
            return;
        }
        shared.poll();
        if shared.wait(&mut triggers) {
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
    fn u21_monitor_waits_for_an_interval_of_any_length() {
        let (polled, polls) = mpsc::channel();
        let source = move || {
            polled.send(()).unwrap();
            PressureReading { free: 0.9, some: 0.0, full: 0.0 }
        };
        let monitor = MemoryMonitor::with_source(source, Duration::MAX);
        monitor.on_level_change(|_, _| {}).unwrap();
        polls.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(
            polls.recv_timeout(Duration::from_millis(200)),
            Err(mpsc::RecvTimeoutError::Timeout),
            "the thread runs and waits"
        );
        drop(monitor);
        assert_eq!(
            polls.recv_timeout(Duration::from_secs(10)),
            Err(mpsc::RecvTimeoutError::Disconnected),
            "the thread exits"
        );
    }

    #[test]
    fn u23_monitor_reports_every_change_once_and_in_order() {
        let free = Arc::new(AtomicU32::new(90));
        let monitor = MemoryMonitor::with_source(machine(&free), Duration::from_millis(5));
        let (sender, changes) = mpsc::channel();
        monitor.on_pressure_change(move |old, new| sender.send((old, new)).unwrap()).unwrap();
        let wait = || changes.recv_timeout(Duration::from_secs(10)).unwrap();
        for (now, change) in [
            (20, (MemoryPressure::Low, MemoryPressure::Medium)),
            (3, (MemoryPressure::Medium, MemoryPressure::Critical)),
            (90, (MemoryPressure::Critical, MemoryPressure::Low)),
        ] {
            free.store(now, Relaxed);
            assert_eq!(wait(), change);
        }
        // Within the highest of four levels, the five change and the four do not.
        free.store(3, Relaxed);
        wait();
        free.store(0, Relaxed);
        assert!(changes.recv_timeout(Duration::from_millis(50)).is_err());
        assert_eq!(monitor.level(), PressureLevel::OutOfMemory);
        drop(monitor);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !matches!(changes.try_recv(), Err(mpsc::TryRecvError::Disconnected)) {
            assert!(Instant::now() < deadline, "the thread exits with the monitor");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// A pool that records the order in which it was shrunk.
    struct ShrinkLog(StratifiedMemoryPool, Arc<AtomicUsize>, AtomicUsize);

    impl Shrinkable for ShrinkLog {
        fn usage(&self) -> arenite_core::ResourceState {
            self.0.usage()
        }

        fn shrink(&self, target_held: usize) -> usize {
            self.2.store(self.1.fetch_add(1, Relaxed), Relaxed);
            self.0.shrink(target_held)
        }
    }

    #[test]
    fn u23_monitor_survives_a_callback_that_panics() {
        let free = Arc::new(AtomicU32::new(90));
        let monitor = MemoryMonitor::with_source(machine(&free), Duration::from_millis(5));
        let (sender, changes) = mpsc::channel();
        monitor.on_level_change(|_, _| panic!("injected")).unwrap();
        monitor.on_level_change(move |_, new| sender.send(new).unwrap()).unwrap();
        for (now, level) in [(20, PressureLevel::Elevated), (3, PressureLevel::Critical)] {
            free.store(now, Relaxed);
            assert_eq!(changes.recv_timeout(Duration::from_secs(10)).unwrap(), level);
        }
    }

    #[test]
    fn u25_monitor_shrinks_the_largest_resource_first() {
        let monitor = MemoryMonitor::with_source(machine(&Arc::new(AtomicU32::new(90))), POLL_INTERVAL);
        let order = Arc::new(AtomicUsize::new(1));
        let pools = [1, 3, 2].map(|count| {
            let pool = StratifiedMemoryPool::new("pool");
            let buffers: Vec<_> = (0..count).map(|_| pool.allocate(60_000).unwrap()).collect();
            drop(buffers);
            Arc::new(ShrinkLog(pool, Arc::clone(&order), AtomicUsize::new(0)))
        });
        pools.iter().for_each(|pool| monitor.register(pool));
        monitor.register(&Arc::new(StratifiedMemoryPool::new("dropped at once")));
        assert_eq!(monitor.trigger_garbage_collection(), 6 << 16);
        assert_eq!([0, 1, 2].map(|at: usize| pools[at].2.load(Relaxed)), [3, 1, 2]);
        assert_eq!(monitor.trigger_garbage_collection(), 0);
        assert_eq!(monitor.reclaimed_bytes(), 6 << 16);
    }

    #[test]
    fn u25_monitor_trims_registered_pools_while_pressure_lasts() {
        let free = Arc::new(AtomicU32::new(90));
        let monitor = MemoryMonitor::with_source(machine(&free), Duration::from_millis(5));
        let pool = Arc::new(StratifiedMemoryPool::new("pool"));
        let buffers: Vec<_> = (0..8).map(|_| pool.allocate(60_000).unwrap()).collect();
        let live = pool.allocate(100).unwrap();
        drop(buffers);
        monitor.register(&pool);
        monitor.auto_trim_from(PressureLevel::Warning).unwrap();
        thread::sleep(Duration::from_millis(30));
        assert_eq!(pool.reclaimable_bytes(), 8 << 16, "there is no pressure");
        free.store(3, Relaxed);
        let deadline = Instant::now() + Duration::from_secs(10);
        // This thread's cached buffers reach the pool at its next free.
        while pool.reclaimable_bytes() > 256 {
            assert!(Instant::now() < deadline, "{} bytes are reclaimable", pool.reclaimable_bytes());
            drop(pool.allocate(10).unwrap());
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(live.size(), 100);
    }
}
