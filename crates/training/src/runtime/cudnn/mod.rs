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

/// Whether cuDNN can be loaded.
pub(super) fn is_available() -> bool {
    library::cudnn().is_ok()
}

/// Says why cuDNN cannot be loaded, once, if it cannot.
pub(super) fn warn_if_missing() {
    static WARNED: std::sync::Once = std::sync::Once::new();
    if let Err(reason) = library::cudnn() {
        WARNED.call_once(|| {
            tracing::warn!(%reason, "cuDNN 9 cannot be loaded: gradients of convolutions are computed by ONNX's operators");
        });
    }
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
