use std::fmt::Debug;

use crate::graph::{Error, Graph, Value};

/// An optimizer: its state per parameter, its numbers per step, and the nodes of its update.
///
/// A new optimizer is one file that implements this trait. Nothing else depends on which optimizer a step uses.
pub trait Optimizer: Debug + Send + Sync {
    /// Its name, which is the scope of its nodes.
    fn name(&self) -> &'static str;

    /// Names of its state tensors per parameter. Each has the parameter's shape and is initially zero. In a state dictionary it is
    /// `slot.parameter`.
    fn slots(&self) -> &'static [&'static str];

    /// The scalars of optimizer step `t`, counted from 1, by name; names and their order do not depend on the arguments. `momentum` is the
    /// schedule's, if it sets one.
    fn hyperparameters(&self, t: u64, momentum: Option<f64>) -> Vec<(&'static str, f64)>;

    /// Weight decay of the parameters whose group sets none.
    fn weight_decay(&self) -> f32;

    /// Whether the update of an element depends on no other element of its parameter. Then parameters may be updated as one vector.
    fn is_elementwise(&self) -> bool {
        false
    }

    /// Adds the updates of a group's parameters, and returns them in the same order.
    ///
    /// # Errors
    /// [`Error::Wiring`] if the shapes of a parameter, its gradient and its slots differ.
    fn emit(
        &self,
        g: &mut Graph,
        group: &GroupScalars,
        parameters: &[UpdateInputs],
    ) -> Result<Vec<Updated>, Error>;
}

/// What the parameters of a group share.
#[derive(Clone, Debug)]
pub struct GroupScalars {
    /// `f32[]`.
    pub learning_rate: Value,
    /// Weight decay.
    pub weight_decay: f32,
    /// The values of [`Optimizer::hyperparameters`], in its order, each `f32[]`.
    pub hyperparameters: Vec<Value>,
}

/// Inputs of a parameter's update, all of the same shape.
#[derive(Clone, Debug)]
pub struct UpdateInputs {
    /// Scope of the update's nodes.
    pub scope: String,
    /// The parameter.
    pub parameter: Value,
    /// Its gradient.
    pub gradient: Value,
    /// Its state, in the order of [`Optimizer::slots`].
    pub slots: Vec<Value>,
}

/// The next values of a parameter and its state.
#[derive(Clone, Debug)]
pub struct Updated {
    /// The parameter.
    pub parameter: Value,
    /// Its state, in the order of [`Optimizer::slots`].
    pub slots: Vec<Value>,
}
