//! A read-only array in memory that Rust owns.

use std::{
    ffi::{CStr, c_int},
    ptr,
};

use bytes::Bytes;
use pyo3::{
    exceptions::{PyBufferError, PyTypeError},
    ffi,
    prelude::*,
    types::{PyDict, PyTuple},
};

use super::{dlpack, process::OfProcess};

/// Element type of a tensor, in the machine's byte order, which is little-endian as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dtype {
    F32,
    F16,
    U8,
    I64,
}

impl Dtype {
    fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F16 => 2,
            Self::F32 => 4,
            Self::I64 => 8,
        }
    }

    /// Name in NumPy.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::U8 => "uint8",
            Self::I64 => "int64",
        }
    }

    /// Format of the `struct` module.
    fn format(self) -> &'static CStr {
        match self {
            Self::F32 => c"f",
            Self::F16 => c"e",
            Self::U8 => c"B",
            Self::I64 => c"q",
        }
    }

    fn typestr(self) -> &'static str {
        match self {
            Self::F32 => "<f4",
            Self::F16 => "<f2",
            Self::U8 => "|u1",
            Self::I64 => "<i8",
        }
    }

    /// Type code and bits of DLPack.
    pub(crate) fn dlpack(self) -> (u8, u8) {
        match self {
            Self::I64 => (0, 64),
            Self::U8 => (1, 8),
            Self::F16 => (2, 16),
            Self::F32 => (2, 32),
        }
    }
}

/// A read-only array: by the buffer protocol, `__array_interface__` and `__dlpack__`, none of which copies. Its memory returns to the
/// stream when the last view of it is dropped.
#[pyclass(frozen, module = "equibatch._native")]
#[derive(Debug)]
pub(crate) struct Tensor {
    bytes: OfProcess<Bytes>,
    dtype: Dtype,
    shape: Box<[isize]>,
    /// In bytes, row-major.
    strides: Box<[isize]>,
}

impl Tensor {
    /// A row-major array.
    ///
    /// # Panics
    ///
    /// If `bytes` has another length than the shape.
    pub(crate) fn new(bytes: Bytes, dtype: Dtype, shape: &[usize]) -> Self {
        let mut strides = vec![0; shape.len()];
        let mut stride = dtype.bytes();
        for (axis, &length) in shape.iter().enumerate().rev() {
            strides[axis] = stride as isize;
            stride *= length;
        }
        assert_eq!(bytes.len(), stride, "the bytes of {shape:?}");
        Self {
            bytes: OfProcess::new(bytes),
            dtype,
            shape: shape.iter().map(|&length| length as isize).collect(),
            strides: strides.into(),
        }
    }

    /// One number per image.
    pub(crate) fn integers(values: impl Iterator<Item = u32>) -> Self {
        let values: Vec<i64> = values.map(i64::from).collect();
        let length = values.len();
        Self::new(Bytes::from_owner(Numbers(values)), Dtype::I64, &[length])
    }

    /// One number per image.
    pub(crate) fn floats(values: Vec<f32>) -> Self {
        let length = values.len();
        Self::new(Bytes::from_owner(Numbers(values)), Dtype::F32, &[length])
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        self.bytes.anywhere()
    }

    fn nbytes(&self) -> usize {
        self.bytes().len()
    }
}

/// Numbers as bytes, at the alignment of the numbers.
struct Numbers<T>(Vec<T>);

impl<T: bytemuck::NoUninit> AsRef<[u8]> for Numbers<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

