//! Conversion of the arguments of `sample-data`.

use equibatch_tools::sample_data::{ClassSpec, SampleDataOptions};

use super::error::Error;
use crate::args::SampleData;

impl TryFrom<&SampleData> for SampleDataOptions {
    type Error = Error;

    fn try_from(args: &SampleData) -> Result<Self, Error> {
        let defaults = Self::new(&args.dir);
        let names = if args.classes.is_empty() {
            defaults.classes.iter().map(|class| class.name.clone()).collect()
        } else {
            args.classes.clone()
        };
        let counts = if args.counts.is_empty() && args.classes.is_empty() {
            defaults.classes.iter().map(|class| class.count).collect()
        } else {
            args.counts.clone()
        };
        if names.len() != counts.len() {
            return Err(Error::Counts {
                classes: names.len(),
                counts: counts.len(),
            });
        }
        Ok(Self {
            classes: names
                .into_iter()
                .zip(counts)
                .map(|(name, count)| ClassSpec::new(name, count))
                .collect(),
            test_count: args.test_count,
            seed: args.seed,
            ..defaults
        })
    }
}
