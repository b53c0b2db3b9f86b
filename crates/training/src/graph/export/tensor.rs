//! Tensors of a model file.

use super::file::Initializer;
use crate::graph::onnx::{TensorProto, data_type};
use crate::graph::tensor::little_endian;
use crate::graph::{Constant, ElementType, Shape};

/// An extent, axis or index as ONNX's signed integer.
pub(super) fn signed(number: usize) -> i64 {
    i64::try_from(number).expect("extents fit in memory")
}

pub(super) fn data_type_of(element_type: ElementType) -> i32 {
    match element_type {
        ElementType::F32 => data_type::FLOAT,
        ElementType::F16 => data_type::FLOAT16,
        ElementType::Bf16 => data_type::BFLOAT16,
        ElementType::U8 => data_type::UINT8,
        ElementType::I64 => data_type::INT64,
        ElementType::Bool => data_type::BOOL,
    }
}

pub(super) fn constant(name: &str, shape: &Shape, data: &Constant) -> Initializer<'static> {
    let (data_type, elements) = match data {
        Constant::F32(data) => (data_type::FLOAT, little_endian(data).into_owned()),
        Constant::I64(data) => {
            let bytes = data.iter().flat_map(|number| number.to_le_bytes());
            (data_type::INT64, bytes.collect())
        }
    };
    Initializer {
        header: header(name, shape, data_type),
        elements: elements.into(),
    }
}

pub(super) fn floats<'a>(name: &str, shape: &Shape, data: &'a [f32]) -> Initializer<'a> {
    Initializer {
        header: header(name, shape, data_type::FLOAT),
        elements: little_endian(data),
    }
}

fn header(name: &str, shape: &Shape, data_type: i32) -> TensorProto {
    TensorProto {
        dims: shape.iter().map(|&extent| signed(extent)).collect(),
        data_type,
        name: name.to_owned(),
        ..TensorProto::default()
    }
}
