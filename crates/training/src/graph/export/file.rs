//! A model file in pieces, so that its tensors are not copied.

use std::borrow::Cow;
use std::io;

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::graph::onnx::{GraphProto, ModelProto, TensorProto};

/// The bytes of a model file; those of its parameters are borrowed.
#[derive(Clone, Debug)]
pub struct ModelFile<'a> {
    pieces: Vec<Cow<'a, [u8]>>,
}

impl ModelFile<'_> {
    /// Writes the file.
    ///
    /// # Errors
    /// Those of `file`.
    pub fn write(&self, file: &mut dyn io::Write) -> io::Result<()> {
        self.pieces.iter().try_for_each(|piece| file.write_all(piece))
    }

    /// All bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}

/// A tensor of a model file.
pub(super) struct Initializer<'a> {
    /// The tensor without its elements.
    pub(super) header: TensorProto,
    /// The elements, `raw_data`.
    pub(super) elements: Cow<'a, [u8]>,
}

impl Initializer<'_> {
    /// All that it consists of.
    pub(super) fn content(&self) -> Vec<u8> {
        let mut content = self.header.encode_to_vec();
        content.extend_from_slice(&self.elements);
        content
    }
}

/// Numbers of the fields that are written here.
const GRAPH: u32 = 7;
const INITIALIZER: u32 = 5;
const RAW_DATA: u32 = 9;

/// The file of `model`, whose graph also has these initializers. Fields are in the order of their numbers, as `prost` writes them.
pub(super) fn assemble<'a>(mut model: ModelProto, initializers: Vec<Initializer<'a>>) -> ModelFile<'a> {
    let mut graph = model.graph.take().unwrap_or_default();
    let rest = GraphProto {
        input: std::mem::take(&mut graph.input),
        output: std::mem::take(&mut graph.output),
        ..GraphProto::default()
    };
    let after_graph = ModelProto {
        opset_import: std::mem::take(&mut model.opset_import),
        metadata_props: std::mem::take(&mut model.metadata_props),
        ..ModelProto::default()
    };
    let mut of_graph = vec![Cow::Owned(graph.encode_to_vec())];
    of_graph.extend(initializers.into_iter().flat_map(tensor));
    of_graph.push(Cow::Owned(rest.encode_to_vec()));
    let mut start = model.encode_to_vec();
    let length = of_graph.iter().map(|piece| piece.len()).sum();
    field(GRAPH, length, &mut start);
    let mut pieces = vec![Cow::Owned(start)];
    pieces.append(&mut of_graph);
    pieces.push(Cow::Owned(after_graph.encode_to_vec()));
    ModelFile { pieces }
}

/// The field of an initializer: all but its elements, and the elements.
fn tensor(Initializer { header, elements }: Initializer<'_>) -> [Cow<'_, [u8]>; 2] {
    let mut of_tensor = header.encode_to_vec();
    if !elements.is_empty() {
        field(RAW_DATA, elements.len(), &mut of_tensor);
    }
    let mut start = vec![];
    field(INITIALIZER, of_tensor.len() + elements.len(), &mut start);
    start.append(&mut of_tensor);
    [Cow::Owned(start), elements]
}

/// Begins a field of `length` bytes.
fn field(number: u32, length: usize, bytes: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, bytes);
    encode_varint(length as u64, bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::onnx::{NodeProto, OperatorSetIdProto, StringStringEntryProto, ValueInfoProto};

    fn tensor(name: &str, raw_data: Vec<u8>) -> TensorProto {
        TensorProto {
            dims: vec![2, 300],
            data_type: 1,
            name: name.to_owned(),
            raw_data,
            ..TensorProto::default()
        }
    }

    #[test]
    fn the_pieces_are_what_prost_encodes() {
        let tensors = [
            tensor("w", vec![7; 2400]),
            tensor("empty", vec![]),
            tensor("b", vec![1, 2]),
        ];
        let value = |name: &str| ValueInfoProto {
            name: name.to_owned(),
            r#type: None,
        };
        let graph = GraphProto {
            node: vec![NodeProto::default(); 3],
            name: "graph".to_owned(),
            initializer: vec![],
            input: vec![value("x")],
            output: vec![value("y"), value("z")],
        };
        let model = ModelProto {
            ir_version: 8,
            producer_name: "a".to_owned(),
            producer_version: "1".to_owned(),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: 17,
            }],
            metadata_props: vec![StringStringEntryProto::default()],
        };
        let mut whole = model.clone();
        if let Some(graph) = &mut whole.graph {
            graph.initializer = tensors.to_vec();
        }
        let initializers = tensors.into_iter().map(|mut header| Initializer {
            elements: std::mem::take(&mut header.raw_data).into(),
            header,
        });
        let file = assemble(model, initializers.collect());
        assert_eq!(file.to_bytes(), whole.encode_to_vec());
        let mut written = vec![];
        file.write(&mut written).expect("memory can be written to");
        assert_eq!(written, file.to_bytes());
    }
}
