use super::{ConfusionMatrix, Figures, argmax, auroc, cross_entropy, figures::TOP, place};

/// Predictions counted as they come; all figures of a split follow from it.
///
/// Memory: 16 bytes per image for two classes, otherwise nothing that grows with the images.
#[derive(Clone, Debug)]
pub struct Tally {
    matrix: ConfusionMatrix,
    loss: f64,
    /// How many images have their class at the first, second, ... place.
    places: Vec<u64>,
    /// For two classes: the margin of the second one, and whether the image is of it.
    margins: Vec<(f64, bool)>,
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self {
            matrix: ConfusionMatrix::new(classes),
            loss: 0.0,
            places: vec![0; classes],
            margins: vec![],
        }
    }

    /// Counts one image by its logits. Logarithms of probabilities are logits, too.
    ///
    /// # Panics
    ///
    /// Where `logits` has not a value for every class, or `label` is no class.
    pub fn record(&mut self, logits: &[f32], label: usize) {
        assert_eq!(
            logits.len(),
            self.places.len(),
            "a row of logits has a value for every class"
        );
        self.matrix.record(label, argmax(logits));
        self.loss += cross_entropy(logits, label);
        self.places[place(logits, label)] += 1;
        if let [first, second] = *logits {
            self.margins
                .push((f64::from(second) - f64::from(first), label == 1));
        }
    }

    /// All figures of what was counted; `names` are those of the classes in label order.
    #[must_use]
    pub fn figures(&self, names: &[String]) -> Figures {
        let total = self.matrix.total().max(1) as f64;
        let places = self.places.iter().take(TOP);
        let cumulated = places.scan(0, |sum, &images| {
            *sum += images;
            Some(*sum as f64 / total)
        });
        let top_k = if self.matrix.total() > 0 {
            cumulated.collect()
        } else {
            vec![]
        };
        Figures::new(
            &self.matrix,
            self.loss / total,
            top_k,
            auroc(&self.margins),
            names,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class {class}")).collect()
    }

    #[test]
    fn the_share_among_the_k_likeliest_grows_to_one() {
        let mut tally = Tally::new(3);
        for (logits, label) in [
            ([3.0, 2.0, 1.0], 0),
            ([3.0, 2.0, 1.0], 1),
            ([3.0, 2.0, 1.0], 2),
            ([0.0, 0.0, 0.0], 1),
        ] {
            tally.record(&logits, label);
        }
        let figures = tally.figures(&names(3));
        assert_eq!(figures.top_k, [0.25, 0.75, 1.0]);
        assert_eq!(figures.accuracy, Some(0.25));
        assert_eq!(figures.auroc, None, "only for two classes");
    }

    #[test]
    fn of_many_classes_the_ten_likeliest_count() {
        let mut tally = Tally::new(30);
        tally.record(&[0.0; 30], 9);
        tally.record(&[0.0; 30], 10);
        let figures = tally.figures(&names(30));
        assert_eq!(figures.top_k.len(), 10);
        assert_eq!(figures.top_k[8..], [0.0, 0.5]);
    }

    #[test]
    fn nothing_counted_has_no_figures() {
        let figures = Tally::new(2).figures(&names(2));
        assert_eq!((figures.images, figures.accuracy, figures.auroc), (0, None, None));
        assert!(figures.top_k.is_empty());
    }
}
