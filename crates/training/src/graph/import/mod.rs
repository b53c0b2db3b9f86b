//! A model of somebody else's, read from the bytes of an ONNX file.
//!
//! What is read is what stands in the file: named nodes with attributes, tensors, and declarations. What its operators mean is for those to
//! know who build a [`Graph`](super::Graph) from it.

mod attributes;
mod error;
mod tensor;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use prost::Message as _;

pub use self::attributes::Attributes;
pub use self::error::Error;
pub use self::tensor::{Elements, HostTensor};
use super::onnx::{CONSTANT, Extent, GraphProto, ModelProto, PRODUCER, ValueInfoProto, data_type};
use super::{ElementType, Shape};

/// The versions of the operator set whose models are understood.
pub const OPSETS: std::ops::RangeInclusive<i64> = 11..=24;

/// A model as its file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Version of ONNX's default operator set.
    pub opset: i64,
    /// What a run is given: declared inputs that no initialiser fills.
    pub inputs: Vec<Declaration>,
    /// Names of what a run is made for.
    pub outputs: Vec<String>,
    /// In an order in which every node comes behind those whose results it reads.
    pub nodes: Vec<ModelNode>,
    /// Tensors kept in the file, by name.
    pub initializers: BTreeMap<String, HostTensor>,
    /// Key and value pairs kept in the file.
    pub metadata: Vec<(String, String)>,
    /// Whether [`export`](super::export) has written it, so that tensors it names as constants are no weights.
    pub is_own: bool,
}

impl Model {
    /// Whether a tensor of the file is a constant of the program that wrote it, and no weight.
    #[must_use]
    pub fn is_constant(&self, name: &str) -> bool {
        self.is_own && name.starts_with(CONSTANT)
    }
}

/// One operator of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelNode {
    /// Its name; where the file gives none, that of its first result.
    pub name: String,
    /// Name of the operator; outside the default domain, with the domain before it.
    pub operator: String,
    /// Names of what it reads; empty where an optional operand is left out.
    pub inputs: Vec<String>,
    /// Names of its results.
    pub outputs: Vec<String>,
    /// Everything else it says.
    pub attributes: Attributes,
}

/// Name and type of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Its name.
    pub name: String,
    /// What one element is; `None` for what no graph of ours can hold.
    pub element_type: Option<ElementType>,
    /// The extents; `None` where the model leaves one open.
    pub shape: Vec<Option<usize>>,
}

/// Reads the bytes of a model. `external` reads a file that the model keeps tensors in, named as the model names it.
///
/// # Errors
/// [`Error::Damaged`] for bytes that are no model, [`Error::Opset`] for a model of an unknown operator set, [`Error::TensorType`],
/// [`Error::TensorSize`] and [`Error::External`] for a tensor that cannot be read.
pub fn read(bytes: &[u8], external: &dyn Fn(&str) -> io::Result<Vec<u8>>) -> Result<Model, Error> {
    let model = ModelProto::decode(bytes).map_err(|error| Error::Damaged {
        reason: error.to_string(),
    })?;
    let opset = model
        .opset_import
        .iter()
        .find(|opset| matches!(&*opset.domain, "" | "ai.onnx"))
        .map_or(0, |opset| opset.version);
    let graph = model.graph.ok_or_else(|| Error::Damaged {
        reason: "it holds no graph".to_owned(),
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
        is_own: model.producer_name == PRODUCER,
    })
}

/// The names of the files that a model keeps tensors in, as it names them, each once and in order.
///
/// # Errors
/// [`Error::Damaged`] for bytes that are no model.
pub fn external_files(bytes: &[u8]) -> Result<BTreeSet<String>, Error> {
    let model = ModelProto::decode(bytes).map_err(|error| Error::Damaged {
        reason: error.to_string(),
    })?;
    let graph = model.graph.unwrap_or_default();
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    let tensors = attributes.filter_map(|attribute| attribute.t.as_ref());
    let tensors = graph.initializer.iter().chain(tensors);
    Ok(tensors.filter_map(tensor::location).map(str::to_owned).collect())
}

fn nodes(graph: GraphProto, files: &mut tensor::Files<'_>) -> Result<Vec<ModelNode>, Error> {
    let read = |node: super::onnx::NodeProto| {
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

fn element_type_of(code: i32) -> Option<ElementType> {
    Some(match code {
        data_type::FLOAT => ElementType::F32,
        data_type::FLOAT16 => ElementType::F16,
        data_type::BFLOAT16 => ElementType::Bf16,
        data_type::UINT8 => ElementType::U8,
        data_type::INT64 => ElementType::I64,
        data_type::BOOL => ElementType::Bool,
        _ => return None,
    })
}
