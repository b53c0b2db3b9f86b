//! Positions in a stream, and the check of a resume token.

use crate::dataset::Fingerprint;

/// A batch: its epoch and its step within the epoch, both from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Epoch, from 0.
    pub epoch: u64,
    /// Batch within the epoch, from 0.
    pub step: u64,
}

impl Position {
    /// The batch after this one, in epochs of `steps` batches.
    #[must_use]
    pub fn next(self, steps: u64) -> Self {
        if self.step + 1 < steps {
            Self {
                step: self.step + 1,
                ..self
            }
        } else {
            Self {
                epoch: self.epoch + 1,
                step: 0,
            }
        }
    }
}

/// Every `of`-th batch: those whose number, counted over all epochs, is `index` modulo `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stride {
    /// At least 1.
    pub of: u32,
    /// Below `of`.
    pub index: u32,
}

impl Stride {
    /// Every batch.
    pub const ALL: Self = Self { of: 1, index: 0 };
    /// Largest `of`: the number of servers that a client may spread a stream over.
    pub const MAX: u32 = 4096;

    /// The first of these batches at or after `position`, in epochs of `steps` batches. Zeros count as ones.
    #[must_use]
    pub fn first_from(self, position: Position, steps: u64) -> Position {
        // In 128 bits, because the epoch comes from the client's token and may be any number.
        let (of, steps) = (u128::from(self.of.max(1)), u128::from(steps.max(1)));
        let number = u128::from(position.epoch) * steps + u128::from(position.step);
        let ahead = (u128::from(self.index) + of - number % of) % of;
        let found = number + ahead;
        Position {
            epoch: u64::try_from(found / steps).unwrap_or(u64::MAX),
            step: (found % steps) as u64,
        }
    }
}

/// Hash of everything in a request that its batches depend on, other than seed and files.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpecHash(pub [u8; 16]);

impl std::fmt::Debug for SpecHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where a stream begins, and the identity of the stream that the client's token is from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The first batch.
    pub position: Position,
    /// Seed in the client's token.
    pub seed: Option<u64>,
    /// Spec hash in the client's token.
    pub spec_hash: Option<SpecHash>,
    /// Fingerprint in the client's token.
    pub fingerprint: Option<Fingerprint>,
}

/// The identity of a stream, to check a [`Start`] against.
#[derive(Clone, Debug)]
pub(super) struct StreamIdentity {
    pub(super) seed: u64,
    pub(super) spec_hash: SpecHash,
    pub(super) fingerprint: Fingerprint,
    pub(super) epochs: u32,
    pub(super) steps: u64,
}

impl Start {
    /// Checks that the token is from this stream.
    ///
    /// The end itself, where the token of the last batch points, is a valid start: of an empty stream.
    pub(super) fn check(&self, identity: &StreamIdentity) -> Result<(), ResumeError> {
        if let Some(token) = self.seed.filter(|seed| *seed != identity.seed) {
            return Err(ResumeError::Seed {
                token,
                request: identity.seed,
            });
        }
        if self.spec_hash.is_some_and(|hash| hash != identity.spec_hash) {
            return Err(ResumeError::Spec);
        }
        if let Some(token) = self.fingerprint.filter(|f| *f != identity.fingerprint) {
            return Err(ResumeError::Fingerprint {
                token,
                dataset: identity.fingerprint,
            });
        }
        let Position { epoch, step } = self.position;
        let end = u64::from(identity.epochs);
        let is_end = (epoch, step) == (end, 0);
        if !is_end && (epoch >= end || step >= identity.steps) {
            let StreamIdentity { epochs, steps, .. } = *identity;
            return Err(ResumeError::BeyondEnd {
                epoch,
                step,
                epochs,
                steps,
            });
        }
        Ok(())
    }
}

