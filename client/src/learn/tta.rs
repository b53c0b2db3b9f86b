//! Test-time augmentation: probabilities averaged over several views of each image.

mod symmetric;

use clap::ValueEnum;
use equibatch_engine::augment::{self, Recipe, VIEWS};

pub use self::symmetric::Symmetric;
use super::{
    evaluate::{Error, EvalSpec, Evaluation, OnSample, View, evaluate_each, run_split},
    metrics::softmax,
    predictions::Predictions,
};
use equibatch_stream::Servers;
use equibatch_training::runtime::Classifier;

/// Which views of an image are averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Views {
    /// The image, with weight 0.4, and eight zoomed crops of it, the four corners each with and without flip, under the rest of the training
    /// recipe: as fastai
    Crops,
    /// The image and its mirror image
    Flip,
    /// The image, turned by 0, 90, 180 and 270 degrees, each with and without flip
    Dihedral,
}

impl Views {
    /// Those that suit a model trained with the recipe `training`; empty: the default recipe.
    ///
    /// # Errors
    ///
    /// [`augment::Error`] if `training` cannot be parsed.
    pub fn suiting(training: &str) -> Result<Self, augment::Error> {
        let recipe = recipe(training)?;
        Ok(if recipe.dihedral > 0.0 {
            Self::Dihedral
        } else {
            Self::Crops
        })
    }

    /// Number of symmetries that are averaged; 1 for crops, which have none.
    #[must_use]
    pub fn symmetries(self) -> usize {
        match self {
            Self::Crops => 1,
            Self::Flip => 2,
            Self::Dihedral => symmetric::ALL,
        }
    }
}

fn recipe(training: &str) -> Result<Recipe, augment::Error> {
    match training {
        "" => Ok(Recipe::reference()),
        text => text.parse(),
    }
}

/// Weight of the unaugmented view; the other views share the rest.
///
/// # Source
///
/// `_TTA` of fastai 1.0, `fastai/vision/tta.py`, as is [`SCALE`].
pub const BETA: f64 = 0.4;
/// Zoom factor of the other views.
pub const SCALE: f32 = 1.35;

/// Weight of view number `view`; 0 is the unaugmented one, the others are in the order of [`Recipe::view`].
fn weight(view: usize) -> f64 {
    if view == 0 {
        BETA
    } else {
        (1.0 - BETA) / f64::from(VIEWS)
    }
}

/// Recipes of the crops for a model trained with the recipe `training`; empty: the default recipe.
///
/// # Errors
///
/// [`augment::Error`] if `training` cannot be parsed.
pub fn crops(training: &str) -> Result<Vec<Recipe>, augment::Error> {
    let training = recipe(training)?;
    Ok((0..VIEWS).map(|view| training.view(view, SCALE)).collect())
}

/// Log probabilities averaged over the views of an image, the unaugmented view first.
///
/// # Shapes
///
/// `rows: f32[V, K]`, flat → `f32[K]`. A single view is returned unchanged.
#[must_use]
pub fn combined(rows: &[f32], classes: usize) -> Vec<f32> {
    if rows.len() == classes {
        return rows.to_vec();
    }
    let mut mean = vec![0.0; classes];
    for (view, row) in rows.chunks_exact(classes).enumerate() {
        add(&mut mean, weight(view), row);
    }
    logarithms(&mean)
}

/// Adds the weighted softmax of a row of logits.
fn add(mean: &mut [f64], weight: f64, logits: &[f32]) {
    for (sum, share) in mean.iter_mut().zip(softmax(logits)) {
        *sum += weight * share;
    }
}

/// Logarithms of probabilities, clamped at 1e-300.
fn logarithms(probabilities: &[f64]) -> Vec<f32> {
    let logarithm = |share: &f64| share.max(1e-300).ln() as f32;
    probabilities.iter().map(logarithm).collect()
}

/// Evaluates `classifier` like [`evaluate`](super::evaluate::evaluate()), with probabilities averaged over `views` of each image, by default
/// those [that suit](Views::suiting) the recipe `training`; empty: the default recipe. Calls `each` for each image, of crops with the logits of
/// the unaugmented view.
///
/// # Errors
///
/// Those of [`evaluate`](super::evaluate::evaluate()), and [`Error::Recipe`] if `training` cannot be parsed.
pub fn evaluate(
    servers: &Servers,
    (model, classifier): (&str, &mut Classifier),
    spec: &EvalSpec<'_>,
    (views, training): (Option<Views>, &str),
    each: OnSample<'_>,
) -> Result<Evaluation, Error> {
    let unusable = |source| Error::Recipe {
        model: model.to_owned(),
        source,
    };
    let views = match views {
        Some(views) => views,
        None => Views::suiting(training).map_err(unusable)?,
    };
    if views != Views::Crops {
        let mut symmetric = Symmetric::new(classifier, views.symmetries());
        return evaluate_each(servers, (model, &mut symmetric), spec, each);
    }
    let views = crops(training).map_err(unusable)?;
    let mut mean = Mean::new(spec.classes.len());
    let plain = View::default();
    let replaced = run_split(servers, (model, classifier), spec, &plain, &mut |sample| {
        mean.first(sample.sample, sample.label, sample.logits);
        each(sample);
    })?;
    for (seed, view) in (0..).zip(&views) {
        let recipe = Some(view.to_string());
        let view = View { recipe, seed };
        let mut image = 0;
        run_split(servers, (model, classifier), spec, &view, &mut |sample| {
            mean.further(image, sample.label, sample.logits);
            image += 1;
        })?;
        if !mean.is_complete(image) {
            return Err(Error::Mismatch {
                model: model.to_owned(),
                dataset: spec.dataset.to_owned(),
                reason: "the server sent its images in another order for another view".to_owned(),
            });
        }
    }
    Ok(Evaluation {
        predictions: mean.predictions(),
        replaced,
    })
}

