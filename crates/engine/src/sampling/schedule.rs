//! Schedules: from one balance policy to another over the epochs of a stream.

use std::ops::Range;

use super::{Balance, Error};

/// A change from one balance policy to another by epoch, at once or linearly. Each epoch has as many images as `from` draws.
///
/// # Source
///
/// Linear, from natural to oversample: progressively-balanced sampling of Kang et al., *Decoupling Representation and Classifier for Long-Tailed
/// Recognition*, ICLR 2020. At once: deferred re-sampling of Cao et al., *Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss*,
/// NeurIPS 2019.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The policy of the first epoch. Not a schedule.
    pub from: Balance,
    /// The policy of the last epoch. Not a schedule.
    pub to: Balance,
    /// Fraction of the epochs that draw as `from`, above 0 and below 1; the others draw as `to`. `None`: linearly from `from` to `to`.
    pub at: Option<f64>,
    /// The epochs of the schedule, at least 2: those before draw as `from`, those after as `to`. `None`: all epochs of the stream.
    pub epochs: Option<Range<u32>>,
}

impl Schedule {
    /// From natural linearly to oversample, over all epochs of the stream.
    #[must_use]
    pub fn progressive() -> Self {
        Self {
            from: Balance::Natural,
            to: Balance::Oversample,
            at: None,
            epochs: None,
        }
    }

    /// The last epoch that draws as `from`, and the first that draws as `to`.
    ///
    /// # Errors
    ///
    /// If `at` is out of range, or there are fewer than two epochs.
    pub(super) fn change(&self) -> Result<(u64, u64), Error> {
        if let Some(at) = self.at.filter(|at| !(*at > 0.0 && *at < 1.0)) {
            return Err(Error::OutOfRange {
                parameter: "a schedule at",
                value: at,
                range: "above 0 and below 1",
            });
        }
        let epochs = self.epochs.clone().ok_or(Error::ScheduleWithoutEpochs)?;
        let (first, count) = (u64::from(epochs.start), epochs.len() as u64);
        if count < 2 {
            return Err(Error::ScheduleTooShort { epochs: count });
        }
        Ok(match self.at {
            None => (first, first + count - 1),
            Some(at) => {
                let of_first = ((at * count as f64).round() as u64).clamp(1, count - 1);
                (first + of_first - 1, first + of_first)
            }
        })
    }
}

impl Balance {
    /// The same policy; a schedule over all epochs of the stream becomes one over epochs 0 to `epochs`.
    #[must_use]
    pub fn over(mut self, epochs: u32) -> Self {
        if let Self::Schedule(schedule) = &mut self {
            schedule.epochs.get_or_insert(0..epochs);
        }
        self
    }

    /// Whether this is a schedule over all epochs of a stream, whose number must be known.
    #[must_use]
    pub fn needs_epochs(&self) -> bool {
        matches!(self, Self::Schedule(schedule) if schedule.epochs.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(at: Option<f64>, epochs: Range<u32>) -> Result<(u64, u64), Error> {
        let schedule = Schedule {
            at,
            epochs: Some(epochs),
            ..Schedule::progressive()
        };
        schedule.change()
    }

    #[test]
    fn deferred_schedules_change_at_the_nearest_epoch() {
        assert_eq!(change(Some(0.8), 0..10), Ok((7, 8)));
        assert_eq!(change(Some(0.8), 0..4), Ok((2, 3)));
        assert_eq!(change(Some(0.5), 6..10), Ok((7, 8)));
        // Both policies have at least an epoch.
        assert_eq!(change(Some(0.99), 0..2), Ok((0, 1)));
        assert_eq!(change(Some(0.01), 0..10), Ok((0, 1)));
    }

    #[test]
    fn progressive_schedules_end_with_the_last_epoch() {
        assert_eq!(change(None, 0..10), Ok((0, 9)));
        assert_eq!(change(None, 3..5), Ok((3, 4)));
    }

    #[test]
    fn schedules_that_cannot_change_are_refused() {
        assert_eq!(change(None, 4..5), Err(Error::ScheduleTooShort { epochs: 1 }));
        assert_eq!(
            Schedule::progressive().change(),
            Err(Error::ScheduleWithoutEpochs)
        );
        for at in [0.0, 1.0, -0.5, f64::NAN] {
            assert!(
                matches!(change(Some(at), 0..9), Err(Error::OutOfRange { .. })),
                "{at}"
            );
        }
    }
}
