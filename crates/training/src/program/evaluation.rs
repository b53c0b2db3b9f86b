use super::builder::ProgramBuilder;
use super::pack;
use super::{Error, Images, ModelSpec, Program, Role, Signature, add_grad_cam};
use crate::graph::export::{self, ExportOptions};
use crate::graph::lower::{self, Kernels};
use crate::graph::{ElementType, Op, TensorType, Value, fuse};
use crate::nn::{Builder, Mode};

/// Compiles a model for inference on `batch` samples, with parameters and running statistics as state that does not change: a runner binds those of
/// a training step of signature `step`, and always computes with their current values. `None` if ONNX Runtime's CPU provider is to compute convolutions: it is much
/// faster if their weights are initializers, as those of [`inference`](super::inference()) are.
///
/// # Shapes
/// Of classifiers `images: f32[batch, 3, S, S] → logits: f32[batch, classes]`; of other networks those of the file.
///
/// # Determinism
/// A pure function of its arguments, byte for byte.
///
/// # Errors
/// [`Error::Spec`] if the model is invalid.
pub fn evaluation(
    model: &ModelSpec,
    of: (usize, Kernels),
    step: &Signature,
) -> Result<Option<Program>, Error> {
    in_place(model, of, step, |program, outputs| {
        outputs
            .into_iter()
            .try_for_each(|(name, value)| program.output(&name, value))
    })
}

/// Compiles the [`grad_cam`](super::grad_cam()) of `batch` images as [`evaluation`] compiles their logits.
///
/// # Shapes
/// `images: f32[batch, 3, S, S]`, `labels: i64[batch] → attention: f32[batch, h, w]`, non-negative, with the extents of the feature maps.
///
/// # Errors
/// [`Error::Spec`] if the model is invalid, or has no global pooling layer.
pub fn grad_cam_in_place(
    model: &ModelSpec,
    of: (usize, Kernels),
    step: &Signature,
) -> Result<Option<Program>, Error> {
    in_place(model, of, step, |program, outputs| {
        let labels = program.input("labels", TensorType::new(ElementType::I64, [of.0]))?;
        let graph = &mut program.graph;
        let attention = graph.scoped("attention", |graph| add_grad_cam(graph, outputs[0].1, labels))?;
        program.output("attention", attention)
    })
}

/// Compiles what `add_outputs` adds to the graph of a model's outputs.
fn in_place(
    model: &ModelSpec,
    (batch, kernels): (usize, Kernels),
    step: &Signature,
    add_outputs: impl FnOnce(&mut ProgramBuilder, Vec<(String, Value)>) -> Result<(), Error>,
) -> Result<Option<Program>, Error> {
    model.check()?;
    let mut program = ProgramBuilder::default();
    let inputs = model.inputs(batch, Images::F32)?.into_iter();
    let inputs = inputs.map(|(name, tensor_type)| program.input(&name, tensor_type));
    let inputs: Vec<Value> = inputs.collect::<Result<_, _>>()?;
    let mut builder = Builder::new(&mut program.graph, Mode::Inference);
    let outputs = model.build(&mut builder, &inputs, Images::F32)?;
    let (parameters, statistics) = (builder.parameters().to_vec(), builder.statistics().to_vec());
    add_outputs(&mut program, outputs)?;
    pack::same_state(&mut program, &parameters, step)?;
    for statistic in statistics {
        program.state(&statistic.name, Role::Statistic, statistic.value, None)?;
    }
    let graph = pack::with_packs(program.graph, &program.packs)?;
    let graph = if kernels == Kernels::CpuFused {
        fuse::fuse(&graph)?
    } else {
        graph
    };
    let is_conv = |op: &Op| matches!(op, Op::Conv(_));
    if !kernels.are_of_cuda() && graph.nodes().iter().any(|node| is_conv(&node.op)) {
        return Ok(None);
    }
    let options = ExportOptions {
        name: "evaluation",
        ..ExportOptions::default()
    };
    Ok(Some(Program {
        model: export::export(&lower::lower_inference(&graph)?, &options)?,
        signature: program.signature,
    }))
}
