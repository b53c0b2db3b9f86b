use super::builder::ProgramBuilder;
use super::groups::Trained;
use super::{ElementType, Error, TrainSpec, ValueInfo};
use crate::autodiff::gradients;
use crate::graph::Value;
use crate::graph::autocast::autocast;
use crate::nn::{Builder, Mode, Parameter, Statistic};

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
    let before = program.signature.inputs.len();
    let inputs = spec.model.inputs(spec.batch_size, spec.images)?;
    let values = inputs.iter();
    let values = values.map(|(name, tensor_type)| program.input(name, tensor_type.clone()));
    let values: Vec<Value> = values.collect::<Result<_, _>>()?;
    let mut builder = Builder::new(&mut program.graph, Mode::Train);
    builder.is_accumulating = is_accumulating;
    if spec.norms_are_frozen {
        builder.norm_mode = Mode::Inference;
    }
    let mut outputs = spec.model.build(&mut builder, &values, spec.images)?;
    let (mut parameters, mut statistics) = (builder.parameters().to_vec(), builder.statistics().to_vec());
    let dropout = builder.dropouts().to_vec();
    let names = inputs.into_iter().map(|(name, _)| name);
    let values = names.zip(values).chain(outputs.iter().cloned());
    let mut loss = spec.loss.build(program, values.collect())?;
    let batch = program.signature.inputs[before..].iter();
    program.signature.batch = batch.map(|input| input.name.clone()).collect();
    if let Some(format) = spec.precision.format() {
        let mut low = autocast(&program.graph, format)?;
        let own = parameters.iter_mut().map(|parameter| &mut parameter.value);
        let own = own.chain(statistics.iter_mut().flat_map(Statistic::values_mut));
        let own = own.chain(outputs.iter_mut().map(|(_, value)| value));
        for value in own.chain([&mut loss]) {
            *value = low.of(*value)?;
        }
        program.graph = low.graph;
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
    for (name, value) in outputs {
        // A runner's outputs are in single precision.
        if program.graph.tensor_type(value).element_type == ElementType::F32 && name != "loss" {
            program.output(&name, value)?;
        }
    }
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
