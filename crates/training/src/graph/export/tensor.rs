//! Tensors of a model file.

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

pub(super) fn constant(name: &str, shape: &Shape, data: &Constant) -> TensorProto {
    match data {
        Constant::F32(data) => floats(name, shape, data),
        Constant::I64(data) => TensorProto {
            dims: shape.iter().map(|&extent| signed(extent)).collect(),
            data_type: data_type::INT64,
            name: name.to_owned(),
            raw_data: data.iter().flat_map(|number| number.to_le_bytes()).collect(),
            ..TensorProto::default()
        },
    }
}

pub(super) fn floats(name: &str, shape: &Shape, data: &[f32]) -> TensorProto {
    TensorProto {
        dims: shape.iter().map(|&extent| signed(extent)).collect(),
        data_type: data_type::FLOAT,
        name: name.to_owned(),
        raw_data: little_endian(data).into_owned(),
        ..TensorProto::default()
    }
}
