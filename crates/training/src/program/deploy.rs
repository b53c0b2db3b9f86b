use std::collections::BTreeMap;

use super::builder::info;
use super::{Error, Images, Program, Signature};
use crate::graph::export::{self, DynamicBatch, ExportOptions};
use crate::graph::{Graph, Tensor, TensorType, fuse_bn, lower};
use crate::nn::{Builder, Mode, OnnxModel};

/// How a trained model is handed to others.
#[derive(Clone, Debug)]
pub struct DeploySpec<'a> {
    /// Number of classes.
    pub classes: usize,
    /// Height and width of the images, in pixels.
    pub image_size: usize,
    /// Whether batch norms are merged into the layers beside them.
    pub fuse_bn: bool,
    /// What it takes.
    pub images: Images,
    /// Version of ONNX's operator set.
    pub opset: i64,
    /// Key and value pairs kept in the file.
    pub metadata: &'a [(String, String)],
}

/// Compiles a model that was read from a file for prediction elsewhere, with any number of images per run.
///
/// # Shapes
/// `images` as [`Images`] says `→ logits: f32[N, classes], probabilities: f32[N, classes]`, with N open.
///
/// # Determinism
/// A pure function of its arguments, byte for byte.
///
/// # Errors
/// [`Error::Network`] where the network cannot be built, [`Error::Graph`] where it cannot be written.
pub fn deploy(network: &OnnxModel, spec: &DeploySpec<'_>) -> Result<Program, Error> {
    let [graph, resized] = [1, 2].map(|batch| typed(network, spec, batch));
    let ((graph, state), (resized, _)) = (graph?, resized?);
    let resized = lower::lower(&resized)?;
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
        model: export::export(&lower::lower(&graph)?, &options)?,
        signature,
    })
}

/// The graph for a number of images, and its parameters.
fn typed(
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
    let probabilities = graph.softmax(logits)?;
    for (name, value) in [("logits", logits), ("probabilities", probabilities)] {
        graph.output(name, value)?;
    }
    if spec.fuse_bn {
        return Ok(fuse_bn::fuse_bn(&graph, &state)?);
    }
    Ok((graph, state))
}
