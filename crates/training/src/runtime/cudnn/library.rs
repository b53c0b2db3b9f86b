//! The functions of cuDNN that the gradients need.
//!
//! # Source
//! The headers `cudnn_graph.h`, `cudnn_ops.h` and `cudnn_cnn.h` of cuDNN 9.

#![allow(unsafe_code, reason = "these are functions of a C library")]

use std::{
    error::Error as _,
    ffi::{CStr, c_char, c_int, c_void},
    sync::OnceLock,
};

use libloading::Library;

use super::algorithm::Ranked;

/// File name of cuDNN 9.
const FILE: &str = if cfg!(windows) {
    "cudnn64_9.dll"
} else {
    "libcudnn.so.9"
};

/// A `cudnnStatus_t`: 0 is success.
pub(super) type Status = c_int;

/// A `cudnnHandle_t`, which belongs to ONNX Runtime.
pub(super) type Handle = *const ();

/// A description of a tensor, a filter or a convolution.
pub(super) type Descriptor = *mut c_void;

macro_rules! functions {
    ($($name:ident($($argument:ty),+);)+) => {
        /// The functions, each by its C name.
        #[expect(non_snake_case, reason = "names of C")]
        pub(super) struct Cudnn {
            $(pub(super) $name: unsafe extern "C" fn($($argument),+) -> Status,)+
            cudnnGetErrorString: unsafe extern "C" fn(Status) -> *const c_char,
            /// Keeps the functions loaded.
            _library: Library,
        }

        impl Cudnn {
            /// Finds the functions in the library.
            ///
            /// # Safety
            /// The library is cuDNN 9.
            unsafe fn of(library: Library) -> Result<Self, libloading::Error> {
                // SAFETY: the types are those of the headers, and the library, which the result holds, outlives the functions.
                unsafe {
                    Ok(Self {
                        $($name: *library.get(concat!(stringify!($name), "\0").as_bytes())?,)+
                        cudnnGetErrorString: *library.get(b"cudnnGetErrorString\0")?,
                        _library: library,
                    })
                }
            }
        }
    };
}

functions! {
    cudnnCreateTensorDescriptor(*mut Descriptor);
    // format, element type, n, c, h, w
    cudnnSetTensor4dDescriptor(Descriptor, c_int, c_int, c_int, c_int, c_int, c_int);
    cudnnDestroyTensorDescriptor(Descriptor);
    cudnnCreateFilterDescriptor(*mut Descriptor);
    // element type, format, k, c, h, w
    cudnnSetFilter4dDescriptor(Descriptor, c_int, c_int, c_int, c_int, c_int, c_int);
    cudnnDestroyFilterDescriptor(Descriptor);
    cudnnCreateConvolutionDescriptor(*mut Descriptor);
    // pads, strides, dilations, mode, type of sums
    cudnnSetConvolution2dDescriptor(Descriptor, c_int, c_int, c_int, c_int, c_int, c_int, c_int, c_int);
    cudnnSetConvolutionGroupCount(Descriptor, c_int);
    cudnnSetConvolutionMathType(Descriptor, c_int);
    cudnnDestroyConvolutionDescriptor(Descriptor);
    // convolution, x, w; n, c, h and w of the result
    cudnnGetConvolution2dForwardOutputDim(
        Descriptor, Descriptor, Descriptor, *mut c_int, *mut c_int, *mut c_int, *mut c_int
    );
    // w, dy, convolution, dx
    cudnnGetConvolutionBackwardDataAlgorithm_v7(
        Handle, Descriptor, Descriptor, Descriptor, Descriptor, c_int, *mut c_int, *mut Ranked
    );
    // α, w, dy, convolution, algorithm, workspace, β, dx
    cudnnConvolutionBackwardData(
        Handle, *const f32, Descriptor, *const c_void, Descriptor, *const c_void, Descriptor, c_int, *mut c_void, usize,
        *const f32, Descriptor, *mut c_void
    );
    // x, dy, convolution, dw
    cudnnGetConvolutionBackwardFilterAlgorithm_v7(
        Handle, Descriptor, Descriptor, Descriptor, Descriptor, c_int, *mut c_int, *mut Ranked
    );
    // α, x, dy, convolution, algorithm, workspace, β, dw
    cudnnConvolutionBackwardFilter(
        Handle, *const f32, Descriptor, *const c_void, Descriptor, *const c_void, Descriptor, c_int, *mut c_void, usize,
        *const f32, Descriptor, *mut c_void
    );
}

impl Cudnn {
    /// The error of a function's status, if it is one. `what` is what the function should do.
    pub(super) fn check(&self, status: Status, what: &str) -> ort::Result<()> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the function returns a constant of the library, zero-terminated, for every status.
        let reason = unsafe { CStr::from_ptr((self.cudnnGetErrorString)(status)) };
        Err(ort::Error::new(format!(
            "cuDNN cannot {what}: {}",
            reason.to_string_lossy()
        )))
    }
}

/// The functions, loaded at the first call, or why they cannot be.
pub(super) fn cudnn() -> Result<&'static Cudnn, &'static str> {
    static LOADED: OnceLock<Result<Cudnn, String>> = OnceLock::new();
    LOADED.get_or_init(|| load(FILE)).as_ref().map_err(String::as_str)
}

/// Loads the library of that name, which is found where the system's loader finds it, as ONNX Runtime's CUDA provider finds it.
pub(super) fn load(file: &str) -> Result<Cudnn, String> {
    // SAFETY: loading cuDNN runs its initialisers, which expect nothing of the process; its file name has the version.
    let loaded = unsafe { Library::new(file).and_then(|library| Cudnn::of(library)) };
    // The loader's own words, which name the file.
    loaded.map_err(|error| {
        error
            .source()
            .map_or_else(|| error.to_string(), ToString::to_string)
    })
}
