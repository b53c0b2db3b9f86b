use super::assembly::Assembly;
use super::{ElementType, Error, TrainSpec, ValueInfo};
use crate::autodiff::gradients;
use crate::graph::{TensorType, Value};
use crate::nn::{self, Builder, Mode, Parameter, Statistic};

/// Forward and backward through the model, once over one batch.
pub(super) struct Pass {
    /// Everything that is learnt, in the order of the layers.
    pub(super) parameters: Vec<Parameter>,
    /// Those that this training moves.
    pub(super) trained: Vec<Parameter>,
    /// Of the loss, one for each of them.
    pub(super) gradients: Vec<Value>,
    /// Running statistics.
    pub(super) statistics: Vec<Statistic>,
}

/// Wires a pass with its inputs and outputs.
pub(super) fn pass(spec: &TrainSpec, program: &mut Assembly) -> Result<Pass, Error> {
    let shape = spec.images.shape(spec.batch_size, spec.model.image_size);
    let images = program.input("images", TensorType::new(spec.images.element_type(), shape))?;
    let targets = program.input("targets", TensorType::f32([spec.batch_size, spec.model.classes]))?;
    let normal = spec.images.normalised(&mut program.graph, images)?;
    let mut builder = Builder::new(&mut program.graph, Mode::Train);
    let logits = spec.model.build(&mut builder, normal)?;
    let (parameters, statistics) = (builder.parameters().to_vec(), builder.statistics().to_vec());
    let dropout = builder.dropouts().to_vec();
    let g = &mut program.graph;
    let loss = g.scoped("loss", |g| nn::loss(g, logits, targets, spec.focal))?;
    let trained = spec.trained(&parameters);
    let wrt: Vec<Value> = trained.iter().map(|parameter| parameter.value).collect();
    let gradients = gradients(g, loss, &wrt)?;
    program.output("loss", loss)?;
    program.output("logits", logits)?;
    let masks = dropout.iter().map(|mask| ValueInfo {
        name: mask.name.clone(),
        element_type: ElementType::F32,
        shape: mask.shape.clone(),
    });
    program.signature.inputs.extend(masks);
    program.signature.dropout = dropout;
    Ok(Pass {
        parameters,
        trained,
        gradients,
        statistics,
    })
}
