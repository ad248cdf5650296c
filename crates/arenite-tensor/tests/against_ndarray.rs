//! Property tests: arrays agree with `ndarray` for random shapes and numbers.

use arenite_tensor::{Array, Global, Matrix, MatrixMut, gemm};
use ndarray::{Array2, ArrayD, IxDyn};
use proptest::prelude::*;

fn numbers(len: usize) -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec(-10.0..10.0_f64, len)
}

/// Generates a matrix of up to 12 × 12.
fn matrix() -> impl Strategy<Value = (usize, usize, Vec<f64>)> {
    (0_usize..12, 0_usize..12).prop_flat_map(|(rows, cols)| (Just(rows), Just(cols), numbers(rows * cols)))
}

/// Generates two matrices that can be multiplied.
fn pair() -> impl Strategy<Value = ([usize; 3], Vec<f64>, Vec<f64>)> {
    (0_usize..20, 0_usize..20, 0_usize..20)
        .prop_flat_map(|(m, k, n)| (Just([m, k, n]), numbers(m * k), numbers(k * n)))
}

fn close(ours: &[f64], theirs: &Array2<f64>) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-9)
}

proptest! {
    #[test]
    fn u07_products_agree(([m, k, n], left, right) in pair()) {
        let ours = Array::from_slice([m, k], &left).unwrap().matmul(&Array::from_slice([k, n], &right).unwrap()).unwrap();
        let theirs = Array2::from_shape_vec((m, k), left).unwrap().dot(&Array2::from_shape_vec((k, n), right).unwrap());
        prop_assert!(close(ours.as_slice(), &theirs));
    }

    #[test]
    fn u07_products_of_transposed_and_strided_views_agree(([m, k, n], left, right) in pair(), beta in -2.0..2.0_f64) {
        // The left operand is transposed; the right one and the target are columns 1..n+1 of wider
        // matrices.
        let transposed = Array2::from_shape_vec((k, m), left).unwrap();
        let narrow = Array2::from_shape_vec((k, n), right).unwrap();
        let mut wide = Array2::<f64>::zeros((k, n + 3));
        wide.slice_mut(ndarray::s![.., 1..=n]).assign(&narrow);
        let mut target = vec![1.0; m * (n + 3)];
        let wide = wide.into_raw_vec_and_offset().0;
        gemm(
            Matrix::new(transposed.as_slice().unwrap(), k, m).unwrap().t(),
            Matrix::strided(wide.get(1..).unwrap_or(&[]), k, n, n + 3, 1).unwrap(),
            beta,
            &mut MatrixMut::strided(target.get_mut(1..).unwrap_or(&mut []), m, n, n + 3, 1).unwrap(),
        )
        .unwrap();
        let target = Array2::from_shape_vec((m, n + 3), target).unwrap();
        let expected = transposed.t().dot(&narrow) + beta;
        prop_assert!(close(&target.slice(ndarray::s![.., 1..=n]).iter().copied().collect::<Vec<_>>(), &expected));
        prop_assert!(target.column(0).iter().chain(target.slice(ndarray::s![.., n + 1..])).all(|&x| x == 1.0));
    }

    #[test]
    fn u07_elementwise_and_sums_agree((rows, cols, values) in matrix(), factor in -3.0..3.0_f64) {
        let ours = Array::from_slice([rows, cols], &values).unwrap();
        let theirs = Array2::from_shape_vec((rows, cols), values).unwrap();
        let scaled = ours.map_in(Global, |x| x * factor).unwrap();
        prop_assert!(close(ours.add(&scaled).unwrap().as_slice(), &(&theirs + &(&theirs * factor))));
        prop_assert!(close(ours.sub(&scaled).unwrap().as_slice(), &(&theirs - &(&theirs * factor))));
        prop_assert!(close(ours.mul(&scaled).unwrap().as_slice(), &(&theirs * &(&theirs * factor))));
        prop_assert!((ours.sum() - theirs.sum()).abs() < 1e-9);
        prop_assert_eq!(ours.mean().is_some(), theirs.mean().is_some());
    }

    #[test]
    fn e33_indexing_agrees(dims in proptest::collection::vec(0_usize..4, 3), index in [0_usize..5, 0..5, 0..5]) {
        let len: usize = dims.iter().product();
        let ours = Array::with_allocator(Global).from_fn(&dims[..], |i| i as f64).unwrap();
        let theirs = ArrayD::from_shape_vec(IxDyn(&dims), (0..len).map(|i| i as f64).collect()).unwrap();
        prop_assert_eq!(ours.get(index), theirs.get(IxDyn(&index)));
        prop_assert_eq!(ours.view().get(index), theirs.get(IxDyn(&index)));
        let strides: Vec<isize> = ours.strides().iter().map(|&s| isize::try_from(s).unwrap()).collect();
        if len > 0 {
            prop_assert_eq!(&strides[..], theirs.strides());
        }
    }

    #[test]
    fn u07_pairwise_sums_lose_little(len in 0_usize..100_000) {
        let array = Array::<f32>::full([len], 0.1).unwrap();
        let exact = 0.1_f32 as f64 * len as f64;
        prop_assert!((f64::from(array.sum()) - exact).abs() <= 4e-6 * exact);
    }
}
