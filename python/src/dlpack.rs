//! DLPack 1.0: memory for other libraries.
//!
//! # Source
//!
//! `dlpack.h` of DLPack 1.0, and the Python specification of the array API standard.

use std::{
    ffi::{CStr, c_void},
    ptr,
};

use bytes::Bytes;
use pyo3::{ffi, prelude::*};

use super::{process::OfProcess, tensor::Dtype};

/// Type and index of the device: `kDLCPU`.
pub(crate) const CPU: (i32, i32) = (1, 0);

/// `DLPACK_FLAG_BITMASK_READ_ONLY` and `DLPACK_FLAG_BITMASK_IS_COPIED`.
const READ_ONLY: u64 = 1;
const IS_COPIED: u64 = 2;

/// The name of a capsule that no consumer has taken over yet.
const NAME: &CStr = c"dltensor_versioned";

/// `DLTensor`.
#[repr(C)]
struct View {
    data: *mut c_void,
    device_type: i32,
    device_id: i32,
    ndim: i32,
    type_code: u8,
    type_bits: u8,
    type_lanes: u16,
    shape: *const i64,
    /// Null: row-major.
    strides: *const i64,
    byte_offset: u64,
}

/// `DLManagedTensorVersioned`.
#[repr(C)]
struct Managed {
    major: u32,
    minor: u32,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Managed)>,
    flags: u64,
    view: View,
}

/// The memory of a capsule.
pub(crate) enum Memory {
    /// Read-only.
    Shared(OfProcess<Bytes>),
    /// Writable. In units of 64 bytes, the alignment that DLPack recommends.
    Copied(Vec<Line>),
}

/// 64 bytes, aligned to as many.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line([u8; 64]);

impl Memory {
    /// A copy of `bytes`.
    pub(crate) fn copied(bytes: &[u8]) -> Self {
        let mut lines = vec![Line([0; 64]); bytes.len().div_ceil(size_of::<Line>())];
        bytemuck::cast_slice_mut(&mut lines)[..bytes.len()].copy_from_slice(bytes);
        Self::Copied(lines)
    }
}

/// What a capsule owns.
struct Owned {
    managed: Managed,
    _shape: Box<[i64]>,
    _memory: Memory,
}

/// A capsule of row-major `memory`, which is freed by who takes it over, or else with the capsule.
#[allow(unsafe_code, reason = "a capsule is a pointer")]
pub(crate) fn capsule<'py>(
    py: Python<'py>,
    mut memory: Memory,
    dtype: Dtype,
    shape: &[isize],
) -> PyResult<Bound<'py, PyAny>> {
    let (data, flags) = match &mut memory {
        Memory::Shared(bytes) => (bytes.anywhere().as_ptr().cast_mut(), READ_ONLY),
        Memory::Copied(lines) => (lines.as_mut_ptr().cast(), IS_COPIED),
    };
    let shape: Box<[i64]> = shape.iter().map(|&length| length as i64).collect();
    let (type_code, type_bits) = dtype.dlpack();
    let owned = Box::new(Owned {
        managed: Managed {
            major: 1,
            minor: 0,
            context: ptr::null_mut(),
            deleter: Some(delete),
            flags,
            view: View {
                data: data.cast(),
                device_type: CPU.0,
                device_id: CPU.1,
                ndim: shape.len() as i32,
                type_code,
                type_bits,
                type_lanes: 1,
                shape: shape.as_ptr(),
                strides: ptr::null(),
                byte_offset: 0,
            },
        },
        _shape: shape,
        _memory: memory,
    });
    let owned = Box::into_raw(owned);
    // SAFETY: `owned` comes from `Box::into_raw`. Its context is set to itself, by which `delete` frees it: who takes the capsule over calls
    // that once, as DLPack demands, and `drop_capsule` does it for a capsule that no consumer took over. The name is static.
    unsafe {
        (*owned).managed.context = owned.cast();
        let managed = &raw mut (*owned).managed;
        let capsule = ffi::PyCapsule_New(managed.cast(), NAME.as_ptr(), Some(drop_capsule));
        if capsule.is_null() {
            delete(managed);
        }
        Bound::from_owned_ptr_or_err(py, capsule)
    }
}

/// Frees a capsule's memory; on any thread, with or without the interpreter.
///
/// # Safety
///
/// `managed` is from [`capsule`], and is not used afterwards.
#[allow(unsafe_code, reason = "called by C")]
unsafe extern "C" fn delete(managed: *mut Managed) {
    // SAFETY: the context of a managed tensor of `capsule` is the box that it is in, and is freed here only.
    drop(unsafe { Box::from_raw((*managed).context.cast::<Owned>()) });
}

/// The destructor of the capsule.
///
/// # Safety
///
/// Called by the interpreter, with a capsule of [`capsule`].
#[allow(unsafe_code, reason = "called by C")]
unsafe extern "C" fn drop_capsule(capsule: *mut ffi::PyObject) {
    // SAFETY: the interpreter passes the capsule that it destroys. Who takes it over renames it, so that a pointer of this name is still
    // owned by the capsule, and is from `capsule`.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, NAME.as_ptr()) != 0 {
            let managed = ffi::PyCapsule_GetPointer(capsule, NAME.as_ptr());
            delete(managed.cast());
        }
    }
}
