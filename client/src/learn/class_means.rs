//! A linear head that predicts the nearest class mean: the start of a new head on the features of a body.

/// Factor of cosines of features with class means, if all features have the same length: that of a cosine head.
const SCALE: f64 = 30.0;

/// Class means of features.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassMeans {
    /// `[K, F]`.
    sums: Vec<f64>,
    counts: Vec<u64>,
    /// Sum of the squared lengths of all features.
    squares: f64,
    features: usize,
}

impl ClassMeans {
    /// Of no images yet.
    #[must_use]
    pub fn new(classes: usize, features: usize) -> Self {
        Self {
            sums: vec![0.0; classes * features],
            counts: vec![0; classes],
            squares: 0.0,
            features,
        }
    }

    /// Adds the features of an image, `[F]`.
    ///
    /// # Panics
    ///
    /// If `label` is not below the number of classes.
    pub fn add(&mut self, label: usize, features: &[f32]) {
        self.counts[label] += 1;
        let sums = &mut self.sums[label * self.features..][..self.features];
        for (sum, &feature) in sums.iter_mut().zip(features) {
            *sum += f64::from(feature);
            self.squares += f64::from(feature).powi(2);
        }
    }

    /// Number of images.
    #[must_use]
    pub fn images(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Weights `[F]` and bias of each class, by label; `None` for classes without images.
    ///
    /// With class means μ, they are `α μ` and `−α ‖μ‖² / 2`, so that logits are `−α ‖x − μ‖² / 2` up to a term that is the same for all classes.
    /// `α` is 30 over the mean squared length of features. In a cosine head only the direction of the weights counts: that of the class mean.
    ///
    /// # Source
    ///
    /// Nearest class means as a linear layer: Snell et al., Prototypical Networks, NeurIPS 2017. Cosines: Qi et al., Low-Shot Learning with
    /// Imprinted Weights, CVPR 2018.
    #[must_use]
    pub fn head(&self) -> Vec<Option<(Vec<f32>, f32)>> {
        let alpha = SCALE * self.images() as f64 / self.squares.max(f64::MIN_POSITIVE);
        let rows = self.sums.chunks(self.features).zip(&self.counts);
        let class = |(sums, &count): (&[f64], &u64)| {
            let mean = || sums.iter().map(|sum| sum / count as f64);
            let square: f64 = mean().map(|mean| mean * mean).sum();
            let weights = mean().map(|mean| (alpha * mean) as f32).collect();
            (count > 0).then_some((weights, (-alpha * square / 2.0) as f32))
        };
        rows.map(class).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_largest_logit_is_that_of_the_nearest_class_mean(
            images in prop::collection::vec((0_usize..3, prop::array::uniform4(-2.0_f32..2.0)), 8..40),
            query in prop::array::uniform4(-2.0_f32..2.0),
        ) {
            let mut means = ClassMeans::new(3, 4);
            for (label, features) in &images {
                means.add(*label, features);
            }
            let head = means.head();
            let mut distances = vec![];
            for (label, own) in head.iter().enumerate() {
                let of_class = || images.iter().filter(|(other, _)| *other == label).map(|(_, features)| features);
                let count = of_class().count();
                prop_assert_eq!(own.is_some(), count > 0);
                let Some((weights, bias)) = own else { continue };
                let mut distance = 0.0;
                let mut logit = f64::from(*bias);
                for place in 0..4 {
                    let mean = of_class().map(|features| f64::from(features[place])).sum::<f64>() / count as f64;
                    distance += (f64::from(query[place]) - mean).powi(2);
                    logit += f64::from(query[place]) * f64::from(weights[place]);
                }
                distances.push((distance, logit));
            }
            // Logits and distances are in opposite order, with the same factor between any two.
            for pair in distances.windows(2) {
                let [(one, upper), (other, lower)] = pair else { unreachable!("pairs") };
                let alpha = 30.0 * images.len() as f64
                    / images.iter().flat_map(|(_, features)| features).map(|x| f64::from(*x).powi(2)).sum::<f64>();
                let expected = alpha * (other - one) / 2.0;
                prop_assert!((upper - lower - expected).abs() < 1e-4 * (1.0 + alpha * (one + other)), "{} {}", upper - lower, expected);
            }
        }
    }
}
