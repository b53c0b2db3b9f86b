use serde::{Deserialize, Serialize};

/// Most points of a stored curve.
const POINTS: usize = 200;

/// Precision over recall of one class against all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecall {
    /// Class name.
    pub class: String,
    /// See [`average_precision`].
    pub average_precision: f64,
    /// In ascending order of recall; of long curves a selection.
    pub points: Vec<PrecisionRecallPoint>,
}

/// Precision and recall if all images with at least this score are predicted as the class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecallPoint {
    /// Smallest score that is predicted as the class.
    pub score: f64,
    /// Share of correct predictions.
    pub precision: f64,
    /// Share of the class's images that are predicted.
    pub recall: f64,
}

impl PrecisionRecall {
    /// The curve of a class; `scores` as for [`average_precision`]. `None` without images of the class.
    #[must_use]
    pub fn of(class: &str, scores: &[(f64, bool)]) -> Option<Self> {
        let average_precision = average_precision(scores)?;
        let points = curve(scores);
        let step = points.len().div_ceil(POINTS).max(1);
        let last = points.len() - 1;
        let kept = points.into_iter().enumerate();
        let kept = kept.filter(|(index, _)| index % step == 0 || *index == last);
        Some(Self {
            class: class.to_owned(),
            average_precision,
            points: kept.map(|(_, point)| point).collect(),
        })
    }
}

/// A point for every distinct score, in descending order of scores. `scores`: one per image, with whether the image is of the class. Empty
/// without images of the class.
#[must_use]
pub fn curve(scores: &[(f64, bool)]) -> Vec<PrecisionRecallPoint> {
    let of_class = scores.iter().filter(|(_, is_of_class)| *is_of_class).count();
    if of_class == 0 {
        return vec![];
    }
    let mut sorted = scores.to_vec();
    sorted.sort_by(|left, right| right.0.total_cmp(&left.0));
    let (mut predicted, mut hits) = (0_usize, 0_usize);
    let equal = sorted.chunk_by(|left, right| left.0 == right.0);
    let point = |equal: &[(f64, bool)]| {
        predicted += equal.len();
        hits += equal.iter().filter(|(_, is_of_class)| *is_of_class).count();
        PrecisionRecallPoint {
            score: equal[0].0,
            precision: hits as f64 / predicted as f64,
            recall: hits as f64 / of_class as f64,
        }
    };
    equal.map(point).collect()
}

/// Average precision of a class: the mean of the precisions at each score, weighted by the increase of recall. `None` without images of the
/// class.
///
/// `scores`: one per image, with whether the image is of the class.
///
/// # Source
///
/// `average_precision_score` of scikit-learn: without interpolation, equal scores together.
#[must_use]
pub fn average_precision(scores: &[(f64, bool)]) -> Option<f64> {
    let points = curve(scores);
    let mut before = 0.0;
    let parts = points.iter().map(|point| {
        let increase = point.recall - before;
        before = point.recall;
        increase * point.precision
    });
    let sum: f64 = parts.sum();
    (!points.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_are_predicted_together() {
        let scores = [(0.9, true), (0.5, false), (0.5, true), (0.1, false)];
        let points: Vec<(f64, f64)> = curve(&scores)
            .iter()
            .map(|point| (point.recall, point.precision))
            .collect();
        assert_eq!(points, [(0.5, 1.0), (1.0, 2.0 / 3.0), (1.0, 0.5)]);
        assert_eq!(average_precision(&scores), Some(0.5 + 0.5 * 2.0 / 3.0));
        assert_eq!(average_precision(&scores[1..2]), None, "no image of the class");
        assert_eq!(PrecisionRecall::of("birds", &[]), None);
    }

    #[test]
    fn long_curves_keep_both_ends() {
        let scores: Vec<(f64, bool)> = (0..5000)
            .map(|image| (f64::from(image), image % 3 == 0))
            .collect();
        let curve = PrecisionRecall::of("birds", &scores).expect("images");
        assert!(curve.points.len() <= POINTS + 1, "{}", curve.points.len());
        let ends = [curve.points.first(), curve.points.last()];
        assert_eq!(ends.map(|point| point.expect("a point").score), [4999.0, 0.0]);
    }
}
