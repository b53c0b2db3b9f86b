use std::collections::HashMap;
use std::io;

use half::{bf16, f16};

use super::error::Error;
use crate::graph::Shape;
use crate::graph::onnx::{TensorProto, data_type};

/// A tensor of a model file.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// The shape.
    pub shape: Shape,
    /// The elements.
    pub elements: Elements,
}

/// Elements in row-major order. Other floating-point types are converted to single precision, other integers to int64.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Floats.
    F32(Vec<f32>),
    /// Integers.
    I64(Vec<i64>),
    /// Booleans.
    Bool(Vec<bool>),
}

impl Elements {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(data) => data.len(),
            Self::I64(data) => data.len(),
            Self::Bool(data) => data.len(),
        }
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl HostTensor {
    /// A one-dimensional tensor of integers.
    #[must_use]
    pub fn list(numbers: Vec<i64>) -> Self {
        Self {
            shape: Shape::from([numbers.len()]),
            elements: Elements::I64(numbers),
        }
    }

    /// Its elements if they are integers.
    #[must_use]
    pub fn integers(&self) -> Option<&[i64]> {
        match &self.elements {
            Elements::I64(data) => Some(data),
            _ => None,
        }
    }

    /// Its elements if they are floats.
    #[must_use]
    pub fn floats(&self) -> Option<&[f32]> {
        match &self.elements {
            Elements::F32(data) => Some(data),
            _ => None,
        }
    }
}

/// Location of a tensor's external data; `None` if its elements are in the model file.
pub(super) fn location(tensor: &TensorProto) -> Option<&str> {
    (tensor.data_location == 1).then(|| entry(tensor, "location").unwrap_or_default())
}

/// An entry of a tensor's `external_data`.
fn entry<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    let found = tensor.external_data.iter().find(|pair| pair.key == key);
    found.map(|pair| pair.value.as_str())
}

/// A model's external data files, each read once.
pub(super) struct Files<'a> {
    open: &'a dyn Fn(&str) -> io::Result<Vec<u8>>,
    read: HashMap<String, Vec<u8>>,
}

impl<'a> Files<'a> {
    pub(super) fn new(open: &'a dyn Fn(&str) -> io::Result<Vec<u8>>) -> Self {
        Self {
            open,
            read: HashMap::new(),
        }
    }

    /// Decodes a tensor.
    pub(super) fn tensor(&mut self, tensor: &TensorProto) -> Result<HostTensor, Error> {
        let shape: Shape = tensor
            .dims
            .iter()
            .map(|&extent| usize::try_from(extent).unwrap_or(0))
            .collect();
        let elements = match location(tensor) {
            Some(location) => elements(tensor, self.part(tensor, location)?),
            None => elements(tensor, &tensor.raw_data),
        }?;
        let found = elements.len();
        if found != shape.elements() {
            let (name, dims) = (tensor.name.clone(), tensor.dims.clone());
            return Err(Error::TensorSize { name, dims, found });
        }
        Ok(HostTensor { shape, elements })
    }

    /// The bytes of a tensor in an external data file.
    fn part(&mut self, tensor: &TensorProto, location: &str) -> Result<&[u8], Error> {
        let refused = |source: io::Error| Error::External {
            name: tensor.name.clone(),
            location: location.to_owned(),
            source,
        };
        if !self.read.contains_key(location) {
            let bytes = (self.open)(location).map_err(refused)?;
            self.read.insert(location.to_owned(), bytes);
        }
        let bytes = &self.read[location];
        let number = |key: &str, default: usize| {
            entry(tensor, key).map_or(Ok(default), |text| text.parse().map_err(io::Error::other))
        };
        let offset: usize = number("offset", 0).map_err(refused)?;
        let length = number("length", bytes.len().saturating_sub(offset)).map_err(refused)?;
        offset
            .checked_add(length)
            .and_then(|end| bytes.get(offset..end))
            .ok_or_else(|| refused(io::ErrorKind::UnexpectedEof.into()))
    }
}

