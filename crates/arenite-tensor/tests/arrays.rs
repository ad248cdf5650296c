//! Tests of arrays as a user writes them, and of failures of memory and shapes.
#![expect(unsafe_code, reason = "implements a resource with a limit")]

use arenite_core::{AllocError, AllocErrorKind, Label, Resource, ResourceState};
use arenite_tensor::{Array, ArrayError, Element, Global, MemoryLayout, Operation, Shape};
use core::alloc::Layout;
use core::ptr::NonNull;
use half::{bf16, f16};
use std::cell::Cell;
use std::rc::Rc;

/// A resource that allocates `left` more blocks from the global allocator, filled with garbage,
/// and then fails.
#[derive(Debug, Default)]
struct CountedResource {
    left: Cell<usize>,
    live: Cell<usize>,
}

// SAFETY: the blocks are those of `Global`.
unsafe impl Resource for CountedResource {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(AllocError::new(
                AllocErrorKind::LimitReached,
                layout,
                self.state(),
                Label::new("counted"),
            ));
        };
        self.left.set(left);
        self.live.set(self.live.get() + 1);
        let block = Global.allocate(layout)?;
        // SAFETY: the block is new and valid for writes of its length.
        unsafe { block.cast::<u8>().write_bytes(0xff, block.len()) };
        Ok(block)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        self.live.set(self.live.get() - 1);
        // SAFETY: the caller's promise, and the block came from `Global`.
        unsafe { Global.deallocate(block, layout) }
    }

    fn state(&self) -> ResourceState {
        ResourceState { live_blocks: self.live.get(), ..ResourceState::default() }
    }
}

fn counted(left: usize) -> CountedResource {
    CountedResource { left: Cell::new(left), live: Cell::new(0) }
}

#[test]
fn u06_the_document_example_compiles_as_written() -> Result<(), Box<dyn std::error::Error>> {
    fn matrix_operations<R: Resource + Clone>(arena: R) -> Result<Array<f64>, Box<dyn std::error::Error>> {
        let temp1 = Array::with_allocator(&arena).zeros([1000, 1000])?;
        let temp2 = Array::with_allocator(&arena).ones([1000, 1000])?;
        let temp3 = temp1.add(&temp2)?;
        let result = Array::from(&temp3);
        Ok(result)
    }
    let arena = counted(3);
    let result = matrix_operations(&arena)?;
    assert_eq!(result[[999, 999]], 1.0);
    assert_eq!((arena.live.get(), arena.left.get()), (0, 0));
    Ok(())
}

#[test]
fn u06_an_array_is_written_by_index_as_the_document_does() -> Result<(), ArrayError> {
    let arena = counted(1);
    let mut array = Array::with_allocator(&arena).zeros([100, 100])?;
    array[[10, 99]] = 42.0;
    assert_eq!(array.sum(), 42.0);
    assert_eq!(array.memory_usage(), 80_000);
    Ok(())
}

#[test]
fn u07_the_product_of_the_document_compiles_as_written() -> Result<(), Box<dyn std::error::Error>> {
    fn matrix_multiplication_algorithm() -> Result<Array<f64>, Box<dyn std::error::Error>> {
        let a = Array::random([100, 100])?;
        let b = Array::random([100, 100])?;
        Ok(a.matmul(&b)?)
    }
    let product = matrix_multiplication_algorithm()?;
    assert!(product.mean().is_some_and(|mean| (20.0..30.0).contains(&mean)));
    let arrays: Vec<Array<f64>> = (0..10).map(|_| Array::zeros([10, 10])).collect::<Result<_, _>>()?;
    assert_eq!(arrays.len(), 10);
    Ok(())
}

#[test]
fn u06_arrays_live_in_any_handle() -> Result<(), ArrayError> {
    let (counter, shared, boxed) =
        (Rc::new(counted(9)), &counted(9), Box::new(counted(9)) as Box<dyn Resource>);
    let counted_array = Array::<f32, _>::zeros_in_any(Rc::clone(&counter))?;
    assert_eq!(counter.live.get(), 1);
    let other = Array::with_allocator(shared).full([2, 2], 3.0_f32)?;
    let hidden = Array::with_allocator(boxed).from_slice([2, 2], &[1.0_f32, 2.0, 3.0, 4.0])?;
    assert_eq!(counted_array.add(&other)?.add(&hidden)?.as_slice(), [4.0, 5.0, 6.0, 7.0]);
    drop(counted_array);
    assert_eq!(counter.live.get(), 0);
    Ok(())
}

