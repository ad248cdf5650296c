//! Programs that safe code must not be able to compile, each beside a variant that does.
//!
//! The programs run as documentation tests. A variant differs only in the offending line, so the
//! other program fails for the reason in its heading.
//!
//! # A value does not leave its scope
//! ```
//! let mut arena = arenite_alloc::Arena::new();
//! let seven = arena.scope(|scope| {
//!     let seven = scope.alloc(7).unwrap();
//!     *seven
//! });
//! assert_eq!(seven, 7);
//! ```
//! ```compile_fail
//! let mut arena = arenite_alloc::Arena::new();
//! let seven = arena.scope(|scope| {
//!     let seven = scope.alloc(7).unwrap();
//!     seven
//! });
//! assert_eq!(*seven, 7);
//! ```
//!
//! # A value does not leave its scope through an outer variable
//! ```
//! let mut arena = arenite_alloc::Arena::new();
//! let mut found = None;
//! arena.scope(|scope| {
//!     let seven = scope.alloc(7).unwrap();
//!     found = Some(*seven);
//! });
//! assert_eq!(found, Some(7));
//! ```
//! ```compile_fail
//! let mut arena = arenite_alloc::Arena::new();
//! let mut found = None;
//! arena.scope(|scope| {
//!     let seven = scope.alloc(7).unwrap();
//!     found = Some(seven);
//! });
//! assert_eq!(found.as_deref(), Some(&7));
//! ```
//!
//! # An inner value does not go into an outer container
//! ```
//! use allocator_api2::vec::Vec;
//! let mut arena = arenite_alloc::Arena::new();
//! arena.scope(|outer| {
//!     let mut kept = outer.alloc(None).unwrap();
//!     outer.scope(|inner| {
//!         let seven = inner.alloc(7).unwrap();
//!         *kept = Some(*seven);
//!     });
//!     assert!(kept.is_some());
//! });
//! ```
//! ```compile_fail
//! use allocator_api2::vec::Vec;
//! let mut arena = arenite_alloc::Arena::new();
//! arena.scope(|outer| {
//!     let mut kept = outer.alloc(None).unwrap();
//!     outer.scope(|inner| {
//!         let seven = inner.alloc(7).unwrap();
//!         *kept = Some(seven);
//!     });
//!     assert!(kept.is_some());
//! });
//! ```
//!
//! # An outer scope does not allocate while an inner one is open
//! The end of the inner scope would free the allocation.
//! ```
//! let mut arena = arenite_alloc::Arena::new();
//! arena.scope(|outer| {
//!     outer.scope(|inner| {
//!         let _seven = inner.alloc(7).unwrap();
//!     });
//! });
//! ```
//! ```compile_fail
//! let mut arena = arenite_alloc::Arena::new();
//! arena.scope(|outer| {
//!     outer.scope(|inner| {
//!         let _seven = outer.alloc(7).unwrap();
//!     });
//! });
//! ```
//!
//! # The scope of an outer guard does not allocate while an inner one is open
//! ```
//! let mut arena = arenite_alloc::Arena::new();
//! let mut guard = arena.scope_guard();
//! let mut outer = guard.scope();
//! let mut inner_guard = outer.scope_guard();
//! let seven = inner_guard.scope().alloc(7).unwrap();
//! drop(seven);
//! drop(inner_guard);
//! ```
//! ```compile_fail
//! let mut arena = arenite_alloc::Arena::new();
//! let mut guard = arena.scope_guard();
//! let mut outer = guard.scope();
//! let mut inner_guard = outer.scope_guard();
//! let seven = outer.alloc(7).unwrap();
//! drop(seven);
//! drop(inner_guard);
//! ```
//!
//! # A value does not outlive the guard of its scope
//! ```
//! let mut arena = arenite_alloc::Arena::new();
//! let mut guard = arena.scope_guard();
//! let text = guard.scope().alloc_str("text").unwrap();
//! assert_eq!(text, "text");
//! drop(guard);
//! ```
//! ```compile_fail,E0505
//! let mut arena = arenite_alloc::Arena::new();
//! let mut guard = arena.scope_guard();
//! let text = guard.scope().alloc_str("text").unwrap();
//! drop(guard);
//! assert_eq!(text, "text");
//! ```
//!
//! # Guards of one arena cannot be swapped
//! ```
//! let (mut one, mut two) = (arenite_alloc::Arena::new(), arenite_alloc::Arena::new());
//! let (mut a, mut b) = (one.scope_guard(), two.scope_guard());
//! std::mem::swap(&mut a, &mut b);
//! ```
//! ```compile_fail,E0499
//! let mut one = arenite_alloc::Arena::new();
//! let (mut a, mut b) = (one.scope_guard(), one.scope_guard());
//! std::mem::swap(&mut a, &mut b);
//! ```
//!
//! # An inner and an outer scope cannot be swapped
//! ```
//! use arenite_alloc::{Arena, ArenaScope};
//! let (mut one, mut two) = (Arena::new(), Arena::new());
//! fn swap<'s>(one: &mut ArenaScope<'s>, two: &mut ArenaScope<'s>) {
//!     std::mem::swap(one, two);
//! }
//! let (mut a, mut b) = (one.scope_guard(), two.scope_guard());
//! swap(&mut a.scope(), &mut b.scope());
//! ```
//! ```compile_fail
//! use arenite_alloc::{Arena, ArenaScope};
//! let mut one = Arena::new();
//! fn swap<'s>(one: &mut ArenaScope<'s>, two: &mut ArenaScope<'s>) {
//!     std::mem::swap(one, two);
//! }
//! one.scope(|outer| outer.scope(|inner| swap(outer, inner)));
//! ```
//!
//! # A container does not outlive its scope
//! ```
//! use allocator_api2::vec::Vec;
//! let mut arena = arenite_alloc::Arena::new();
//! arena.scope(|scope| {
//!     let mut values = Vec::new_in(&*scope);
//!     values.push(7);
//! });
//! ```
//! ```compile_fail
//! use allocator_api2::vec::Vec;
//! let mut arena = arenite_alloc::Arena::new();
//! let mut kept = None;
//! arena.scope(|scope| {
//!     let mut values = Vec::new_in(&*scope);
//!     values.push(7);
//!     kept = Some(values);
//! });
//! ```
//!
//! # An inner scope does not open while an outer container may still grow
//! ```
//! use allocator_api2::vec::Vec;
//! let mut arena = arenite_alloc::Arena::new();
//! arena.scope(|scope| {
//!     let mut values = Vec::new_in(&*scope);
//!     values.push(7);
//!     drop(values);
//!     scope.scope(|inner| inner.alloc(8).map(drop).unwrap());
//! });
//! ```
//! ```compile_fail,E0502
//! use allocator_api2::vec::Vec;
//! let mut arena = arenite_alloc::Arena::new();
//! arena.scope(|scope| {
//!     let mut values = Vec::new_in(&*scope);
//!     values.push(7);
//!     scope.scope(|inner| inner.alloc(8).map(drop).unwrap());
//!     drop(values);
//! });
//! ```
//!
//! # No reference survives a reset
//! ```
//! let mut arena = arenite_alloc::Arena::new();
//! let values = arena.alloc_slice_copy(&[1, 2, 3]).unwrap();
//! assert_eq!(values[0], 1);
//! arena.reset();
//! ```
//! ```compile_fail,E0502
//! let mut arena = arenite_alloc::Arena::new();
//! let values = arena.alloc_slice_copy(&[1, 2, 3]).unwrap();
//! arena.reset();
//! assert_eq!(values[0], 1);
//! ```
//!
//! # No reference survives a `restore_mut`
//! ```
//! let mut arena = arenite_alloc::Arena::new();
//! let mark = arena.mark().unwrap();
//! let value = arena.alloc_with_drop(String::from("text")).unwrap();
//! value.push('!');
//! arena.restore_mut(mark).unwrap();
//! ```
//! ```compile_fail,E0502
//! let mut arena = arenite_alloc::Arena::new();
//! let mark = arena.mark().unwrap();
//! let value = arena.alloc_with_drop(String::from("text")).unwrap();
//! arena.restore_mut(mark).unwrap();
//! value.push('!');
//! ```
//!
//! # No reference survives the arena
//! ```
//! let arena = arenite_alloc::Arena::new();
//! let value = arena.alloc(7).unwrap();
//! assert_eq!(*value, 7);
//! drop(value);
//! drop(arena);
//! ```
//! ```compile_fail,E0505
//! let arena = arenite_alloc::Arena::new();
//! let value = arena.alloc(7).unwrap();
//! drop(arena);
//! assert_eq!(*value, 7);
//! ```
//!
//! # A scope is exclusive
//! ```
//! let mut arena = arenite_alloc::Arena::new();
//! let before = arena.alloc(7).unwrap();
//! drop(before);
//! arena.scope(|_| ());
//! ```
//! ```compile_fail,E0502
//! let mut arena = arenite_alloc::Arena::new();
//! let before = arena.alloc(7).unwrap();
//! arena.scope(|_| ());
//! drop(before);
//! ```
//!
//! # A local arena is not shared between threads
//! ```
//! let arena = arenite_alloc::SharedArena::new();
//! std::thread::scope(|threads| {
//!     threads.spawn(|| arena.alloc(7).map(drop).unwrap());
//! });
//! ```
//! ```compile_fail,E0277
//! let arena = arenite_alloc::Arena::new();
//! std::thread::scope(|threads| {
//!     threads.spawn(|| arena.alloc(7).map(drop).unwrap());
//! });
//! ```
//!
//! # A local handle is not shared between threads
//! ```
//! use arenite_alloc::{SharedArena, SharedHandle};
//! let arena = SharedHandle::new(SharedArena::new());
//! let other = arena.clone();
//! std::thread::spawn(move || drop(other)).join().unwrap();
//! ```
//! ```compile_fail,E0277
//! use arenite_alloc::{Arena, LocalHandle};
//! let arena = LocalHandle::new(Arena::new());
//! let other = arena.clone();
//! std::thread::spawn(move || drop(other)).join().unwrap();
//! ```
//!
//! # Neither a local pool nor a container in a local arena is shared between threads
//! ```
//! use arenite_alloc::SharedPool;
//! let pool = SharedPool::new(64, 4).unwrap();
//! std::thread::scope(|threads| {
//!     threads.spawn(|| drop(allocator_api2::boxed::Box::new_in(7, &pool)));
//! });
//! ```
//! ```compile_fail,E0277
//! use arenite_alloc::Pool;
//! let pool = Pool::new(64, 4).unwrap();
//! std::thread::scope(|threads| {
//!     threads.spawn(|| drop(allocator_api2::boxed::Box::new_in(7, &pool)));
//! });
//! ```
//! ```compile_fail,E0277
//! let arena = arenite_alloc::Arena::new();
//! let values = allocator_api2::vec::Vec::<u8, _>::new_in(&arena);
//! std::thread::scope(|threads| {
//!     threads.spawn(move || drop(values));
//! });
//! ```
//!
//! # An arena moves to another thread with all its values, if those may
//! ```
//! let arena = arenite_alloc::Arena::new();
//! let _adopted = arena.alloc_with_drop(vec![7]).unwrap();
//! std::thread::spawn(move || drop(arena)).join().unwrap();
//! ```
//! ```compile_fail,E0277
//! let arena = arenite_alloc::Arena::new();
//! let _adopted = arena.alloc_with_drop(std::rc::Rc::new(7)).unwrap();
//! std::thread::spawn(move || drop(arena)).join().unwrap();
//! ```
//!
//! # An adopted value borrows nothing
//! Its destructor could run after the borrowed value was dropped.
//! ```
//! let arena = arenite_alloc::Arena::new();
//! let text = String::from("text");
//! let _adopted = arena.alloc_with_drop(text.clone()).unwrap();
//! ```
//! ```compile_fail,E0597
//! let arena = arenite_alloc::Arena::new();
//! let text = String::from("text");
//! let _adopted = arena.alloc_with_drop(&*text).unwrap();
//! ```
//!
//! # A unique handle may reset, one of two may not
//! ```
//! use arenite_alloc::{Arena, LocalHandle};
//! let mut arena = LocalHandle::new(Arena::new());
//! arena.get_mut().unwrap().reset();
//! let second = arena.clone();
//! assert!(arena.get_mut().is_none());
//! drop(second);
//! ```
//! ```compile_fail,E0596
//! use arenite_alloc::{Arena, LocalHandle};
//! let mut arena = LocalHandle::new(Arena::new());
//! arena.reset();
//! ```
//!
//! # A fallback owns its first resource
//! If the second resource used the first one too, its blocks would be freed as blocks of the
//! first.
//! ```
//! use arenite_alloc::{Fallback, Global, Pool};
//! let pool = Pool::new(64, 4).unwrap();
//! let _both = Fallback::new(pool, Global);
//! ```
//! ```compile_fail,E0277
//! use arenite_alloc::{Fallback, Global, Pool};
//! let pool = Pool::new(64, 4).unwrap();
//! let _both = Fallback::new(&pool, Global);
//! ```