/// The elements of a tensor: from `raw` if it is not empty, otherwise from the field of their type.
#[expect(
    clippy::cast_possible_truncation,
    reason = "networks in double precision are trained in single precision, and small types are stored in int32 entries"
)]
fn elements(tensor: &TensorProto, raw: &[u8]) -> Result<Elements, Error> {
    let small = || tensor.int32_data.iter().copied();
    let integers = |numbers: Vec<i64>| match raw.is_empty() {
        true => Elements::I64(small().map(i64::from).collect()),
        false => Elements::I64(numbers),
    };
    Ok(match tensor.data_type {
        data_type::FLOAT if raw.is_empty() => Elements::F32(tensor.float_data.clone()),
        data_type::FLOAT => Elements::F32(words(raw).map(f32::from_le_bytes).collect()),
        data_type::DOUBLE if raw.is_empty() => {
            Elements::F32(tensor.double_data.iter().map(|&number| number as f32).collect())
        }
        data_type::DOUBLE => Elements::F32(words(raw).map(|word| f64::from_le_bytes(word) as f32).collect()),
        data_type::FLOAT16 if raw.is_empty() => {
            Elements::F32(small().map(|bits| f16::from_bits(bits as u16).to_f32()).collect())
        }
        data_type::FLOAT16 => {
            Elements::F32(words(raw).map(|word| f16::from_le_bytes(word).to_f32()).collect())
        }
        data_type::BFLOAT16 if raw.is_empty() => Elements::F32(
            small()
                .map(|bits| bf16::from_bits(bits as u16).to_f32())
                .collect(),
        ),
        data_type::BFLOAT16 => Elements::F32(
            words(raw)
                .map(|word| bf16::from_le_bytes(word).to_f32())
                .collect(),
        ),
        data_type::INT64 if raw.is_empty() => Elements::I64(tensor.int64_data.clone()),
        data_type::INT64 => Elements::I64(words(raw).map(i64::from_le_bytes).collect()),
        data_type::INT32 => integers(words(raw).map(|word| i32::from_le_bytes(word).into()).collect()),
        data_type::INT16 => integers(words(raw).map(|word| i16::from_le_bytes(word).into()).collect()),
        data_type::UINT16 => integers(words(raw).map(|word| u16::from_le_bytes(word).into()).collect()),
        data_type::INT8 => integers(words(raw).map(|word| i8::from_le_bytes(word).into()).collect()),
        data_type::UINT8 => integers(words(raw).map(|word| u8::from_le_bytes(word).into()).collect()),
        data_type::BOOL if raw.is_empty() => Elements::Bool(small().map(|number| number != 0).collect()),
        data_type::BOOL => Elements::Bool(raw.iter().map(|&byte| byte != 0).collect()),
        data_type => {
            let name = tensor.name.clone();
            return Err(Error::TensorType { name, data_type });
        }
    })
}

fn words<const SIZE: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; SIZE]> {
    bytes
        .chunks_exact(SIZE)
        .map(|word| word.try_into().expect("the chunk has that size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_types_are_read_from_bytes_and_from_entries() {
        let read = |data_type: i32, bytes: &[u8], entries: &[i32]| {
            let tensor = TensorProto {
                data_type,
                dims: vec![2],
                raw_data: bytes.to_vec(),
                int32_data: entries.to_vec(),
                ..TensorProto::default()
            };
            let mut files = Files::new(&|_| unreachable!("the elements are in the model file"));
            files.tensor(&tensor).expect("a supported type").elements
        };
        let floats = Elements::F32(vec![1.5, -2.0]);
        assert_eq!(read(data_type::FLOAT16, &[0x00, 0x3E, 0x00, 0xC0], &[]), floats);
        assert_eq!(read(data_type::FLOAT16, &[], &[0x3E00, 0xC000]), floats);
        assert_eq!(read(data_type::BFLOAT16, &[0xC0, 0x3F, 0x00, 0xC0], &[]), floats);
        assert_eq!(read(data_type::BFLOAT16, &[], &[0x3FC0, 0xC000]), floats);
        let integers = Elements::I64(vec![-3, 100]);
        assert_eq!(read(data_type::INT8, &[0xFD, 100], &[]), integers);
        assert_eq!(read(data_type::INT8, &[], &[-3, 100]), integers);
        assert_eq!(read(data_type::INT16, &[0xFD, 0xFF, 100, 0], &[]), integers);
        assert_eq!(
            read(data_type::UINT8, &[0xFD, 100], &[]),
            Elements::I64(vec![253, 100])
        );
        assert_eq!(
            read(data_type::UINT16, &[0xFD, 0xFF, 100, 0], &[]),
            Elements::I64(vec![65533, 100])
        );
    }

    #[test]
    fn a_part_outside_an_external_file_is_refused() {
        let tensor = |offset: &str, length: &str| {
            let pair = |key: &str, value: &str| crate::graph::onnx::StringStringEntryProto {
                key: key.to_owned(),
                value: value.to_owned(),
            };
            TensorProto {
                data_type: data_type::FLOAT,
                dims: vec![2],
                external_data: vec![
                    pair("location", "data"),
                    pair("offset", offset),
                    pair("length", length),
                ],
                data_location: 1,
                ..TensorProto::default()
            }
        };
        let read = |offset: &str, length: &str| {
            let mut files = Files::new(&|_| Ok(vec![0; 16]));
            files.tensor(&tensor(offset, length))
        };
        assert!(read("8", "8").is_ok());
        for (offset, length) in [
            ("12", "8"),
            ("18446744073709551615", "8"),
            ("-1", "8"),
            ("0", "x"),
        ] {
            let error = read(offset, length).expect_err("refused");
            assert!(
                matches!(error, Error::External { .. }),
                "{offset} {length}: {error}"
            );
        }
    }
}
