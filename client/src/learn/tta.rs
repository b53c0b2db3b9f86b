//! Test-time augmentation: a model judged by what it makes of several views of each image.

use equibatch_engine::augment::{self, Recipe, VIEWS};

use super::{
    evaluate::{Error, EvalSpec, Evaluation, View, run_split},
    metrics::{MetricAccumulator, softmax},
};
use equibatch_stream::Servers;
use equibatch_training::runtime::Classifier;

/// How much the plain view counts; the others share the rest.
///
/// # Source
///
/// `_TTA` of fastai 1.0, `fastai/vision/tta.py`, as is [`SCALE`].
pub const BETA: f64 = 0.4;
/// How far the views zoom in.
pub const SCALE: f32 = 1.35;

/// How much view number `view` counts; 0 is the plain one, the others follow in the order of [`Recipe::view`].
fn weight(view: usize) -> f64 {
    if view == 0 {
        BETA
    } else {
        (1.0 - BETA) / f64::from(VIEWS)
    }
}

/// The recipes of the views besides the plain one, for a model that was trained with `training`; empty means the default recipe.
///
/// # Errors
///
/// Where `training` is no recipe.
pub fn views(training: &str) -> Result<Vec<Recipe>, augment::Error> {
    let training: Recipe = match training {
        "" => Recipe::reference(),
        text => text.parse()?,
    };
    Ok((0..VIEWS).map(|view| training.view(view, SCALE)).collect())
}

/// What the logits of all views of an image, the plain one first, come to: logits again.
///
/// # Shapes
///
/// `rows: f32[V, K]`, flat → `f32[K]`. A single view is what it is.
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

/// Adds the probabilities of a row of logits.
fn add(mean: &mut [f64], weight: f64, logits: &[f32]) {
    for (sum, share) in mean.iter_mut().zip(softmax(logits)) {
        *sum += weight * share;
    }
}

/// Logarithms of probabilities, which are logits. What is less than 1e-300 has none that would differ.
fn logarithms(probabilities: &[f64]) -> Vec<f32> {
    let logarithm = |share: &f64| share.max(1e-300).ln() as f32;
    probabilities.iter().map(logarithm).collect()
}

/// Judges `classifier` as [`evaluate`](super::evaluate::evaluate()) does, by probabilities averaged over nine views of each image: `0.4` times
/// the plain one plus `0.6` times the mean of eight corners, mirrored and not, with the rest of the augmentation that it was trained with.
/// An empty `training` is the default recipe.
///
/// # Errors
///
/// Also [`Error::Recipe`] where `training` is no recipe.
pub fn evaluate(
    servers: &Servers,
    (model, classifier): (&str, &mut Classifier),
    spec: &EvalSpec<'_>,
    training: &str,
) -> Result<Evaluation, Error> {
    let views = views(training).map_err(|source| Error::Recipe {
        model: model.to_owned(),
        source,
    })?;
    let mut mean = Mean::new(spec.classes.len());
    let plain = View::default();
    let replaced = run_split(servers, (model, classifier), spec, &plain, &mut |seen| {
        mean.first(seen.label, seen.logits);
    })?;
    for (seed, view) in (0..).zip(&views) {
        let recipe = view.to_string();
        let view = View { recipe, seed };
        let mut image = 0;
        run_split(servers, (model, classifier), spec, &view, &mut |seen| {
            mean.further(image, seen.label, seen.logits);
            image += 1;
        })?;
        if !mean.is_complete(image) {
            return Err(Error::Mismatch {
                model: model.to_owned(),
                dataset: spec.dataset.to_owned(),
                reason: "its images came in another order when they were asked for again".to_owned(),
            });
        }
    }
    let accumulator = mean.accumulator();
    Ok(Evaluation {
        metrics: accumulator.metrics(spec.classes),
        replaced,
    })
}

/// Probabilities of images, averaged while their views come in.
#[derive(Debug)]
struct Mean {
    classes: usize,
    labels: Vec<usize>,
    /// A row per image.
    probabilities: Vec<f64>,
    is_in_order: bool,
}

impl Mean {
    fn new(classes: usize) -> Self {
        Self {
            classes,
            labels: vec![],
            probabilities: vec![],
            is_in_order: true,
        }
    }

    /// Takes in the plain view of the next image.
    fn first(&mut self, label: usize, logits: &[f32]) {
        let row = self.probabilities.len();
        self.labels.push(label);
        self.probabilities.resize(row + self.classes, 0.0);
        add(&mut self.probabilities[row..], weight(0), logits);
    }

    /// Takes in another view of an image.
    fn further(&mut self, image: usize, label: usize, logits: &[f32]) {
        self.is_in_order &= self.labels.get(image) == Some(&label);
        if let Some(row) = self.probabilities.chunks_exact_mut(self.classes).nth(image) {
            add(row, weight(1), logits);
        }
    }

    /// Whether every image so far was the one that it should be, and there were `images` of them.
    fn is_complete(&self, images: usize) -> bool {
        self.is_in_order && images == self.labels.len()
    }

    fn accumulator(&self) -> MetricAccumulator {
        let mut accumulator = MetricAccumulator::new(self.classes);
        let rows = self.probabilities.chunks_exact(self.classes);
        for (row, &label) in rows.zip(&self.labels) {
            accumulator.record(&logarithms(row), label);
        }
        accumulator
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
    fn the_plain_view_counts_two_fifths_and_eight_others_share_the_rest() {
        let mut mean = Mean::new(2);
        mean.first(0, &logits([0.1, 0.9]));
        mean.first(1, &logits([0.5, 0.5]));
        for view in 0..VIEWS {
            let certain = if view < 4 { [0.9, 0.1] } else { [0.8, 0.2] };
            mean.further(0, 0, &logits(certain));
            mean.further(1, 1, &logits([0.5, 0.5]));
        }
        assert!(mean.is_complete(2));
        let expected = 0.4 * 0.1 + 0.6 * (0.5 * 0.9 + 0.5 * 0.8);
        assert!((mean.probabilities[0] - expected).abs() < 1e-6, "{mean:?}");
        let metrics = mean.accumulator().metrics(&names());
        assert_eq!(
            metrics.accuracy,
            Some(0.5),
            "the first is right now, the tie goes to the first class"
        );
        let loss = -(f64::ln(expected) + f64::ln(0.5)) / 2.0;
        assert!((metrics.loss - loss).abs() < 1e-6);
    }

    #[test]
    fn views_of_an_image_come_to_the_same_at_once() {
        let mut mean = Mean::new(2);
        let rows: Vec<[f32; 2]> = (0..=VIEWS)
            .map(|view| [view as f32 / 3.0, 1.0 - view as f32])
            .collect();
        mean.first(1, &rows[0]);
        rows[1..].iter().for_each(|row| mean.further(0, 1, row));
        assert_eq!(combined(rows.as_flattened(), 2), logarithms(&mean.probabilities));
        assert_eq!(combined(&[3.0, 4.0], 2), [3.0, 4.0]);
    }

    #[test]
    fn images_in_another_order_are_noticed() {
        let mut mean = Mean::new(2);
        mean.first(0, &[0.0, 0.0]);
        mean.first(1, &[0.0, 0.0]);
        mean.further(0, 0, &[0.0, 0.0]);
        assert!(!mean.is_complete(1), "one is missing");
        mean.further(1, 0, &[0.0, 0.0]);
        assert!(!mean.is_complete(2));
    }
}
