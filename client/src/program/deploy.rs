use super::assembly::info;
use super::{Error, Images, Program, Signature};
use crate::graph::export::{self, Options};
use crate::graph::{Graph, TensorType, fold, lower};
use crate::nn::{Builder, Foreign, Mode};

/// How a trained model is handed to others.
#[derive(Clone, Debug)]
pub struct DeploySpec<'a> {
    /// Number of classes.
    pub classes: usize,
    /// Height and width of the images, in pixels.
    pub image_size: usize,
    /// Whether batch norms are merged into the layers beside them.
    pub fold: bool,
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
pub fn deploy(network: &Foreign, spec: &DeploySpec<'_>) -> Result<Program, Error> {
    let size = spec.image_size;
    let mut graph = Graph::new();
    let shape = spec.images.shape(1, size);
    let images = graph.input("images", TensorType::new(spec.images.element_type(), shape))?;
    let normal = spec.images.normalised(&mut graph, images)?;
    let mut builder = Builder::new(&mut graph, Mode::Inference);
    let logits = network.build(&mut builder, normal, spec.classes)?;
    let mut state = network.state(&builder, 0);
    let probabilities = graph.softmax(logits)?;
    for (name, value) in [("logits", logits), ("probabilities", probabilities)] {
        graph.output(name, value)?;
    }
    if spec.fold {
        (graph, state) = fold::fold(&graph, &state)?;
    }
    let options = Options {
        name: "inference",
        fixed: Some(&state),
        open_batch: Some("batch"),
        metadata: spec.metadata,
        opset: spec.opset,
    };
    let outputs = graph.outputs().iter();
    let signature = Signature {
        inputs: vec![info(&graph, "images", graph.named("images").unwrap_or(images))],
        outputs: outputs.map(|(name, value)| info(&graph, name, *value)).collect(),
        ..Signature::default()
    };
    Ok(Program {
        model: export::export(&lower::lower(&graph)?, &options)?,
        signature,
    })
}
