//! Steps for CUDA devices, run on the CPU: vectors of parameters and of inputs have standard operators, and those of cuDNN have twins in tests.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::{Model, StepInputs, StepOutput, Stepper};
use crate::graph::lower::Kernels;
use crate::optim::{AdamW, Optimizer, Sgd};
use crate::program::{
    self, Backbone, Loss, ModelSpec, PACKED_INPUTS, ParameterGroup, ResNet, Role, Tensor, TrainSpec,
};
use crate::runtime::{DeviceState, Runtime, SessionOptions, StepRunner};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/networks/mlp.onnx"
);
const BATCH: usize = 4;

fn runtime() -> Runtime {
    Runtime::load().expect("ONNX Runtime is installed: `make runtime`")
}

fn network() -> ModelSpec {
    Model::from_onnx(FILE).expect("a network").into_spec()
}

/// A step of a network without convolutions, so that only the vectors depend on `kernels`.
fn spec(kernels: Kernels, optimizer: &Arc<dyn Optimizer>) -> TrainSpec {
    let matching = |pattern| ParameterGroup::matching(pattern).expect("an expression");
    TrainSpec {
        groups: vec![matching("bias").weight_decay(0.0), matching("head").lr_scale(0.5)],
        loss: Loss::cross_entropy("scores", "labels"),
        optimizer: Arc::clone(optimizer),
        average: true,
        kernels,
        ..TrainSpec::new(network(), BATCH)
    }
}

/// A training on the CPU.
struct Training {
    stepper: Stepper,
    optimizer: Arc<dyn Optimizer>,
    state: DeviceState,
    parts: usize,
}

impl Training {
    fn new(spec: &TrainSpec, parts: usize) -> Self {
        let options = SessionOptions::default();
        let stepper = Stepper::new(&runtime(), (spec, parts), &options, None).expect("a step");
        let mut state = program::initial_state(&spec.model, 1).expect("a network");
        stepper.init_optimizer(&mut state);
        let state = stepper.upload(state).expect("room");
        Self {
            stepper,
            optimizer: Arc::clone(&spec.optimizer),
            state,
            parts,
        }
    }

    /// Step `t`, on batches that depend on it.
    fn step(&mut self, t: u64) -> StepOutput {
        let pixels: Vec<f32> = (0..self.parts * BATCH * 3 * 32 * 32)
            .map(|at| (at as f32 * 0.37 + t as f32).sin())
            .collect();
        let labels: Vec<i64> = (0..self.parts * BATCH).map(|at| (at % 3) as i64).collect();
        let batch = vec![
            ("pixels", Cow::Borrowed(bytemuck::cast_slice(&pixels))),
            ("labels", Cow::Borrowed(bytemuck::cast_slice(&labels))),
        ];
        self.step_on(t, batch)
    }

