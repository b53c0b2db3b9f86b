//! Gradients of convolutions by cuDNN: custom operators of CUDA sessions, for which ONNX has no operator or one that may add in any order.
//!
//! # Layout
//! - `library`: cuDNN's functions, found in its library when the program runs; nothing links to it.
//! - `convolution`: shapes and attributes of a convolution, checked.
//! - `algorithm`: which of cuDNN's algorithms computes a gradient.
//! - `plan`: cuDNN's descriptions of a node, and the call.
//! - `operator`: implements `ort`'s operator and kernel traits.

mod algorithm;
mod convolution;
mod library;
mod operator;
mod plan;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod twin;

use ort::{operator::OperatorDomain, value::TensorElementType};

use self::operator::Operator;
use crate::graph::fused::{DOMAIN, Fused};

/// Whether cuDNN can be loaded. If not, one warning of the process says why.
pub(super) fn is_available() -> bool {
    static WARNED: std::sync::Once = std::sync::Once::new();
    library::cudnn()
        .inspect_err(|reason| {
            WARNED.call_once(|| {
                tracing::warn!(%reason, "cuDNN 9 cannot be loaded: gradients of convolutions are computed by ONNX's operators");
            });
        })
        .is_ok()
}

/// The domain of the custom operators of CUDA sessions. `uses_tf32`: whether single-precision operands may be rounded to TF32.
///
/// # Errors
///
/// Those of ONNX Runtime.
pub(super) fn domain(index: u16, uses_tf32: bool) -> ort::Result<OperatorDomain> {
    let operators = Fused::all().into_iter().filter(Fused::is_of_cudnn);
    let types = [TensorElementType::Float32, TensorElementType::Float16];
    let typed = operators.flat_map(|fused| types.map(|element_type| (fused.name(), element_type)));
    typed.fold(OperatorDomain::new(DOMAIN), |domain, (name, element_type)| {
        domain?.add(Operator {
            name,
            element_type,
            index,
            uses_tf32,
        })
    })
}
