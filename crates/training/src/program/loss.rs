use std::{collections::BTreeMap, fmt, sync::Arc};

use super::builder::ProgramBuilder;
use super::{ClassInput, Error};
use crate::graph::op::Reduce;
use crate::graph::{self, Constant, ElementType, Graph, Shape, TensorType, Value};
use crate::nn;

/// The loss of a training step: a scalar that a function adds to the graph.
#[derive(Clone)]
pub struct Loss {
    name: &'static str,
    build: Arc<Build>,
}

type Build = dyn Fn(&mut LossBuilder<'_>) -> Result<Value, Error> + Send + Sync;

/// What a loss is computed from.
#[derive(Debug)]
pub struct LossBuilder<'p> {
    program: &'p mut ProgramBuilder,
    /// The model's inputs and outputs.
    values: BTreeMap<String, Value>,
}

impl LossBuilder<'_> {
    /// Adds nodes to the graph.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn add(
        &mut self,
        build: impl FnOnce(&mut Graph) -> Result<Value, graph::Error>,
    ) -> Result<Value, Error> {
        Ok(self.program.graph.scoped("loss", build)?)
    }

    /// The shape of a value.
    #[must_use]
    pub fn shape(&self, value: Value) -> &Shape {
        self.program.graph.shape(value)
    }

    /// An output or input of the model.
    ///
    /// # Errors
    /// [`Error::LossValue`] if the model has no such value.
    pub fn value(&self, name: &str) -> Result<Value, Error> {
        let value = self.values.get(name).copied();
        value.ok_or_else(|| Error::LossValue {
            name: name.to_owned(),
            values: self.values.keys().cloned().collect(),
        })
    }

    /// An input of the model, or a new input of the program, of this type.
    ///
    /// # Errors
    /// [`Error::Graph`] if the name is in use.
    pub fn input(&mut self, name: &str, tensor_type: TensorType) -> Result<Value, Error> {
        match self.values.get(name) {
            Some(&value) => Ok(value),
            None => self.program.input(name, tensor_type),
        }
    }

    /// An output of the model, and an input of the same type.
    fn pair(&mut self, output: &str, input: &str) -> Result<[Value; 2], Error> {
        let output = self.value(output)?;
        let tensor_type = self.program.graph.tensor_type(output).clone();
        Ok([output, self.input(input, tensor_type)?])
    }
}

