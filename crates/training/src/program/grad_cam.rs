use super::builder::info;
use super::{Error, Program, Signature};
use crate::autodiff::gradients;
use crate::graph::export::{self, ExportOptions};
use crate::graph::op::Reduce;
use crate::graph::{ElementType, Graph, Node, Op, TensorType, Value, lower};
use crate::nn::{Builder, Mode, OnnxModel};

/// Compiles a Grad-CAM program: a heat map of the image regions that contribute to a class, from the network's last feature maps.
///
/// # Shapes
/// `images: f32[1, 3, S, S]`, `labels: i64[1] → attention: f32[1, h, w]`, non-negative, with the extents of the feature maps.
///
/// # Errors
/// [`Error::Network`] if the network cannot be built, [`Error::Spec`] if it has no global pooling layer.
pub fn grad_cam(network: &OnnxModel, classes: usize, image_size: usize) -> Result<Program, Error> {
    let mut graph = Graph::new();
    let images = graph.input("images", TensorType::f32([1, 3, image_size, image_size]))?;
    let labels = graph.input("labels", TensorType::new(ElementType::I64, [1]))?;
    let mut builder = Builder::new(&mut graph, Mode::Inference);
    let logits = network.build(&mut builder, images, classes)?;
    let state = network.state(&builder, 0);
    let attention = graph.scoped("attention", |graph| add_grad_cam(graph, logits, labels))?;
    graph.output("attention", attention)?;
    let options = ExportOptions {
        name: "attention",
        fixed: Some(&state),
        ..ExportOptions::default()
    };
    let signature = Signature {
        inputs: vec![info(&graph, "images", images), info(&graph, "labels", labels)],
        outputs: vec![info(&graph, "attention", attention)],
        ..Signature::default()
    };
    Ok(Program {
        model: export::export(&lower::lower_inference(&graph)?, &options)?,
        signature,
    })
}

/// Adds nodes that compute the Grad-CAM map of each image for the class that its label names.
///
/// With `A_k` the input maps of the last global pooling and `y_c` the logit of class c, the weight of a map is the spatial mean of
/// `∂y_c/∂A_k`, and the result is `ReLU(Σ_k weight_k · A_k)`. The logits of an image must not depend on other images, as they do with
/// training-mode batch norms.
///
/// # Shapes
/// `logits: f32[N, classes]`, `labels: i64[N] → f32[N, h, w]`.
///
/// # Errors
/// [`Error::Spec`] if the graph has no global pooling, [`Error::Gradient`] if the logits cannot be differentiated.
///
/// # Source
/// Selvaraju et al., *Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization*, ICCV 2017, equations 1 and 2.
pub fn add_grad_cam(graph: &mut Graph, logits: Value, labels: Value) -> Result<Value, Error> {
    let maps = pooled(graph).ok_or(Error::Spec {
        field: "global pooling layers",
        found: 0,
        expected: "at least 1, because Grad-CAM uses its input feature maps",
    })?;
    let along = |axes: &[usize], keep_axes| Reduce {
        axes: axes.to_vec(),
        keep_axes,
    };
    let classes = graph.shape(logits)[1];
    let chosen = graph.one_hot(labels, classes)?;
    let chosen = graph.mul(logits, chosen)?;
    let score = graph.reduce_sum(chosen, along(&[0, 1], false))?;
    let gradient = gradients(graph, score, &[maps])?[0];
    let weights = graph.reduce_mean(gradient, along(&[2, 3], true))?;
    let weighted = graph.mul(maps, weights)?;
    let total = graph.reduce_sum(weighted, along(&[1], false))?;
    Ok(graph.relu(total)?)
}

/// The input of the last global pooling.
fn pooled(graph: &Graph) -> Option<Value> {
    let pools = |node: &&Node| match &node.op {
        Op::GlobalAveragePool => true,
        Op::ReduceMean(reduce) => reduce.axes == [2, 3] && graph.shape(node.inputs[0]).len() == 4,
        _ => false,
    };
    graph.nodes().iter().rev().find(pools).map(|node| node.inputs[0])
}
