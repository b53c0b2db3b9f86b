//! cuDNN's descriptions of a node, made once, and the call of its gradient.

#![allow(unsafe_code, reason = "functions of cuDNN are called")]

use std::{
    ffi::{c_int, c_void},
    ptr,
};

use ort::value::TensorElementType;

use super::algorithm::{COUNT, Ranked, choose};
use super::convolution::Convolution;
use super::library::{Cudnn, Descriptor, Handle, Status, cudnn};

/// `CUDNN_TENSOR_NCHW`.
const NCHW: c_int = 0;
/// `CUDNN_DATA_FLOAT` and `CUDNN_DATA_HALF`.
const FLOAT: c_int = 0;
const HALF: c_int = 2;
/// `CUDNN_CROSS_CORRELATION`.
const CROSS_CORRELATION: c_int = 1;
/// `CUDNN_DEFAULT_MATH`, which may round to TF32, `CUDNN_FMA_MATH`, which does not, and `CUDNN_TENSOR_OP_MATH`, for half precision.
const DEFAULT_MATH: c_int = 0;
const FMA_MATH: c_int = 3;
const TENSOR_OP_MATH: c_int = 1;

/// Which gradient a node computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gradient {
    /// `(w, dy) → dx`.
    Input,
    /// `(x, dy) → dw`.
    Weight,
}

/// A description, destroyed with this.
struct Owned {
    descriptor: Descriptor,
    destroy: unsafe extern "C" fn(Descriptor) -> Status,
}

impl Owned {
    /// Creates a description and sets it.
    fn new(
        cudnn: &Cudnn,
        create: unsafe extern "C" fn(*mut Descriptor) -> Status,
        destroy: unsafe extern "C" fn(Descriptor) -> Status,
        set: impl FnOnce(Descriptor) -> Status,
    ) -> ort::Result<Self> {
        let mut descriptor = ptr::null_mut();
        // SAFETY: the function writes a pointer to the address, which is valid.
        let status = unsafe { create(&raw mut descriptor) };
        cudnn.check(status, "create a description")?;
        let owned = Self { descriptor, destroy };
        cudnn.check(set(owned.descriptor), "describe the convolution")?;
        Ok(owned)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the description was created by the function's counterpart, and is destroyed once.
        unsafe { (self.destroy)(self.descriptor) };
    }
}

/// Descriptions of a convolution.
pub(super) struct Plan {
    cudnn: &'static Cudnn,
    x: Owned,
    w: Owned,
    y: Owned,
    conv: Owned,
    gradient: Gradient,
    math: c_int,
}

// SAFETY: descriptions are memory of the host that belongs to no thread, and `Plan` gives no other access to them than through itself.
unsafe impl Send for Plan {}

impl Plan {
    /// Describes a convolution of tensors of the element type, summed in single precision.
    pub(super) fn new(
        gradient: Gradient,
        convolution: Convolution,
        (element_type, uses_tf32): (TensorElementType, bool),
    ) -> ort::Result<Self> {
        let cudnn = cudnn().map_err(ort::Error::new)?;
        let data = match element_type {
            TensorElementType::Float16 => HALF,
            _ => FLOAT,
        };
        let tensor = |[n, c, h, w]: [c_int; 4]| {
            let (create, destroy) = (
                cudnn.cudnnCreateTensorDescriptor,
                cudnn.cudnnDestroyTensorDescriptor,
            );
            Owned::new(cudnn, create, destroy, |descriptor| {
                // SAFETY: the description exists.
                unsafe { (cudnn.cudnnSetTensor4dDescriptor)(descriptor, NCHW, data, n, c, h, w) }
            })
        };
        let [k, c, r, s] = convolution.w;
        let w = Owned::new(
            cudnn,
            cudnn.cudnnCreateFilterDescriptor,
            cudnn.cudnnDestroyFilterDescriptor,
            |descriptor| {
                // SAFETY: the description exists.
                unsafe { (cudnn.cudnnSetFilter4dDescriptor)(descriptor, data, NCHW, k, c, r, s) }
            },
        )?;
        let Convolution {
            pad: [top, left],
            stride: [down, right],
            dilation: [rows, columns],
            ..
        } = convolution;
        let conv = Owned::new(
            cudnn,
            cudnn.cudnnCreateConvolutionDescriptor,
            cudnn.cudnnDestroyConvolutionDescriptor,
            |descriptor| {
                // SAFETY: the description exists.
                unsafe {
                    (cudnn.cudnnSetConvolution2dDescriptor)(
                        descriptor,
                        top,
                        left,
                        down,
                        right,
                        rows,
                        columns,
                        CROSS_CORRELATION,
                        FLOAT,
                    )
                }
            },
        )?;
        let math = match (data, uses_tf32) {
            (HALF, _) => TENSOR_OP_MATH,
            (_, true) => DEFAULT_MATH,
            (_, false) => FMA_MATH,
        };
        let plan = Self {
            cudnn,
            x: tensor(convolution.x)?,
            w,
            y: tensor(convolution.y)?,
            conv,
            gradient,
            math,
        };
        // SAFETY: the description exists.
        let status =
            unsafe { (cudnn.cudnnSetConvolutionGroupCount)(plan.conv.descriptor, convolution.groups) };
        cudnn.check(status, "set the number of groups")?;
        plan.set_math(plan.math)?;
        let found = plan.result_shape()?;
        if found != convolution.y {
            let reason = format!(
                "cuDNN computes results of shape {found:?}, not {:?}",
                convolution.y
            );
            return Err(ort::Error::new(reason));
        }
        Ok(plan)
    }