    fn step_on(&mut self, t: u64, batch: Vec<(&str, Cow<'_, [u8]>)>) -> StepOutput {
        let rates = self.stepper.learning_rates().iter();
        let rates = rates.map(|rate| (rate.input.clone(), 0.1 * rate.scale));
        let numbers = self.optimizer.hyperparameters(t, None).into_iter();
        let numbers = numbers.map(|(name, number)| (name.to_owned(), number));
        let mut scalars: Vec<(String, f64)> = rates.chain(numbers).collect();
        if self.has_averages() {
            scalars.push(("average_decay".to_owned(), 0.9));
        }
        let inputs = StepInputs {
            batch,
            next: None,
            masks: self.stepper.masks(1, t),
            scalars,
            loss_scale: None,
        };
        self.stepper.step(&mut self.state, &inputs).expect("a step")
    }

    fn has_averages(&self) -> bool {
        self.read().keys().any(|name| name.starts_with("average."))
    }

    fn read(&self) -> BTreeMap<String, Tensor> {
        self.stepper.read(&self.state).expect("values")
    }
}

fn optimizers() -> [Arc<dyn Optimizer>; 2] {
    let sgd = Sgd::default().momentum(0.9).nesterov().weight_decay(0.01);
    [Arc::new(AdamW::default().weight_decay(0.05)), Arc::new(sgd)]
}

#[test]
fn parameters_updated_as_vectors_have_the_bits_of_single_ones_and_exchange_checkpoints() {
    for optimizer in optimizers() {
        for parts in [1, 2] {
            let [mut single, mut packed] =
                [Kernels::Cpu, Kernels::Cuda].map(|kernels| Training::new(&spec(kernels, &optimizer), parts));
            for t in 1..=3 {
                let losses = [single.step(t).loss, packed.step(t).loss];
                assert_eq!(
                    losses[0].to_bits(),
                    losses[1].to_bits(),
                    "{optimizer:?}, step {t}"
                );
            }
            let [of_single, of_packed] = [single.read(), packed.read()];
            assert!(of_single == of_packed, "{optimizer:?}, {parts} parts");
            assert!(of_single.contains_key("head.bias") && of_single.contains_key("average.head.bias"));
            single
                .stepper
                .replace(&mut single.state, of_packed)
                .expect("the same tensors");
            packed
                .stepper
                .replace(&mut packed.state, of_single)
                .expect("the same tensors");
            single.step(4);
            packed.step(4);
            assert!(single.read() == packed.read(), "{optimizer:?}, {parts} parts");
        }
    }
}

#[test]
fn a_missing_member_of_a_vector_is_named() {
    let training = Training::new(&spec(Kernels::Cuda, &optimizers()[0]), 1);
    let mut state = training.read();
    state.remove("first_moment.head.bias").expect("a moment");
    let message = training
        .stepper
        .upload(state)
        .map(|_| ())
        .expect_err("missing")
        .to_string();
    assert!(
        message.contains("`first_moment.head.bias` is missing"),
        "{message}"
    );
}

/// One vector of parameters for each pair of rate and decay, and one input beside the network's and the labels.
#[test]
fn a_step_for_cuda_has_vectors_for_groups_and_one_for_its_inputs() {
    let training = Training::new(&spec(Kernels::Cuda, &optimizers()[0]), 1);
    let signature = training.stepper.signature();
    let parameters = signature.state.iter().filter(|pair| pair.role == Role::Parameter);
    let sizes: Vec<usize> = parameters.map(|pair| pair.members.len()).collect();
    assert!(
        sizes.iter().all(|&size| size > 0) && sizes.len() <= 4,
        "{sizes:?}"
    );
    let single: Vec<&str> = signature
        .inputs
        .iter()
        .map(|input| input.name.as_str())
        .filter(|&name| !signature.packed_inputs.iter().any(|packed| packed == name))
        .collect();
    assert_eq!(single, ["pixels", "labels"]);
    assert!(
        signature
            .packed_inputs
            .iter()
            .any(|name| name == "bias_correction2")
    );
    assert!(!signature.inputs.iter().any(|input| input.name == PACKED_INPUTS));
}

/// The norm is a sum in another order.
#[test]
fn clipping_by_vectors_is_clipping() {
    let [mut single, mut packed] = [Kernels::Cpu, Kernels::Cuda].map(|kernels| {
        let spec = TrainSpec {
            clip_norm: Some(0.01),
            ..spec(kernels, &optimizers()[1])
        };
        Training::new(&spec, 1)
    });
    let norms = [single.step(1), packed.step(1)].map(|output| output.gradient_norm.expect("a norm"));
    assert!(
        norms[0] > 0.01 && (norms[0] - norms[1]).abs() < 1e-5 * norms[0],
        "{norms:?}"
    );
    close(&single.read(), &packed.read(), 1e-5);
}

#[test]
fn an_evaluation_reads_the_vectors_of_a_step() {
    let [single, packed] = [Kernels::Cpu, Kernels::Cuda].map(|kernels| {
        let mut training = Training::new(&spec(kernels, &optimizers()[0]), 1);
        training.step(1);
        let of_step = training.stepper.signature();
        let program = program::evaluation(&network(), (BATCH, kernels), of_step).expect("a network");
        let program = program.expect("it has no convolution");
        let options = SessionOptions::default();
        let mut runner =
            StepRunner::new(&runtime(), "the evaluation", &program, &options).expect("a session");
        let pixels = vec![0.25_f32; BATCH * 3 * 32 * 32];
        runner
            .fill("pixels", bytemuck::cast_slice(&pixels))
            .expect("a batch");
        runner.step(&mut training.state).expect("a run");
        runner.output("scores").expect("an output").to_vec()
    });
    assert!(single == packed, "{single:?} and {packed:?}");
}

/// Gradients of convolutions by the twins of cuDNN's operators are those by standard operators, but for the rounding of single precision.
#[test]
fn a_residual_network_learns_the_same_by_operators_of_cudnn() {
    let model = ResNet {
        image_size: 64,
        ..ResNet::new(
            Backbone {
                width: 8,
                ..Backbone::RESNET18
            },
            3,
        )
    };
    let optimizer: Arc<dyn Optimizer> = Arc::new(Sgd::default());
    let [standard, cudnn] = [Kernels::Cuda, Kernels::CudaFused].map(|kernels| {
        let spec = TrainSpec {
            optimizer: Arc::clone(&optimizer),
            kernels,
            ..TrainSpec::new(model.clone(), BATCH)
        };
        let mut training = Training::new(&spec, 1);
        let images: Vec<f32> = (0..BATCH * 3 * 64 * 64)
            .map(|at| (at as f32 * 0.37).sin())
            .collect();
        let targets: Vec<f32> = (0..BATCH * 3).map(|at| [0.25, 0.0, 0.0, 0.0][at % 4]).collect();
        let batch = vec![
            ("images", Cow::Borrowed(bytemuck::cast_slice(&images))),
            ("targets", Cow::Borrowed(bytemuck::cast_slice(&targets))),
        ];
        let before = training.read();
        let loss = training.step_on(1, batch).loss;
        let mut moved = training.read();
        for (name, tensor) in &mut moved {
            let pairs = tensor.data.iter_mut().zip(&before[name].data);
            pairs.for_each(|(after, before)| *after -= before);
        }
        (loss, moved)
    });
    assert_eq!(standard.0.to_bits(), cudnn.0.to_bits());
    close(&standard.1, &cudnn.1, 1e-3);
}

/// Each tensor differs from the expected one by at most a share of its norm.
fn close(expected: &BTreeMap<String, Tensor>, found: &BTreeMap<String, Tensor>, share: f64) {
    assert!(expected.keys().eq(found.keys()));
    for (name, expected) in expected {
        let squares = |numbers: &mut dyn Iterator<Item = f32>| -> f64 {
            numbers.map(|number| f64::from(number) * f64::from(number)).sum()
        };
        let pairs = expected.data.iter().zip(&found[name].data);
        let distance = squares(&mut pairs.map(|(expected, found)| expected - found)).sqrt();
        let norm = squares(&mut expected.data.iter().copied()).sqrt();
        assert!(distance <= share * norm.max(1e-6), "{name}: {distance} of {norm}");
    }
}
