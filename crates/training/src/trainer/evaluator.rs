use super::Error;
use crate::{
    program::Program,
    runtime::{self, DeviceState, Heatmap, Runtime, SessionOptions, StepRunner},
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

/// Grad-CAM of a classifier in training: a session that reads the state where the steps leave it.
#[derive(Debug)]
pub struct InPlaceGradCam {
    runner: StepRunner,
}

impl InPlaceGradCam {
    /// Creates a session of a program compiled by [`grad_cam_in_place`](crate::program::grad_cam_in_place()).
    pub(super) fn new(runtime: &Runtime, program: &Program, options: &SessionOptions) -> Result<Self, Error> {
        let runner = StepRunner::new(runtime, "the Grad-CAM program", program, options)?;
        Ok(Self { runner })
    }

    /// Computes the heatmap of each image for the class that its label names, with the current state.
    ///
    /// # Shapes
    /// `images`: little-endian `f32[N, 3, S, S]`, at any alignment; `labels`: N.
    ///
    /// # Errors
    /// [`Length`](runtime::Error::Length) if there are not as many images or labels as the program was compiled for,
    /// [`Run`](runtime::Error::Run) if ONNX Runtime fails.
    pub fn heatmaps(
        &mut self,
        state: &mut DeviceState,
        images: &[u8],
        labels: &[i64],
    ) -> Result<Vec<Heatmap>, runtime::Error> {
        self.runner.fill("images", images)?;
        self.runner.fill("labels", bytemuck::cast_slice(labels))?;
        self.runner.step(state)?;
        let shape = &self.runner.signature().outputs[0].shape;
        let extent = [shape[1], shape[2]];
        let maps = self.runner.output("attention")?;
        let maps = maps.chunks_exact((extent[0] * extent[1]).max(1));
        let heatmap = |map: &[f32]| Heatmap {
            extent,
            values: map.to_vec(),
        };
        Ok(maps.map(heatmap).collect())
    }
}
