use super::LearningRate;
use crate::graph::{ElementType, Shape};
use crate::nn::Dropout;

/// Inputs, state and outputs of a program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signature {
    /// Inputs of every run: the batch, dropout masks, and the scalars of the schedule.
    pub inputs: Vec<ValueInfo>,
    /// Names of the inputs that the model has as parts of one, [`PACKED_INPUTS`](super::PACKED_INPUTS), in its order.
    pub packed_inputs: Vec<String>,
    /// State kept between runs.
    pub state: Vec<StatePair>,
    /// Outputs of every run, without state.
    pub outputs: Vec<ValueInfo>,
    /// Names of the inputs that the model and its loss read.
    pub batch: Vec<String>,
    /// The inputs that are dropout masks, with the parameters of their distribution.
    pub dropout: Vec<Dropout>,
    /// The inputs that are learning rates.
    pub learning_rates: Vec<LearningRate>,
    /// The inputs that are class labels.
    pub class_inputs: Vec<ClassInput>,
}

/// An input of class labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassInput {
    /// Its name.
    pub input: String,
    /// The number of classes; labels are below it.
    pub classes: usize,
}

/// Name and type of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueInfo {
    /// Its name in the model.
    pub name: String,
    /// The element type.
    pub element_type: ElementType,
    /// The shape. If the batch size is dynamic, the first extent is that of the graph it was built from.
    pub shape: Shape,
}

/// A float tensor of state: an input, and the output that replaces it for the next run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePair {
    /// Its name in a state dictionary.
    pub name: String,
    /// The model's input.
    pub input: String,
    /// The model's output that replaces it; `None` if it does not change, such as a frozen parameter.
    pub output: Option<String>,
    /// Whether the output may be written to the input's memory: each run reads the input completely before, and returns it as it is if loss or
    /// gradients are not finite.
    pub is_in_place: bool,
    /// The shape.
    pub shape: Shape,
    /// Its role.
    pub role: Role,
    /// If it is a vector of several tensors of a state dictionary: their names and shapes, in its order.
    pub members: Vec<(String, Shape)>,
}

impl StatePair {
    /// The tensors of a state dictionary that it holds: itself, or its members.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Shape)> {
        let own = self
            .members
            .is_empty()
            .then_some((self.name.as_str(), &self.shape));
        let members = self.members.iter().map(|(name, shape)| (name.as_str(), shape));
        own.into_iter().chain(members)
    }
}

impl StatePair {
    /// Whether a run writes it to another buffer, which then takes the place of the one that it read.
    #[must_use]
    pub fn is_swapped(&self) -> bool {
        self.output.is_some() && !self.is_in_place
    }
}

/// Role of a state tensor: decides its initial value and whether it is saved with the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A parameter of the model.
    Parameter,
    /// A running statistic of a batch norm.
    Statistic,
    /// State of the optimizer for a parameter, such as a moment; initialised to zero with every new optimizer.
    Optimizer,
    /// Exponential moving average of a parameter or running statistic; initialised to its value.
    Average,
    /// Gradient accumulated over the micro-batches of a step. Undefined between steps.
    Gradient,
    /// Running statistic after the micro-batches so far, committed by the update. Undefined between steps.
    Staged,
}

impl Role {
    /// Whether it is valid only within a step.
    #[must_use]
    pub fn is_within_a_step(self) -> bool {
        matches!(self, Self::Gradient | Self::Staged)
    }
}