#[pymethods]
impl Tensor {
    /// Lengths of the axes.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.shape)
    }

    /// Name of the element type in NumPy.
    #[getter]
    fn dtype(&self) -> &'static str {
        self.dtype.name()
    }

    /// Number of axes.
    #[getter]
    fn ndim(&self) -> usize {
        self.shape.len()
    }

    /// Bytes of all elements.
    #[getter(nbytes)]
    fn length_in_bytes(&self) -> usize {
        self.nbytes()
    }

    fn __len__(&self) -> usize {
        self.shape[0] as usize
    }

    fn __repr__(&self) -> String {
        format!("Tensor(shape={:?}, dtype={})", self.shape, self.dtype.name())
    }

    /// The elements of one axis as numbers.
    fn tolist(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let numbers = match (self.shape.len(), self.dtype) {
            (1, Dtype::I64) => bytemuck::pod_collect_to_vec::<u8, i64>(self.bytes()).into_pyobject(py)?,
            (1, Dtype::F32) => bytemuck::pod_collect_to_vec::<u8, f32>(self.bytes()).into_pyobject(py)?,
            _ => {
                return Err(PyTypeError::new_err(
                    "tolist() is for labels, ids and weights: use numpy.asarray(tensor).tolist() for images",
                ));
            }
        };
        Ok(numbers.unbind())
    }

    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("version", 3)?;
        dict.set_item("shape", self.shape(py)?)?;
        dict.set_item("typestr", self.dtype.typestr())?;
        dict.set_item("data", (self.bytes().as_ptr() as usize, true))?;
        Ok(dict)
    }

    /// A NumPy array: read-only and of this memory, or a writable copy.
    #[pyo3(signature = (*, copy = false))]
    fn numpy<'py>(slf: Bound<'py, Self>, copy: bool) -> PyResult<Bound<'py, PyAny>> {
        let numpy = slf.py().import("numpy")?;
        numpy.call_method1(if copy { "array" } else { "asarray" }, (slf,))
    }

    /// DLPack's device: the CPU.
    fn __dlpack_device__(&self) -> (i32, i32) {
        dlpack::CPU
    }

    /// A capsule of DLPack 1.0 or later: of this memory with the flag READ_ONLY, or with `copy=True` a writable copy.
    #[pyo3(signature = (*, stream = None, max_version = None, dl_device = None, copy = None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<&Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if stream.is_some_and(|stream| !stream.is_none()) {
            return Err(PyBufferError::new_err(
                "stream must be None: the memory is on the CPU",
            ));
        }
        if dl_device.is_some_and(|device| device != dlpack::CPU) {
            return Err(PyBufferError::new_err(
                "dl_device must be None or the CPU, (1, 0)",
            ));
        }
        if max_version.is_none_or(|(major, _)| major < 1) {
            return Err(PyBufferError::new_err(
                "the memory is read-only, which DLPack can say from version 1.0 on: pass max_version=(1, 0), or copy by tensor.numpy(copy=True)",
            ));
        }
        let is_copy = copy == Some(true);
        let bytes = if is_copy {
            py.detach(|| dlpack::Memory::copied(self.bytes()))
        } else {
            dlpack::Memory::Shared(OfProcess::new(self.bytes().clone()))
        };
        dlpack::capsule(py, bytes, self.dtype, &self.shape)
    }

    /// # Safety
    ///
    /// Called by the interpreter only, with a `view` that it fills.
    #[allow(unsafe_code, reason = "the buffer protocol hands out pointers")]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("the view is null"));
        }
        if flags & ffi::PyBUF_WRITABLE == ffi::PyBUF_WRITABLE {
            // SAFETY: the interpreter passes a valid view, which must have no owner if this fails.
            unsafe { (*view).obj = ptr::null_mut() };
            return Err(PyBufferError::new_err(
                "the memory is read-only: copy by tensor.numpy(copy=True)",
            ));
        }
        let this = slf.get();
        let wants = |flag: c_int| flags & flag == flag;
        let or_null = |wanted: bool, axes: &[isize]| {
            if wanted {
                axes.as_ptr().cast_mut()
            } else {
                ptr::null_mut()
            }
        };
        // SAFETY: the interpreter passes a valid view. All pointers lead into `this`, a frozen object whose memory neither moves nor changes,
        // and which `obj`, a reference of the view's own, keeps alive until the view is released. A read-only view is not written through.
        unsafe {
            (*view).buf = this.bytes().as_ptr().cast_mut().cast();
            (*view).len = this.nbytes() as isize;
            (*view).readonly = 1;
            (*view).itemsize = this.dtype.bytes() as isize;
            (*view).format = if wants(ffi::PyBUF_FORMAT) {
                this.dtype.format().as_ptr().cast_mut()
            } else {
                ptr::null_mut()
            };
            // Plain bytes have one axis.
            (*view).ndim = if wants(ffi::PyBUF_ND) {
                this.shape.len() as c_int
            } else {
                1
            };
            (*view).shape = or_null(wants(ffi::PyBUF_ND), &this.shape);
            (*view).strides = or_null(wants(ffi::PyBUF_STRIDES), &this.strides);
            (*view).suboffsets = ptr::null_mut();
            (*view).internal = ptr::null_mut();
            (*view).obj = slf.into_ptr();
        }
        Ok(())
    }
}
