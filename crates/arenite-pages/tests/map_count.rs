//! Ten thousand reservations and releases leave the kernel's list of mappings unchanged. A test in
//! a process of its own, in which no other code maps or unmaps.
#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use arenite_pages::{Region, RegionOptions, page_size, regions};

/// Returns the number of mappings of this process.
fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

/// Makes `count` regions of three kinds, commits a part of some, and releases them in two ways.
fn make_and_release(count: usize) {
    let mut all = Vec::with_capacity(count);
    for index in 0..count {
        let guard = if index % 3 == 0 { page_size() } else { 0 };
        let region =
            RegionOptions::new().with_label("many").with_guard(guard).reserve(4 * page_size()).unwrap();
        if index % 7 == 0 {
            region.commit(page_size(), page_size()).unwrap();
        }
        all.push(region);
    }
    assert_eq!(regions().iter().filter(|entry| entry.label.as_str() == "many").count(), count);
    let (dropped, released): (Vec<_>, Vec<_>) =
        all.into_iter().enumerate().partition(|(index, _)| index % 2 == 0);
    drop(dropped);
    released.into_iter().map(|(_, region)| region).map(Region::release).for_each(Result::unwrap);
}

#[test]
fn n03_ten_thousand_regions_leave_the_kernels_list_unchanged() {
    make_and_release(1000); // the allocator and the registry have grown
    let before = mappings();
    for _ in 0..10 {
        make_and_release(1000);
    }
    assert_eq!(mappings(), before);
    assert!(regions().is_empty());
}