/// A library function that accepts any handle.
trait Anywhere<R: Resource>: Sized {
    fn zeros_in_any(resource: R) -> Result<Self, ArrayError>;
}

impl<R: Resource> Anywhere<R> for Array<f32, R> {
    fn zeros_in_any(resource: R) -> Result<Self, ArrayError> {
        Array::with_allocator(resource).zeros([2, 2])
    }
}

#[test]
fn u06_exhaustion_is_a_typed_error_without_a_leak() {
    let arena = counted(2);
    let a = Array::<f64>::with_allocator(&arena).ones([10]).unwrap();
    let b = Array::with_allocator(&arena).ones([10]).unwrap();
    let error = a.add(&b).unwrap_err();
    assert!(matches!(
        error,
        ArrayError::Alloc(AllocError { kind: AllocErrorKind::LimitReached, size: 80, .. })
    ));
    assert!(error.to_string().contains("`counted`"), "{error}");
    assert!(a.try_clone_in(&arena).is_err());
    assert_eq!(arena.live.get(), 2);
    drop((a, b));
    assert_eq!(arena.live.get(), 0);
}

#[test]
fn u06_from_elements_frees_its_block_if_the_iterator_ends_early() {
    let arena = counted(1);
    let error = Array::<u8>::with_allocator(&arena).from_elements([4], [1, 2, 3]).unwrap_err();
    assert_eq!(error, ArrayError::Length { shape: Shape::from([4]), found: 3 });
    assert_eq!((arena.live.get(), arena.left.get()), (0, 0));
    assert!(Array::from_vec([4], vec![1, 2, 3]).is_err());
}

#[test]
fn u06_overflowing_shapes_fail_before_any_allocation() {
    let arena = counted(1);
    for shape in [[usize::MAX, usize::MAX], [1 << 62, 2], [0, usize::MAX]] {
        let error = Array::<f64>::with_allocator(&arena).zeros(shape).unwrap_err();
        assert_eq!(error, ArrayError::Overflow { shape: Shape::from(shape), element_size: 8 });
        assert!(Array::<f64>::with_allocator(&arena).from_slice(shape, &[]).is_err());
    }
    // One element fewer does not overflow, so the allocator decides.
    assert!(matches!(Array::<u8>::zeros([isize::MAX as usize - 63]), Err(ArrayError::Alloc(_))));
    assert_eq!(arena.left.get(), 1);
}

fn check_arithmetic<T: Element>() -> Result<(), ArrayError> {
    let mut array = Array::<T>::with_allocator(&Global).ones([3, 5])?;
    assert_eq!(array.as_ptr().addr() % 64, 0);
    assert_eq!(array.memory_usage(), 15 * T::DTYPE.size());
    assert_eq!(array.sum().to_f64(), 15.0);
    assert_eq!(array.mean(), Some(1.0));
    array.scale(T::ONE.plus(T::ONE));
    array[[2, 4]] = T::ZERO;
    assert_eq!(array.sum().to_f64(), 28.0);
    assert_eq!(array.mul(&array)?.sum().to_f64(), 56.0);
    assert_eq!(array.sub(&array)?, Array::<T>::zeros([3, 5])?);
    let copy = Array::from(&array);
    assert_eq!(copy, array);
    assert_ne!(copy.as_ptr(), array.as_ptr());
    Ok(())
}

#[test]
fn u07_every_element_type_adds_multiplies_and_sums() -> Result<(), ArrayError> {
    check_arithmetic::<f32>()?;
    check_arithmetic::<f64>()?;
    check_arithmetic::<f16>()?;
    check_arithmetic::<bf16>()?;
    check_arithmetic::<i8>()?;
    check_arithmetic::<i16>()?;
    check_arithmetic::<i32>()?;
    check_arithmetic::<i64>()?;
    check_arithmetic::<u8>()?;
    check_arithmetic::<u16>()?;
    check_arithmetic::<u32>()?;
    check_arithmetic::<u64>()
}

