use std::collections::BTreeMap;

use super::builder::info;
use super::{Error, Images, Program, Signature};
use crate::graph::export::{self, DynamicBatch, ExportOptions};
use crate::graph::{Graph, Tensor, TensorType, Value, fuse_bn, lower};
use crate::nn::{self, Builder, Mode, OnnxModel};

/// Options of an exported inference model.
#[derive(Clone, Debug)]
pub struct DeploySpec<'a> {
    /// Number of classes.
    pub classes: usize,
    /// Height and width of the images, in pixels.
    pub image_size: usize,
    /// Whether batch norms are merged into adjacent layers ([`fuse_bn`]).
    pub fuse_bn: bool,
    /// Element type and layout of its input.
    pub images: Images,
    /// Added to the logits, one per class; empty: nothing. If the network ends in a linear layer, they and `scale` become part of its weight and
    /// bias, otherwise nodes.
    pub offsets: &'a [f32],
    /// Factor of the result, the inverse of a temperature; 1: none.
    pub scale: f32,
    /// ONNX operator set version.
    pub opset: i64,
    /// Metadata: key and value pairs.
    pub metadata: &'a [(String, String)],
}

/// Compiles a network that was imported from a file for inference elsewhere, with a dynamic batch size.
///
/// # Shapes
/// `images` as specified by [`Images`] `→ logits: f32[N, classes], probabilities: f32[N, classes]`, with N dynamic.
///
/// # Determinism
/// A pure function of its arguments, byte for byte.
///
/// # Errors
/// [`Error::Network`] if the network cannot be built, [`Error::Graph`] if it cannot be exported.
pub fn deploy(network: &OnnxModel, spec: &DeploySpec<'_>) -> Result<Program, Error> {
    let [graph, resized] = [1, 2].map(|batch| build_graph(network, spec, batch));
    let ((graph, state), (resized, _)) = (graph?, resized?);
    let resized = lower::lower_inference(&resized)?;
    let options = ExportOptions {
        name: "inference",
        fixed: Some(&state),
        dynamic_batch: Some(DynamicBatch {
            name: "batch",
            resized: &resized,
        }),
        metadata: spec.metadata,
        opset: spec.opset,
    };
    let images = graph.named("images").map(|images| info(&graph, "images", images));
    let outputs = graph.outputs().iter();
    let signature = Signature {
        inputs: images.into_iter().collect(),
        outputs: outputs.map(|(name, value)| info(&graph, name, *value)).collect(),
        ..Signature::default()
    };
    Ok(Program {
        model: export::export(&lower::lower_inference(&graph)?, &options)?,
        signature,
    })
}

/// The graph for a batch size, and its parameters.
fn build_graph(
    network: &OnnxModel,
    spec: &DeploySpec<'_>,
    batch: usize,
) -> Result<(Graph, BTreeMap<String, Tensor>), Error> {
    let mut graph = Graph::new();
    let shape = spec.images.shape(batch, spec.image_size);
    let images = graph.input("images", TensorType::new(spec.images.element_type(), shape))?;
    let normal = spec.images.normalised(&mut graph, images)?;
    let mut builder = Builder::new(&mut graph, Mode::Inference);
    let logits = network.build(&mut builder, normal, spec.classes)?;
    let state = network.state(&builder, 0);
    let (mut graph, state, logits) = adjusted(graph, state, logits, spec)?;
    let probabilities = graph.softmax(logits)?;
    for (name, value) in [("logits", logits), ("probabilities", probabilities)] {
        graph.output(name, value)?;
    }
    if spec.fuse_bn {
        return Ok(fuse_bn::fuse_bn(&graph, &state)?);
    }
    Ok((graph, state))
}

/// The graph with adjusted logits.
fn adjusted(
    mut graph: Graph,
    state: BTreeMap<String, Tensor>,
    logits: Value,
    spec: &DeploySpec<'_>,
) -> Result<(Graph, BTreeMap<String, Tensor>, Value), Error> {
    if spec.offsets.is_empty() && spec.scale == 1.0 {
        return Ok((graph, state, logits));
    }
    let scale = f64::from(spec.scale);
    let offset = |class| spec.offsets.get(class).map_or(0.0, |&offset| f64::from(offset));
    let shift = (0..spec.classes).map(|class| offset(class) * scale).collect();
    if let Some(folded) = fuse_bn::fold_output(&graph, &state, logits, (scale, shift))? {
        return Ok(folded);
    }
    let logits = nn::add_offsets(&mut graph, logits, spec.offsets)?;
    let logits = nn::scale(&mut graph, logits, spec.scale)?;
    Ok((graph, state, logits))
}
