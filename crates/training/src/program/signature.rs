use crate::graph::{ElementType, Shape};
use crate::nn::Dropout;

/// How a program is fed and read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signature {
    /// What every run is given anew: the batch, dropout masks, and the scalars of the schedule.
    pub inputs: Vec<ValueInfo>,
    /// What stays from run to run.
    pub state: Vec<StatePair>,
    /// What a run is made for.
    pub outputs: Vec<ValueInfo>,
    /// Those of the inputs that are dropout masks, and how they are drawn.
    pub dropout: Vec<Dropout>,
}

/// Name and type of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueInfo {
    /// Its name in the model.
    pub name: String,
    /// What one element is.
    pub element_type: ElementType,
    /// The extents. Where the model leaves the batch open, the first is the one it was built with.
    pub shape: Shape,
}

/// A float tensor that a run reads, and that the next run reads in its new form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePair {
    /// Its name in a state dictionary.
    pub name: String,
    /// The model's input.
    pub input: String,
    /// The model's output that replaces it; `None` for what does not change, such as a frozen parameter.
    pub output: Option<String>,
    /// The extents.
    pub shape: Shape,
    /// What it is.
    pub role: Role,
}

/// What a piece of state is, which decides how it starts and whether it is saved with the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A tensor that is learnt.
    Parameter,
    /// A running statistic of a batch norm.
    Statistic,
    /// Running mean of a gradient; starts at zero with every new optimizer.
    FirstMoment,
    /// Running mean of a squared gradient; starts at zero with every new optimizer.
    SecondMoment,
    /// Running mean of a parameter or of a statistic; starts at its value.
    Average,
    /// Sum of gradients within a step. Means nothing between steps.
    Gradient,
    /// What a running statistic has become within a step. Means nothing between steps.
    Staged,
}

impl Role {
    /// Whether it means nothing between steps.
    #[must_use]
    pub fn is_within_a_step(self) -> bool {
        matches!(self, Self::Gradient | Self::Staged)
    }
}