/// Why a stream cannot be continued from a token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// The token has another seed.
    #[error("start.seed is {token}, but the request's seed is {request}")]
    Seed {
        /// In the token.
        token: u64,
        /// In the request.
        request: u64,
    },
    /// The token is from another request.
    #[error(
        "start.spec_hash is not that of this request: split, batch_size, image_size, balance, recipe, normalization, element_type, \
         layout, last_batch, order, canonical and images_per_epoch must be those of the stream that is continued"
    )]
    Spec,
    /// The token is from other files.
    #[error(
        "start.fingerprint is {token}, but the dataset's is {dataset}: files were added, removed or changed since"
    )]
    Fingerprint {
        /// In the token.
        token: Fingerprint,
        /// Of the dataset.
        dataset: Fingerprint,
    },
    /// The token points beyond the end.
    #[error(
        "start is epoch {epoch}, step {step}, beyond the end: epochs are from 0 to {}, steps from 0 to {}",
        epochs.saturating_sub(1),
        steps.saturating_sub(1)
    )]
    BeyondEnd {
        /// In the token.
        epoch: u64,
        /// In the token.
        step: u64,
        /// Epochs in the request.
        epochs: u32,
        /// Steps in an epoch.
        steps: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> StreamIdentity {
        let fingerprint = Fingerprint([1; 32]);
        StreamIdentity {
            seed: 7,
            spec_hash: SpecHash([2; 16]),
            fingerprint,
            epochs: 3,
            steps: 5,
        }
    }

    fn at(epoch: u64, step: u64) -> Start {
        Start {
            position: Position { epoch, step },
            ..Start::default()
        }
    }

    #[test]
    fn strides_divide_the_batches_of_all_epochs() {
        let steps = 5;
        let walk = |stride: Stride, start: Position| {
            let first = stride.first_from(start, steps);
            std::iter::successors(Some(first), move |at| {
                Some(stride.first_from(at.next(steps), steps))
            })
            .take_while(|at| at.epoch < 4)
            .collect::<Vec<_>>()
        };
        for start in [Position::default(), Position { epoch: 1, step: 3 }] {
            for of in 1..=7 {
                let mut shared: Vec<_> = (0..of)
                    .flat_map(|index| walk(Stride { of, index }, start))
                    .collect();
                shared.sort_unstable();
                assert_eq!(shared, walk(Stride::ALL, start), "{of} parts from {start:?}");
            }
        }
        assert_eq!(
            walk(Stride { of: 3, index: 1 }, Position::default())[..3],
            [(0, 1), (0, 4), (1, 2)].map(|(epoch, step)| Position { epoch, step })
        );
    }

    #[test]
    fn the_next_position_wraps_to_the_next_epoch() {
        let steps = 2;
        let mut position = Position::default();
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push((position.epoch, position.step));
            position = position.next(steps);
        }
        assert_eq!(seen, [(0, 0), (0, 1), (1, 0), (1, 1)]);
    }

    #[test]
    fn a_start_is_any_batch_or_the_end() {
        for (epoch, step, ok) in [
            (0, 0, true),
            (2, 4, true),
            (3, 0, true),
            (0, 5, false),
            (3, 1, false),
            (4, 0, false),
        ] {
            assert_eq!(
                at(epoch, step).check(&identity()).is_ok(),
                ok,
                "epoch {epoch}, step {step}"
            );
        }
    }

    #[test]
    fn a_token_of_another_stream_is_rejected_with_the_field_that_differs() {
        let spec = Start {
            spec_hash: Some(SpecHash([9; 16])),
            ..at(0, 0)
        };
        assert_eq!(spec.check(&identity()), Err(ResumeError::Spec));
        let seed = Start {
            seed: Some(8),
            ..spec
        };
        assert_eq!(
            seed.check(&identity()),
            Err(ResumeError::Seed { token: 8, request: 7 })
        );
        let files = Start {
            fingerprint: Some(Fingerprint([9; 32])),
            ..at(0, 0)
        };
        assert!(matches!(
            files.check(&identity()),
            Err(ResumeError::Fingerprint { .. })
        ));
    }
}
