//! Fits a head of one linear layer to kept features.

use std::{slice, sync::atomic::Ordering};

use super::{Error, Fit, State, elements, last_layer, logistic, rows};
use crate::learn::{
    checkpoint::ResumeState,
    learner::{FeatureBatch, HeadLearner},
    run::HeadSteps,
};
use equibatch_training::{program::LastLayer, trainer::stepper::model_of};

impl Fit<'_> {
    /// The layer that logistic regression fits to the features: the head, if it is one linear layer and the loss is cross entropy.
    pub(super) fn linear(
        &self,
        steps: HeadSteps,
        head: &HeadLearner,
        batches: &[FeatureBatch],
    ) -> Result<Option<LastLayer>, Error> {
        let focal = self.learner.progress().config.loss.focal;
        let (Some(layer), Some(batch)) = (self.learner.last_layer().ok(), batches.first()) else {
            return Ok(None);
        };
        if steps != HeadSteps::Auto || focal > 0.0 {
            return Ok(None);
        }
        let state = head.state()?;
        let logits = rows(&mut head.function(state.clone())?, slice::from_ref(batch))?;
        let applied = last_layer::applied(&model_of(state), &layer, &elements(batch));
        let is_linear = applied.is_some_and(|applied| {
            let found: Vec<&f32> = logits.iter().flat_map(|(row, _)| row).collect();
            let is_near = |(found, own): (&&f32, &f32)| (**found - own).abs() <= 1e-3 * own.abs().max(1.0);
            found.len() == applied.len() && found.iter().zip(&applied).all(is_near)
        });
        Ok(is_linear.then_some(layer))
    }

    /// The head fitted to all features at once; `None` if the stop flag was set meanwhile.
    pub(super) fn fit_linear(
        &self,
        head: &HeadLearner,
        layer: &LastLayer,
        batches: &[FeatureBatch],
        progress: &mut ResumeState,
    ) -> Result<Option<State>, Error> {
        let rows = self.logistic_rows(batches);
        let width = rows.features.len() * rows.classes / rows.targets.len().max(1);
        let Some(fitted) = rows.fit(&|| self.stop.load(Ordering::Relaxed)) else {
            return Ok(None);
        };
        progress.smoothed_loss.add(fitted.loss);
        let single = |number: &f64| *number as f32;
        let state = last_layer::replaced(
            head.state()?,
            layer,
            |class, feature| single(&fitted.weights[class * width + feature]),
            &fitted.bias.iter().map(single).collect::<Vec<f32>>(),
        );
        Ok(Some(state))
    }

    /// The features of all batches with what their loss is made of.
    fn logistic_rows(&self, batches: &[FeatureBatch]) -> logistic::Rows {
        let config = &self.learner.progress().config;
        let classes = config.classes.len();
        let constant = config.class_shares.loss_offsets(config.loss.logit_adjust);
        let mut rows = logistic::Rows {
            features: vec![],
            targets: vec![],
            offsets: vec![],
            classes,
            penalty: logistic::penalty(&config.class_shares.images),
        };
        for batch in batches {
            let loss = config.loss.in_epoch(batch.epoch + 1);
            let images = batch.labels.len();
            let mut targets = vec![0.0; images * classes];
            loss.targets(&batch.labels, batch.mixed.as_deref(), &mut targets);
            rows.targets
                .extend(targets.iter().map(|target| target / batches.len() as f32));
            rows.features.extend(elements(batch));
            match loss.margins_of(&batch.labels, batch.epoch) {
                Some(margins) => rows.offsets.extend(margins.iter().map(|margin| -margin)),
                None if constant.is_empty() => rows.offsets.resize(rows.targets.len(), 0.0),
                None => rows.offsets.extend(constant.repeat(images)),
            }
        }
        rows
    }
}