#[test]
fn u07_small_types_sum_in_wide_ones() {
    assert_eq!(Array::<i8>::full([1000], 127).unwrap().sum(), 127_000_i64);
    assert_eq!(Array::<f16>::full([100_000], f16::from_f32(1.5)).unwrap().sum(), 150_000.0_f32);
    assert_eq!(Array::<bf16>::ones([4096]).unwrap().mean(), Some(1.0));
}

#[test]
fn u07_arrays_without_elements_and_without_dimensions_work() {
    let none = Array::<f32>::zeros([0, 3]).unwrap();
    assert!(none.is_empty() && none.memory_usage() == 0 && none.mean().is_none());
    assert_eq!(none.sum(), 0.0);
    assert_eq!(none.as_ptr().addr() % 64, 0);
    assert_eq!(none.add(&none).unwrap().shape().dims(), [0, 3]);
    // A product over zero columns is a matrix of zeros, even in memory full of garbage.
    let arena = counted(1);
    let left = Array::<f32>::zeros([2, 0]).unwrap();
    let product = left.matmul_in(&none, &arena).unwrap();
    assert_eq!(product.as_slice(), [0.0; 6]);
    let one = Array::<f64>::full([], 7.0).unwrap();
    assert_eq!((one[[]], one.len()), (7.0, 1));
}

#[test]
fn u07_operations_fail_on_mismatched_shapes() {
    let (a, b) = (Array::<f32>::zeros([2, 3]).unwrap(), Array::<f32>::zeros([2, 2]).unwrap());
    let mut target = Array::<f32>::ones([2, 3]).unwrap();
    for (error, expected) in [
        (a.add(&b).unwrap_err(), Operation::Elementwise),
        (a.matmul(&b).unwrap_err(), Operation::MatMul),
        (target.assign(&b).unwrap_err(), Operation::Assign),
        (a.reshape([7]).unwrap_err(), Operation::Reshape),
        (a.matmul(&Array::zeros([3]).unwrap()).unwrap_err(), Operation::Matrix),
    ] {
        assert!(matches!(error, ArrayError::Shape { operation, .. } if operation == expected), "{error}");
    }
    assert_eq!(target.as_slice(), [1.0; 6]);
}

#[test]
fn u07_random_arrays_repeat_by_seed_and_multiply() -> Result<(), ArrayError> {
    let a = Array::with_allocator(Global).random([50, 40], 1)?;
    assert_eq!(a, Array::<f64>::with_allocator(Global).random([50, 40], 1)?);
    assert_ne!(a, Array::<f64>::with_allocator(Global).random([50, 40], 2)?);
    let b: Array<f64> = Array::random([40, 30])?;
    assert_ne!(b, Array::random([40, 30])?);
    let product = a.matmul(&b)?;
    let expected = a
        .as_ndarray()
        .into_dimensionality::<ndarray::Ix2>()
        .unwrap()
        .dot(&b.as_ndarray().into_dimensionality::<ndarray::Ix2>().unwrap());
    assert!((product[[49, 29]] - expected[[49, 29]]).abs() < 1e-12);
    Ok(())
}

#[test]
fn u32_memory_usage_is_the_bytes_of_the_elements() {
    assert_eq!(Array::<f64>::zeros([1000, 1000]).unwrap().memory_usage(), 8_000_000);
    assert_eq!(Array::<f16>::zeros([3]).unwrap().memory_usage(), 6);
}

#[test]
fn u35_arrays_are_row_major_contiguous_and_aligned() {
    for len in [0, 1, 7, 1000] {
        let array = Array::<f64>::zeros([len, 10]).unwrap();
        assert!(array.is_contiguous());
        assert_eq!(array.memory_layout(), MemoryLayout::RowMajor);
        assert_eq!(array.as_ptr() as usize % 32, 0);
        assert_eq!(array.as_ptr().addr() % 64, 0);
        assert_eq!(&*array.strides(), &[10, 1]);
    }
}

#[test]
fn arrays_cross_threads_where_their_resource_does() {
    fn crosses<T: Send + Sync>(_: &T) {}
    let array = Array::<f32>::ones([4]).unwrap();
    crosses(&array);
    assert_eq!(std::thread::scope(|scope| scope.spawn(|| array.sum()).join().unwrap()), 4.0);
    assert!(format!("{array:?}").starts_with("Array<f32>[4] [1.0, 1.0"));
}
