use std::collections::HashMap;

use super::attributes::{NodeContext, encode};
use super::dynamic_batch::{self, DynamicBatch, ResizedNode};
use super::file::{Initializer, ModelFile, assemble};
use super::names::Names;
use super::options::ExportOptions;
use super::tensor::{constant, data_type_of, floats, signed};
use crate::graph::onnx::{
    self, Dimension, Extent, GraphProto, ModelProto, NodeProto, OPSETS, OperatorSetIdProto,
    StringStringEntryProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::graph::{Constant, Error, Graph, Node, Op, Origin, Shape, TensorType, Value, fused};

/// Serialises a graph as an ONNX model. Nodes, constants and fixed parameters that no output depends on are left out. A graph with
/// [`Fused`](crate::graph::Fused) operators runs only if their operator domain is registered with the session.
///
/// # Determinism
/// A pure function of its arguments: equal graphs give equal bytes.
///
/// # Errors
/// [`Error::NotLowered`] if the graph contains a composite; [`Error::ParameterSize`] if the values of a fixed parameter do not match its
/// shape; [`Error::Opset`] if the operator set version is not in [`OPSETS`]; [`Error::DynamicBatch`] if the batch size is dynamic and an
/// operator depends on it.
pub fn export(graph: &Graph, options: &ExportOptions<'_, '_>) -> Result<Vec<u8>, Error> {
    Ok(model_file(graph, options)?.to_bytes())
}

/// [`export`] without copying the fixed parameters.
///
/// # Errors
/// Those of [`export`].
pub fn model_file<'p>(graph: &Graph, options: &ExportOptions<'_, 'p>) -> Result<ModelFile<'p>, Error> {
    if !OPSETS.contains(&options.opset) {
        return Err(Error::Opset {
            version: options.opset,
        });
    }
    if let Some(DynamicBatch { resized, .. }) = options.dynamic_batch {
        dynamic_batch::check(graph, resized)?;
    }
    let mut writer = Writer {
        graph,
        options,
        uses: graph.uses(),
        names: Names::new(graph),
        attributes: HashMap::new(),
        written: GraphProto::default(),
        initializers: vec![],
    };
    writer.leaves()?;
    for (position, node) in graph.nodes().iter().enumerate() {
        if node.outputs().any(|output| writer.uses[output.index()] > 0) {
            writer.node(position, node)?;
        }
    }
    writer.outputs();
    writer.written.name = options.name.to_owned();
    let is_ours = |node: &NodeProto| node.domain == fused::DOMAIN;
    let ours = writer
        .written
        .node
        .iter()
        .any(is_ours)
        .then(|| OperatorSetIdProto {
            domain: fused::DOMAIN.to_owned(),
            version: 1,
        });
    let standard = OperatorSetIdProto {
        domain: String::new(),
        version: options.opset,
    };
    let model = ModelProto {
        ir_version: onnx::ir_version(options.opset),
        producer_name: onnx::PRODUCER.to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(writer.written),
        opset_import: [standard].into_iter().chain(ours).collect(),
        metadata_props: options
            .metadata
            .iter()
            .map(|(key, value)| StringStringEntryProto {
                key: key.clone(),
                value: value.clone(),
            })
            .collect(),
    };
    Ok(assemble(model, writer.initializers))
}

struct Writer<'a, 'p> {
    graph: &'a Graph,
    options: &'a ExportOptions<'a, 'p>,
    uses: Vec<usize>,
    names: Names,
    /// Names of the constant operands that encode attributes, by content: equal ones are stored once.
    attributes: HashMap<Vec<u8>, String>,
    /// The graph without initializers.
    written: GraphProto,
    initializers: Vec<Initializer<'p>>,
}

impl Writer<'_, '_> {
    /// Declares the inputs, and stores constants and fixed parameters as initializers.
    fn leaves(&mut self) -> Result<(), Error> {
        for value in self.graph.values() {
            let TensorType { shape, .. } = self.graph.tensor_type(value);
            match self.graph.origin(value) {
                Origin::Input(name) => {
                    self.written
                        .input
                        .push(self.declaration(name, value, self.batch_name()));
                }
                Origin::Parameter(name) => match self.options.fixed.and_then(|fixed| fixed.get(name)) {
                    None => self.written.input.push(self.declaration(name, value, None)),
                    // ONNX Runtime warns about unused initializers.
                    Some(_) if self.uses[value.index()] == 0 => {}
                    Some(tensor) if tensor.data.len() == shape.elements() => {
                        self.initializers.push(floats(name, shape, &tensor.data));
                    }
                    Some(tensor) => {
                        let (name, elements) = (name.clone(), tensor.data.len());
                        return Err(Error::ParameterSize {
                            name,
                            shape: shape.clone(),
                            elements,
                        });
                    }
                },
                Origin::Constant(data) if self.uses[value.index()] > 0 => {
                    self.initializers
                        .push(constant(self.names.of(value), shape, data));
                }
                Origin::Constant(_) | Origin::Node(..) => {}
            }
        }
        Ok(())
    }

    /// Stores a constant operand that encodes an attribute, and returns its name.
    fn attribute(&mut self, shape: &Shape, data: &Constant) -> String {
        let next = self.attributes.len();
        let constant = |name: &str| constant(name, shape, data);
        let name = self.attributes.entry(constant("").content()).or_insert_with(|| {
            let name = format!("attribute.{next}");
            self.initializers.push(constant(&name));
            name
        });
        name.clone()
    }

    /// Writes the node at a position of the graph.
    fn node(&mut self, position: usize, node: &Node) -> Result<(), Error> {
        let resized = self
            .options
            .dynamic_batch
            .map(|batch| (batch.resized, &batch.resized.nodes()[position]));
        let context = NodeContext {
            opset: self.options.opset,
            resized: resized.map(|(resized, other)| ResizedNode {
                op: &other.op,
                operand: other.inputs.first().map(|&operand| resized.shape(operand)),
            }),
            operand: node.inputs.first().map(|&operand| self.graph.shape(operand)),
        };
        let mut extra = encode(&node.op, context).ok_or(Error::NotLowered {
            operator: node.op.name(),
        })?;
        let mut input: Vec<String> = node
            .inputs
            .iter()
            .map(|&value| self.names.of(value).to_owned())
            .collect();
        for (shape, data) in std::mem::take(&mut extra.constants) {
            let of_batch = resized
                .and_then(|(resized, other)| dynamic_batch::missing(self.graph, node, resized, other).next());
            let name = match (of_batch, &data) {
                (Some(axis), Constant::I64(target)) => {
                    let name = self.names.of_node(node).to_owned();
                    self.batch_target(&name, target, axis)
                }
                _ => self.attribute(&shape, &data),
            };
            input.push(name);
        }
        // Trailing outputs that are not used are left out: max pooling is faster without its indices.
        let read = node
            .outputs()
            .rposition(|output| self.uses[output.index()] > 0)
            .map_or(0, |last| last + 1);
        let mut domain = String::new();
        if let Op::Fused(_) = node.op {
            // ONNX Runtime has no shape inference for our domain, so output shapes are written as attributes.
            fused::DOMAIN.clone_into(&mut domain);
            for (position, output) in node.outputs().take(read).enumerate() {
                extra = extra.ints(&fused::shape_attribute(position), self.graph.shape(output));
            }
        }
        self.written.node.push(NodeProto {
            input,
            output: node
                .outputs()
                .take(read)
                .map(|output| self.names.of(output).to_owned())
                .collect(),
            name: self.names.of_node(node).to_owned(),
            op_type: node.op.name().to_owned(),
            attribute: extra.attributes,
            domain,
        });
        Ok(())
    }

    /// Writes nodes that compute the target shape of the Expand `name`: `fixed`, with the batch size along `axis`.
    ///
    /// The shape is taken (`Shape`) from a value that is expanded from the first input, because execution providers such as CUDA leave
    /// integer arithmetic on shapes to the CPU.
    fn batch_target(&mut self, name: &str, fixed: &[i64], axis: usize) -> String {
        let (images, shape) = dynamic_batch::inputs(self.graph)
            .next()
            .expect("`check` compared the Expand with the first input");
        let (images, rank) = (images.to_owned(), shape.len());
        let list = |numbers: Vec<i64>| (Shape::from([numbers.len()]), Constant::I64(numbers));
        let of_others = rank.saturating_sub(1);
        let mut column = vec![1; fixed.len()];
        column[axis] = -1;
        let steps = [
            (
                "Slice",
                "image",
                vec![
                    list(vec![0; of_others]),
                    list(vec![1; of_others]),
                    list((1..rank).map(signed).collect()),
                ],
            ),
            ("Reshape", "column", vec![list(column)]),
            ("Expand", "whole", vec![list(fixed.to_vec())]),
            ("Shape", "target", vec![]),
        ];
        let mut last = images;
        for (operator, part, constants) in steps {
            let mut input = vec![last];
            input.extend(constants.iter().map(|(shape, data)| self.attribute(shape, data)));
            last = format!("{name}.{part}");
            self.written.node.push(NodeProto {
                input,
                output: vec![last.clone()],
                name: last.clone(),
                op_type: operator.to_owned(),
                attribute: vec![],
                domain: String::new(),
            });
        }
        last
    }

    /// Declares the outputs. An output that is an input or constant, or a second name of a value, is copied by an Identity node.
    fn outputs(&mut self) {
        for (name, value) in self.graph.outputs() {
            self.written
                .output
                .push(self.declaration(name, *value, self.batch_name()));
            if self.names.of(*value) == name {
                continue;
            }
            self.written.node.push(NodeProto {
                input: vec![self.names.of(*value).to_owned()],
                output: vec![name.clone()],
                name: format!("output/{name}"),
                op_type: "Identity".to_owned(),
                ..NodeProto::default()
            });
        }
    }

    fn batch_name(&self) -> Option<&str> {
        self.options.dynamic_batch.map(|batch| batch.name)
    }

    fn declaration(&self, name: &str, value: Value, batch_name: Option<&str>) -> ValueInfoProto {
        let TensorType { element_type, shape } = self.graph.tensor_type(value);
        let dim = shape.iter().enumerate().map(|(axis, &extent)| Dimension {
            extent: Some(match batch_name {
                Some(name) if axis == 0 => Extent::Parameter(name.to_owned()),
                _ => Extent::Value(signed(extent)),
            }),
        });
        let tensor_type = TensorTypeProto {
            elem_type: data_type_of(*element_type),
            shape: Some(TensorShapeProto { dim: dim.collect() }),
        };
        ValueInfoProto {
            name: name.to_owned(),
            r#type: Some(TypeProto {
                tensor_type: Some(tensor_type),
            }),
        }
    }
}