/// Running averages of probabilities over views.
#[derive(Debug)]
struct Mean {
    classes: usize,
    samples: Vec<u32>,
    labels: Vec<usize>,
    /// `[N, K]`, flat.
    probabilities: Vec<f64>,
    is_in_order: bool,
}

impl Mean {
    fn new(classes: usize) -> Self {
        Self {
            classes,
            samples: vec![],
            labels: vec![],
            probabilities: vec![],
            is_in_order: true,
        }
    }

    /// Adds the unaugmented view of the next image.
    fn first(&mut self, sample: u32, label: usize, logits: &[f32]) {
        let row = self.probabilities.len();
        self.samples.push(sample);
        self.labels.push(label);
        self.probabilities.resize(row + self.classes, 0.0);
        add(&mut self.probabilities[row..], weight(0), logits);
    }

    /// Adds another view of an image.
    fn further(&mut self, image: usize, label: usize, logits: &[f32]) {
        self.is_in_order &= self.labels.get(image) == Some(&label);
        if let Some(row) = self.probabilities.chunks_exact_mut(self.classes).nth(image) {
            add(row, weight(1), logits);
        }
    }

    /// Whether the labels of all views agreed, and `images` images were seen.
    fn is_complete(&self, images: usize) -> bool {
        self.is_in_order && images == self.labels.len()
    }

    /// The logarithms of the averages.
    fn predictions(&self) -> Predictions {
        let mut predictions = Predictions::default();
        let rows = self.probabilities.chunks_exact(self.classes);
        for (row, (&sample, &label)) in rows.zip(self.samples.iter().zip(&self.labels)) {
            predictions.push(sample, label as u32, &logarithms(row));
        }
        predictions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The logits of these probabilities.
    fn logits(probabilities: [f32; 2]) -> [f32; 2] {
        probabilities.map(f32::ln)
    }

    fn names() -> Vec<String> {
        ["birds", "flowers"].map(str::to_owned).to_vec()
    }

    #[test]
    fn the_unaugmented_view_has_weight_0_4_and_eight_views_share_the_rest() {
        let mut mean = Mean::new(2);
        mean.first(0, 0, &logits([0.1, 0.9]));
        mean.first(1, 1, &logits([0.5, 0.5]));
        for view in 0..VIEWS {
            let certain = if view < 4 { [0.9, 0.1] } else { [0.8, 0.2] };
            mean.further(0, 0, &logits(certain));
            mean.further(1, 1, &logits([0.5, 0.5]));
        }
        assert!(mean.is_complete(2));
        let expected = 0.4 * 0.1 + 0.6 * (0.5 * 0.9 + 0.5 * 0.8);
        assert!((mean.probabilities[0] - expected).abs() < 1e-6, "{mean:?}");
        let metrics = mean.predictions().metrics(&names());
        assert_eq!(
            metrics.accuracy,
            Some(0.5),
            "the first is right now, the tie goes to the first class"
        );
        let loss = -(f64::ln(expected) + f64::ln(0.5)) / 2.0;
        assert!((metrics.loss - loss).abs() < 1e-6);
    }

    #[test]
    fn combining_all_views_at_once_equals_the_running_average() {
        let mut mean = Mean::new(2);
        let rows: Vec<[f32; 2]> = (0..=VIEWS)
            .map(|view| [view as f32 / 3.0, 1.0 - view as f32])
            .collect();
        mean.first(0, 1, &rows[0]);
        rows[1..].iter().for_each(|row| mean.further(0, 1, row));
        assert_eq!(combined(rows.as_flattened(), 2), logarithms(&mean.probabilities));
        assert_eq!(combined(&[3.0, 4.0], 2), [3.0, 4.0]);
    }

    #[test]
    fn images_in_another_order_are_detected() {
        let mut mean = Mean::new(2);
        mean.first(0, 0, &[0.0, 0.0]);
        mean.first(1, 1, &[0.0, 0.0]);
        mean.further(0, 0, &[0.0, 0.0]);
        assert!(!mean.is_complete(1), "one is missing");
        mean.further(1, 0, &[0.0, 0.0]);
        assert!(!mean.is_complete(2));
    }
}
