use std::collections::BTreeMap;

use super::error::Error;
use super::tensor::{Files, HostTensor};
use crate::graph::onnx::{AttributeProto, attribute_type};

/// The attributes of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(BTreeMap<String, Attribute>);

#[derive(Clone, Debug, PartialEq)]
enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Floats(Vec<f32>),
    Text(String),
    Tensor(HostTensor),
}

macro_rules! getters {
    ($($(#[$doc:meta])* $getter:ident: $variant:ident => $type:ty;)+) => {
        impl Attributes {
            $($(#[$doc])*
            #[must_use]
            pub fn $getter(&self, name: &str) -> Option<$type> {
                match self.0.get(name) {
                    Some(Attribute::$variant(value)) => Some(value.clone()),
                    _ => None,
                }
            })+
        }
    };
}

getters! {
    /// An `INT` attribute.
    int: Int => i64;
    /// An `INTS` attribute.
    ints: Ints => Vec<i64>;
    /// A `FLOAT` attribute.
    float: Float => f32;
    /// A `FLOATS` attribute.
    floats: Floats => Vec<f32>;
    /// A `STRING` attribute.
    text: Text => String;
    /// A `TENSOR` attribute.
    tensor: Tensor => HostTensor;
}

impl Attributes {
    pub(super) fn read(
        node: &str,
        attributes: Vec<AttributeProto>,
        files: &mut Files<'_>,
    ) -> Result<Self, Error> {
        let read = |attribute: AttributeProto| {
            let value = match attribute.r#type {
                attribute_type::INT => Attribute::Int(attribute.i),
                attribute_type::INTS => Attribute::Ints(attribute.ints),
                attribute_type::FLOAT => Attribute::Float(attribute.f),
                attribute_type::FLOATS => Attribute::Floats(attribute.floats),
                attribute_type::STRING => Attribute::Text(String::from_utf8_lossy(&attribute.s).into_owned()),
                attribute_type::TENSOR => Attribute::Tensor(files.tensor(&attribute.t.unwrap_or_default())?),
                kind => {
                    let node = node.to_owned();
                    return Err(Error::Attribute {
                        node,
                        attribute: attribute.name,
                        kind,
                    });
                }
            };
            Ok((attribute.name, value))
        };
        attributes
            .into_iter()
            .map(read)
            .collect::<Result<_, Error>>()
            .map(Self)
    }

    /// The names of all attributes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
