//! Atomics with a scheduling point before each access (`--cfg shuttle`).
//!
//! They have the size and the zero value of the standard atomics, which shuttle's own atomics have
//! not. A heap's atomics lie in memory that the system provides as zeroes.

use arenite_pages::yield_point;
use core::sync::atomic::{self, Ordering};

macro_rules! with_yield_point {
    ($($name:ident $value:ty { $($method:ident($($argument:ident: $type:ty),*) -> $result:ty;)* })*) => {$(
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub(crate) struct $name(atomic::$name);

        #[allow(dead_code, reason = "one set of methods for each width")]
        impl $name {
            pub(crate) const fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }
            $(pub(crate) fn $method(&self, $($argument: $type),*) -> $result {
                yield_point();
                self.0.$method($($argument),*)
            })*
        }
    )*};
}

macro_rules! numbers {
    ($($name:ident $value:ty)*) => {
        with_yield_point! {$(
            $name $value {
            load(order: Ordering) -> $value;
            store(value: $value, order: Ordering) -> ();
            swap(value: $value, order: Ordering) -> $value;
            fetch_add(value: $value, order: Ordering) -> $value;
            fetch_sub(value: $value, order: Ordering) -> $value;
            fetch_max(value: $value, order: Ordering) -> $value;
            fetch_or(value: $value, order: Ordering) -> $value;
            fetch_and(value: $value, order: Ordering) -> $value;
            compare_exchange(old: $value, new: $value, yes: Ordering, no: Ordering) -> Result<$value, $value>;
            compare_exchange_weak(old: $value, new: $value, yes: Ordering, no: Ordering) -> Result<$value, $value>;
            fetch_update(yes: Ordering, no: Ordering, change: impl FnMut($value) -> Option<$value>) -> Result<$value, $value>;
            }
        )*}
    };
}

numbers! { AtomicU32 u32 AtomicU64 u64 AtomicUsize usize }

/// A pointer with a scheduling point before each access.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct AtomicPtr<T>(atomic::AtomicPtr<T>);

impl<T> AtomicPtr<T> {
    pub(crate) const fn new(value: *mut T) -> Self {
        Self(atomic::AtomicPtr::new(value))
    }

    pub(crate) fn get_mut(&mut self) -> &mut *mut T {
        self.0.get_mut()
    }

    pub(crate) fn load(&self, order: Ordering) -> *mut T {
        yield_point();
        self.0.load(order)
    }

    pub(crate) fn store(&self, value: *mut T, order: Ordering) {
        yield_point();
        self.0.store(value, order);
    }

    pub(crate) fn compare_exchange(
        &self,
        old: *mut T,
        new: *mut T,
        yes: Ordering,
        no: Ordering,
    ) -> Result<*mut T, *mut T> {
        yield_point();
        self.0.compare_exchange(old, new, yes, no)
    }
}
