//! Conversion of the arguments of `sample-data`.

use equibatch_tools::sample_data::{ClassSpec, SampleDataOptions, long_tail};

use super::error::{Error, invalid};
use crate::args::SampleData;

impl TryFrom<&SampleData> for SampleDataOptions {
    type Error = Error;

    fn try_from(args: &SampleData) -> Result<Self, Error> {
        let defaults = Self::new(&args.dir);
        if let Some(text) = &args.long_tail {
            return Ok(Self {
                classes: long_tailed(text, &args.counts)?,
                test_count: args.test_count,
                seed: args.seed,
                ..defaults
            });
        }
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

/// The classes of `--long-tail CLASSES:FACTOR`, of which `--counts` is the number of images of the largest.
fn long_tailed(text: &str, counts: &[usize]) -> Result<Vec<ClassSpec>, Error> {
    let fail = |reason| invalid("--long-tail", &text, reason);
    let (classes, factor) = text
        .split_once(':')
        .and_then(|(classes, factor)| Some((classes.parse::<u32>().ok()?, factor.parse::<f64>().ok()?)))
        .filter(|(classes, factor)| (2..=1000).contains(classes) && *factor >= 1.0 && factor.is_finite())
        .ok_or_else(|| {
            fail("expected CLASSES:FACTOR, such as 50:100, with 2 to 1000 classes and a factor of at least 1")
        })?;
    let largest = match counts {
        [] => LARGEST,
        [largest] => *largest,
        _ => {
            return Err(invalid(
                "--counts",
                &counts.len(),
                "expected one number with --long-tail: the images of the largest class",
            ));
        }
    };
    let classes = long_tail(classes, factor, largest);
    if classes.iter().any(|class| class.count == 0) {
        return Err(fail(
            "the smallest class would have no image: give the largest at least FACTOR images (--counts N)",
        ));
    }
    Ok(classes)
}

/// Images of the largest class of a long-tailed set: the smallest of `50:100` has 2, one for training and one for validation.
const LARGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str, counts: &[usize]) -> Result<Vec<usize>, String> {
        let classes = long_tailed(text, counts).map_err(|error| error.to_string())?;
        Ok(classes.iter().map(|class| class.count).collect())
    }

    #[test]
    fn long_tails_are_parsed() {
        assert_eq!(counts("3:100", &[]), Ok(vec![200, 20, 2]));
        assert_eq!(counts("2:10", &[50]), Ok(vec![50, 5]));
        for (text, given, words) in [
            ("50", &[][..], "CLASSES:FACTOR"),
            ("1:10", &[], "2 to 1000"),
            ("50:0.5", &[], "at least 1"),
            ("50:NaN", &[], "at least 1"),
            ("50:1000", &[], "--counts N"),
            ("3:10", &[30, 20], "one number"),
        ] {
            let error = counts(text, given).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