    fn set_math(&self, math: c_int) -> ort::Result<()> {
        // SAFETY: the description exists.
        let status = unsafe { (self.cudnn.cudnnSetConvolutionMathType)(self.conv.descriptor, math) };
        self.cudnn.check(status, "set the kind of math")
    }

    /// The descriptions of the operands and of the result, in the order of cuDNN's arguments.
    fn descriptors(&self) -> [Descriptor; 3] {
        let [x, w, y] = [&self.x, &self.w, &self.y].map(|owned| owned.descriptor);
        match self.gradient {
            Gradient::Input => [w, y, x],
            Gradient::Weight => [x, y, w],
        }
    }

    /// Chooses the algorithm for the device of the handle.
    ///
    /// # Safety
    /// `handle` is a handle of cuDNN.
    pub(super) unsafe fn algorithm(&self, handle: Handle) -> ort::Result<Ranked> {
        let (mut list, mut found) = ([Ranked::default(); COUNT], 0);
        let ask = match self.gradient {
            Gradient::Input => self.cudnn.cudnnGetConvolutionBackwardDataAlgorithm_v7,
            Gradient::Weight => self.cudnn.cudnnGetConvolutionBackwardFilterAlgorithm_v7,
        };
        let [first, second, result] = self.descriptors();
        let count = c_int::try_from(COUNT).expect("it is small");
        // SAFETY: the caller vouches for the handle, the descriptions exist, and the list has room for `count` records.
        let status = unsafe {
            ask(
                handle,
                first,
                second,
                self.conv.descriptor,
                result,
                count,
                &raw mut found,
                list.as_mut_ptr(),
            )
        };
        self.cudnn.check(status, "rank algorithms of the gradient")?;
        let found = usize::try_from(found).unwrap_or(0).min(COUNT);
        let chosen = choose(&list[..found]).ok_or_else(|| {
            ort::Error::new(
                "cuDNN has no deterministic algorithm for the gradient: use `--operators standard`",
            )
        })?;
        if self.math != FMA_MATH {
            self.set_math(chosen.math)?;
        }
        Ok(chosen)
    }

    /// Enqueues the gradient on the stream of the handle.
    ///
    /// # Safety
    /// `handle` is a handle of cuDNN; the operands, the result and the workspace are in memory of its device, dense and of the described shapes and
    /// types; the workspace has the algorithm's size; all of them are used only by work of the same stream until this is done.
    pub(super) unsafe fn run(
        &self,
        handle: Handle,
        algorithm: Ranked,
        (first, second): (*const c_void, *const c_void),
        (workspace, result): (*mut c_void, *mut c_void),
    ) -> ort::Result<()> {
        let call = match self.gradient {
            Gradient::Input => self.cudnn.cudnnConvolutionBackwardData,
            Gradient::Weight => self.cudnn.cudnnConvolutionBackwardFilter,
        };
        let [of_first, of_second, of_result] = self.descriptors();
        let (alpha, beta) = (1.0_f32, 0.0_f32);
        // SAFETY: the caller vouches for the handle and the memory; the descriptions exist; cuDNN reads the factors, which are of the type of its
        // sums, before it returns.
        let status = unsafe {
            call(
                handle,
                &raw const alpha,
                of_first,
                first,
                of_second,
                second,
                self.conv.descriptor,
                algorithm.algorithm,
                workspace,
                algorithm.memory,
                &raw const beta,
                of_result,
                result,
            )
        };
        self.cudnn.check(status, "compute the gradient")
    }

    /// The shape of the convolution's result, as cuDNN computes it from the descriptions.
    fn result_shape(&self) -> ort::Result<[c_int; 4]> {
        let mut shape = [0; 4];
        let [n, c, h, w] = &mut shape;
        let [x, filter] = [&self.x, &self.w].map(|owned| owned.descriptor);
        // SAFETY: the descriptions exist, and the addresses are those of four numbers.
        let status = unsafe {
            (self.cudnn.cudnnGetConvolution2dForwardOutputDim)(self.conv.descriptor, x, filter, n, c, h, w)
        };
        self.cudnn.check(status, "tell the shape of the result")?;
        Ok(shape)
    }
}
