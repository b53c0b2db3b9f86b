use super::builder::ProgramBuilder;
use super::groups::Trained;
use super::{ElementType, Error, TrainSpec, ValueInfo};
use crate::autodiff::gradients;
use crate::graph::autocast::autocast;
use crate::graph::{TensorType, Value};
use crate::nn::{self, Builder, Mode, Parameter, Statistic};

/// Forward and backward pass of one batch or micro-batch.
pub(super) struct ForwardBackward {
    /// All parameters, in the order of the layers.
    pub(super) parameters: Vec<Parameter>,
    /// The parameters that are trained.
    pub(super) trained: Vec<Trained>,
    /// Gradients of the (scaled) loss, one per trained parameter.
    pub(super) gradients: Vec<Value>,
    /// Running statistics.
    pub(super) statistics: Vec<Statistic>,
    /// The loss scale, if the loss is scaled before differentiation.
    pub(super) loss_scale: Option<Value>,
}

/// Adds the forward and backward pass with its inputs and outputs. If `is_accumulating` (`bool[]`) is true, running statistics continue from
/// those staged by the previous micro-batch.
pub(super) fn forward_backward(
    spec: &TrainSpec,
    program: &mut ProgramBuilder,
    is_accumulating: Option<Value>,
) -> Result<ForwardBackward, Error> {
    let shape = spec.images.shape(spec.batch_size, spec.model.image_size);
    let images = program.input("images", TensorType::new(spec.images.element_type(), shape))?;
    let targets = program.input("targets", TensorType::f32([spec.batch_size, spec.model.classes]))?;
    let normal = spec.images.normalised(&mut program.graph, images)?;
    let mut builder = Builder::new(&mut program.graph, Mode::Train);
    builder.is_accumulating = is_accumulating;
    let logits = spec.model.build(&mut builder, normal)?;
    let (mut parameters, mut statistics) = (builder.parameters().to_vec(), builder.statistics().to_vec());
    let dropout = builder.dropouts().to_vec();
    let g = &mut program.graph;
    let mut loss = g.scoped("loss", |g| nn::loss(g, logits, targets, spec.focal))?;
    let mut logits = logits;
    if let Some(format) = spec.precision.format() {
        let mut low = autocast(g, format)?;
        let own = parameters.iter_mut().map(|parameter| &mut parameter.value);
        let own = own.chain(statistics.iter_mut().flat_map(Statistic::values_mut));
        for value in own.chain([&mut loss, &mut logits]) {
            *value = low.of(*value)?;
        }
        *g = low.graph;
    }
    let mut loss_scale = None;
    let mut objective = loss;
    if spec.precision.is_scaled() {
        let scale = program.scalar("loss_scale")?;
        objective = program.graph.scoped("loss_scale", |g| g.mul(loss, scale))?;
        loss_scale = Some(scale);
    }
    let trained = spec.trained(&parameters)?;
    let wrt: Vec<Value> = trained.iter().map(|trained| trained.parameter.value).collect();
    let gradients = gradients(&mut program.graph, objective, &wrt)?;
    program.output("loss", loss)?;
    program.output("logits", logits)?;
    let masks = dropout.iter().map(|mask| ValueInfo {
        name: mask.name.clone(),
        element_type: ElementType::F32,
        shape: mask.shape.clone(),
    });
    program.signature.inputs.extend(masks);
    program.signature.dropout = dropout;
    Ok(ForwardBackward {
        parameters,
        trained,
        gradients,
        statistics,
        loss_scale,
    })
}