impl Loss {
    /// A loss that `build` adds to the graph, `f32[]`.
    pub fn new(build: impl Fn(&mut LossBuilder<'_>) -> Result<Value, Error> + Send + Sync + 'static) -> Self {
        Self::named("custom", build)
    }

    fn named(
        name: &'static str,
        build: impl Fn(&mut LossBuilder<'_>) -> Result<Value, Error> + Send + Sync + 'static,
    ) -> Self {
        let build = Arc::new(build);
        Self { name, build }
    }

    /// A scalar output of the model is the loss.
    #[must_use]
    pub fn output(name: &str) -> Self {
        let name = name.to_owned();
        Self::named("output", move |loss| loss.value(&name))
    }

    /// Mean cross-entropy of the output `logits: f32[N, K]` with the input `labels: i64[N]`, each from 0 to K − 1.
    ///
    /// # Source
    /// PyTorch's `CrossEntropyLoss`.
    #[must_use]
    pub fn cross_entropy(logits: &str, labels: &str) -> Self {
        let (logits, labels) = (logits.to_owned(), labels.to_owned());
        Self::named("cross-entropy", move |loss| {
            let logits = loss.value(&logits)?;
            let found = loss.shape(logits).clone();
            let [rows, classes] = *found else {
                return Err(Error::LossShape {
                    name: "logits",
                    found,
                    expected: "[N, K]",
                });
            };
            let classes_of = ClassInput {
                input: labels.clone(),
                classes,
            };
            loss.program.signature.class_inputs.push(classes_of);
            let labels = loss.input(&labels, TensorType::new(ElementType::I64, [rows]))?;
            loss.add(|g| {
                let targets = g.one_hot(labels, classes)?;
                let share = g.scalar(1.0 / rows as f32);
                let targets = g.mul(targets, share)?;
                g.cross_entropy(logits, targets)
            })
        })
    }

    /// `−Σ t · (1 − p)^γ · ln p` of the output `logits: f32[N, K]` with the input `targets: f32[N, K]`, which carries class labels, mixed labels,
    /// label smoothing, class weights and the division by the batch size. `focal` is γ; 0 is cross-entropy. See [`nn::loss`](nn::loss()).
    #[must_use]
    pub fn soft_cross_entropy(logits: &str, targets: &str, focal: f32) -> Self {
        Self::adjusted_cross_entropy(logits, targets, focal, vec![])
    }

    /// [`Self::soft_cross_entropy`] of the logits plus `offsets`, one per class; empty: none. With `offsets = τ ln s`, where `s` is each class's
    /// share of the training images, this is the logit-adjusted loss.
    ///
    /// # Source
    /// Menon et al., Long-tail learning via logit adjustment, ICLR 2021; with τ = 1 the balanced softmax of Ren et al., NeurIPS 2020.
    #[must_use]
    pub fn adjusted_cross_entropy(logits: &str, targets: &str, focal: f32, offsets: Vec<f32>) -> Self {
        let (logits, targets) = (logits.to_owned(), targets.to_owned());
        Self::named("soft cross-entropy", move |loss| {
            let [logits, targets] = loss.pair(&logits, &targets)?;
            loss.add(|g| {
                let adjusted = nn::add_offsets(g, logits, &offsets)?;
                nn::loss(g, adjusted, targets, focal)
            })
        })
    }

    /// [`Self::soft_cross_entropy`] of the logits less the input `margins: f32[N, K]`. With cosines of scale s as logits and margins that are 0 except
    /// s·C/n^¼ at the label of each row, where n is the label's number of training images, this is the label-distribution-aware margin loss.
    /// With `−τ ln s` in each row it is [`Self::adjusted_cross_entropy`] for shares that change from step to step.
    ///
    /// # Source
    /// Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019.
    #[must_use]
    pub fn margin_cross_entropy(logits: &str, targets: &str, focal: f32, margins: &str) -> Self {
        let [logits, targets, margins] = [logits, targets, margins].map(str::to_owned);
        Self::named("margin cross-entropy", move |loss| {
            let [logits, targets] = loss.pair(&logits, &targets)?;
            let tensor_type = loss.program.graph.tensor_type(logits).clone();
            let margins = loss.input(&margins, tensor_type)?;
            loss.add(|g| {
                let reduced = g.sub(logits, margins)?;
                nn::loss(g, reduced, targets, focal)
            })
        })
    }

    /// Mean binary cross-entropy of the output `logits` with the input `targets` of the same shape, each from 0 to 1.
    ///
    /// # Source
    /// PyTorch's `BCEWithLogitsLoss`. It is computed as the cross-entropy of two classes with the logits 0 and x, so that its gradient is exact
    /// for every x.
    #[must_use]
    pub fn binary_cross_entropy(logits: &str, targets: &str) -> Self {
        let (logits, targets) = (logits.to_owned(), targets.to_owned());
        Self::named("binary cross-entropy", move |loss| {
            let [logits, targets] = loss.pair(&logits, &targets)?;
            loss.add(|g| {
                let elements = g.shape(logits).elements();
                let column = Shape::from([elements, 1]);
                let zeros = g.constant(column.clone(), Constant::F32(vec![0.0; elements]))?;
                let logits = g.reshape(logits, column.clone())?;
                let targets = g.reshape(targets, column)?;
                let one = g.scalar(1.0);
                let others = g.sub(one, targets)?;
                let logits = g.concat(1, &[zeros, logits])?;
                let targets = g.concat(1, &[others, targets])?;
                let share = g.scalar(1.0 / elements as f32);
                let targets = g.mul(targets, share)?;
                g.cross_entropy(logits, targets)
            })
        })
    }

    /// Mean squared difference of the output `predictions` and the input `targets` of the same shape, which may be an input of the model.
    ///
    /// # Source
    /// PyTorch's `MSELoss`.
    #[must_use]
    pub fn mean_squared_error(predictions: &str, targets: &str) -> Self {
        let (predictions, targets) = (predictions.to_owned(), targets.to_owned());
        Self::named("mean squared error", move |loss| {
            let [predictions, targets] = loss.pair(&predictions, &targets)?;
            loss.add(|g| {
                let difference = g.sub(predictions, targets)?;
                let square = g.mul(difference, difference)?;
                let all = Reduce {
                    axes: (0..g.shape(square).len()).collect(),
                    keep_axes: false,
                };
                g.reduce_mean(square, all)
            })
        })
    }

    /// Adds the loss to a program; `values` are the model's inputs and outputs.
    pub(super) fn build(
        &self,
        program: &mut ProgramBuilder,
        values: BTreeMap<String, Value>,
    ) -> Result<Value, Error> {
        let loss = (self.build)(&mut LossBuilder { program, values })?;
        let found = program.graph.shape(loss);
        if found.is_empty() {
            return Ok(loss);
        }
        Err(Error::LossShape {
            name: "loss",
            found: found.clone(),
            expected: "[], a scalar",
        })
    }
}

impl fmt::Debug for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loss({})", self.name)
    }
}
