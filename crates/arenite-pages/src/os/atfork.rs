//! Calls of the C library around a fork.
#![expect(unsafe_code, reason = "calls the C library for fork handlers")]

/// Registers three functions around each fork. Returns whether the C library did so.
pub(crate) fn pthread_atfork(
    prepare: extern "C" fn(),
    parent: extern "C" fn(),
    child: extern "C" fn(),
) -> bool {
    // SAFETY: three safe functions of that signature, which live as long as this code does. The C
    // library removes them when the library that they are part of is unloaded.
    unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) == 0 }
}
