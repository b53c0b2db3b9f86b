use super::Error;
use crate::{
    program::Program,
    runtime::{self, DeviceState, Runtime, SessionOptions, StepRunner},
};

/// A classifier in training as a function: one session, which reads the state where the steps leave it.
#[derive(Debug)]
pub struct Evaluator {
    runner: StepRunner,
    batch: usize,
}

impl Evaluator {
    /// Creates a session of a program compiled by [`evaluation`](crate::program::evaluation()) for `batch` images.
    pub(super) fn new(
        runtime: &Runtime,
        (program, batch): (&Program, usize),
        options: &SessionOptions,
    ) -> Result<Self, Error> {
        let runner = StepRunner::new(runtime, "the evaluation", program, options)?;
        Ok(Self { runner, batch })
    }

    /// Computes logits, one row per image, with the current state.
    ///
    /// # Shapes
    /// `images`: little-endian `f32[count, 3, S, S]`, at any alignment → `f32[count, classes]`, flattened.
    ///
    /// # Errors
    /// [`Length`](runtime::Error::Length) if `images` has another length, [`Run`](runtime::Error::Run) if ONNX Runtime fails.
    pub fn logits(
        &mut self,
        state: &mut DeviceState,
        images: &[u8],
        count: usize,
    ) -> Result<Vec<f32>, runtime::Error> {
        let row = images.len() / count.max(1);
        let mut logits = vec![];
        for images in images.chunks((self.batch * row).max(1)) {
            let found = images.len() / row;
            if found < self.batch {
                let mut padded = images.to_vec();
                padded.resize(self.batch * row, 0);
                self.runner.fill("images", &padded)?;
            } else {
                self.runner.fill("images", images)?;
            }
            self.runner.step(state)?;
            let all = self.runner.output("logits")?;
            logits.extend_from_slice(&all[..all.len() / self.batch * found]);
        }
        Ok(logits)
    }
}
