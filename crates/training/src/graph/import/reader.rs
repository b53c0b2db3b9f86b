use std::collections::{BTreeMap, BTreeSet};
use std::io;

use prost::Message as _;

use super::attributes::Attributes;
use super::error::{Error, OPSETS};
use super::model::{Declaration, Model, ModelNode};
use super::tensor::{self, HostTensor};
use crate::graph::ElementType;
use crate::graph::onnx::{
    Extent, GraphProto, ModelProto, NodeProto, OLD_PRODUCER, PRODUCER, ValueInfoProto, data_type,
};

/// Parses a model. `external` returns the contents of an external data file, given the location that the model states.
///
/// # Errors
/// [`Error::Damaged`] if the bytes are not an ONNX model, [`Error::Opset`] if its operator set is not supported, [`Error::TensorType`],
/// [`Error::TensorSize`] or [`Error::External`] if a tensor cannot be read, [`Error::Attribute`] if an attribute's type is not supported.
pub fn read(bytes: &[u8], external: &dyn Fn(&str) -> io::Result<Vec<u8>>) -> Result<Model, Error> {
    let model = decode(bytes)?;
    let opset = model
        .opset_import
        .iter()
        .find(|opset| matches!(&*opset.domain, "" | "ai.onnx"))
        .map_or(0, |opset| opset.version);
    let graph = model.graph.ok_or_else(|| Error::Damaged {
        reason: "the model has no graph".to_owned(),
    })?;
    if !OPSETS.contains(&opset) {
        return Err(Error::Opset { found: opset });
    }
    let metadata = model
        .metadata_props
        .into_iter()
        .map(|pair| (pair.key, pair.value));
    let metadata = metadata.collect();
    let mut files = tensor::Files::new(external);
    let initializers: BTreeMap<String, HostTensor> = graph
        .initializer
        .iter()
        .map(|tensor| Ok((tensor.name.clone(), files.tensor(tensor)?)))
        .collect::<Result<_, Error>>()?;
    Ok(Model {
        opset,
        inputs: graph
            .input
            .iter()
            .filter(|input| !initializers.contains_key(&input.name))
            .map(declaration)
            .collect(),
        outputs: graph.output.iter().map(|output| output.name.clone()).collect(),
        nodes: nodes(graph, &mut files)?,
        initializers,
        metadata,
        is_own: [PRODUCER, OLD_PRODUCER].contains(&&*model.producer_name),
    })
}

/// A model's metadata: key and value pairs.
///
/// # Errors
/// [`Error::Damaged`] if the bytes are not an ONNX model.
pub fn metadata(bytes: &[u8]) -> Result<Vec<(String, String)>, Error> {
    let pairs = decode(bytes)?.metadata_props.into_iter();
    Ok(pairs.map(|pair| (pair.key, pair.value)).collect())
}

/// The distinct locations of a model's external data files, sorted.
///
/// # Errors
/// [`Error::Damaged`] if the bytes are not an ONNX model.
pub fn external_files(bytes: &[u8]) -> Result<BTreeSet<String>, Error> {
    let graph = decode(bytes)?.graph.unwrap_or_default();
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    let tensors = attributes.filter_map(|attribute| attribute.t.as_ref());
    let tensors = graph.initializer.iter().chain(tensors);
    Ok(tensors.filter_map(tensor::location).map(str::to_owned).collect())
}

fn decode(bytes: &[u8]) -> Result<ModelProto, Error> {
    ModelProto::decode(bytes).map_err(|error| Error::Damaged {
        reason: error.to_string(),
    })
}

fn nodes(graph: GraphProto, files: &mut tensor::Files<'_>) -> Result<Vec<ModelNode>, Error> {
    let read = |node: NodeProto| {
        let name = if node.name.is_empty() {
            node.output.first().cloned().unwrap_or_default()
        } else {
            node.name
        };
        let operator = match &*node.domain {
            "" | "ai.onnx" => node.op_type,
            domain => format!("{domain}.{}", node.op_type),
        };
        Ok(ModelNode {
            attributes: Attributes::read(&name, node.attribute, files)?,
            name,
            operator,
            inputs: node.input,
            outputs: node.output,
        })
    };
    graph.node.into_iter().map(read).collect()
}

fn declaration(info: &ValueInfoProto) -> Declaration {
    let tensor_type = info.r#type.as_ref().and_then(|value| value.tensor_type.as_ref());
    let element_type = tensor_type.and_then(|tensor_type| element_type_of(tensor_type.elem_type));
    let shape = tensor_type.and_then(|tensor_type| tensor_type.shape.as_ref());
    let extent = |extent: &Option<Extent>| match extent {
        Some(Extent::Value(extent)) => usize::try_from(*extent).ok().filter(|&extent| extent > 0),
        Some(Extent::Parameter(_)) | None => None,
    };
    Declaration {
        name: info.name.clone(),
        element_type,
        shape: shape.map_or_else(Vec::new, |shape| {
            shape.dim.iter().map(|dim| extent(&dim.extent)).collect()
        }),
    }
}

/// The element type of a `TensorProto.DataType`. As in tensors, doubles are single precision and small integers int64.
pub(crate) fn element_type_of(code: i32) -> Option<ElementType> {
    Some(match code {
        data_type::FLOAT | data_type::DOUBLE => ElementType::F32,
        data_type::FLOAT16 => ElementType::F16,
        data_type::BFLOAT16 => ElementType::Bf16,
        data_type::UINT8 => ElementType::U8,
        data_type::INT8 | data_type::INT16 | data_type::INT32 | data_type::INT64 => ElementType::I64,
        data_type::BOOL => ElementType::Bool,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::export::{ExportOptions, export};
    use crate::graph::{Graph, TensorType};

    #[test]
    fn models_of_older_versions_are_recognised() {
        let mut graph = Graph::new();
        let x = graph.input("x", TensorType::f32([2])).expect("a new name");
        let y = graph.relu(x).expect("a valid node");
        graph.output("y", y).expect("a new name");
        let options = ExportOptions {
            name: "test",
            ..ExportOptions::default()
        };
        let bytes = export(&graph, &options).expect("a valid graph");
        let read_as = |producer: &str| {
            let mut model = ModelProto::decode(&*bytes).expect("an exported model");
            producer.clone_into(&mut model.producer_name);
            read(&model.encode_to_vec(), &|_| unreachable!("it is one file")).expect("a valid model")
        };
        assert!(read_as(PRODUCER).is_own);
        assert!(read_as(OLD_PRODUCER).is_own);
        assert!(!read_as("pytorch").is_own);
    }
}
