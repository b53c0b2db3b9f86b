//! Export of trained models for deployment: rewritten, checked against the original, and written.

use std::path::{Path, PathBuf};

use equibatch_cli::files::{self, WriteError};

use super::{
    adjustments::{Adjustments, AppliedPrior, ChosenThreshold, FittedTemperature},
    card::{self, ModelCard},
    network,
    prior::{self, Prior},
};
use equibatch_training::{
    program::{self, DeploySpec, ElementType, Images, Pixels},
    runtime::{self, Classifier, Runtime, SessionOptions},
};

/// Largest permitted error of the exported model's logits, relative to the largest logit of an image. Folding rounds every weight (6e-8),
/// and another order of summation does as much: on a ResNet the two add up to about 1e-5.
const TOLERANCE: f32 = 1e-3;

/// Batch sizes of the comparison; two, because the batch axis must be dynamic.
const BATCHES: [usize; 2] = [1, 3];

/// Why a model cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model cannot be read.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// The model's metadata is insufficient.
    #[error(transparent)]
    Card(#[from] card::Error),
    /// The model cannot be rewritten.
    #[error("cannot rewrite {}", path.display())]
    Program {
        /// The model.
        path: PathBuf,
        /// Why not.
        #[source]
        source: program::Error,
    },
    /// The model cannot be adjusted to the class frequencies.
    #[error(transparent)]
    Prior(#[from] prior::Error),
    /// One of the two models cannot be run.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The output path is the source model or one of its external data files.
    #[error("{} is part of the model to export: choose another file with --out", path.display())]
    Source {
        /// The file.
        path: PathBuf,
    },
    /// The exported model's outputs differ.
    #[error("the model for {} differs from {}: relative error of the logits {deviation:e}, permitted {:e}; nothing was written", path.display(), of.display(), TOLERANCE)]
    Deviation {
        /// The output file.
        path: PathBuf,
        /// The model that was exported.
        of: PathBuf,
        /// Largest error, relative to the largest logit of its image.
        deviation: f32,
    },
}

/// Export options.
#[derive(Clone, Debug)]
pub struct ExportSpec {
    /// Whether batch norms are folded into adjacent layers.
    pub fuse_bn: bool,
    /// Layout of a `u8` input that the model normalises itself; `None`: a normalised `f32` input.
    pub pixels: Option<Layout>,
    /// ONNX opset version.
    pub opset: i64,
    /// Class frequencies that the model is adjusted to, and the τ of [`Prior::offsets`].
    pub prior: Option<(Prior, f64)>,
    /// Temperature by which the logits are divided after that.
    pub temperature: Option<FittedTemperature>,
    /// Threshold of the result, written to the metadata.
    pub threshold: Option<ChosenThreshold>,
}

/// Channel layout of a `u8` input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[N, 3, S, S]`.
    Planes,
    /// `[N, S, S, 3]`.
    Interleaved,
}

/// Result of an export.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Size of the file in bytes.
    pub bytes: usize,
    /// Largest error of the logits on noise images, relative to the largest logit of its image.
    pub deviation: f32,
    /// Description of the model's input, as JSON.
    pub input: String,
    /// All adjustments of the model, with those of the model that was exported.
    pub adjustments: Adjustments,
    /// [`ClassShares::described`](prior::ClassShares::described).
    pub class_shares: Option<String>,
}

/// Rewrites the model file `from` according to `spec`, compares the outputs of both on the same images, and writes the new one to `to`.
///
/// # Errors
///
/// [`Error::Deviation`] if the outputs differ, [`Error::Source`] if `to` is `from` or one of its external data files. After any error `to`
/// is unchanged.
pub fn export(
    (runtime, options): (&Runtime, &SessionOptions),
    from: &Path,
    spec: &ExportSpec,
    to: &Path,
) -> Result<Exported, Error> {
    for source in network::files(from)? {
        if is_same_file(&source, to) {
            return Err(Error::Source {
                path: to.to_path_buf(),
            });
        }
    }
    let network = network::read(from)?;
    let mut original = Classifier::open(runtime, from, options)?;
    let card = ModelCard::read(&from.display().to_string(), &original)?;
    let mut shares = card.class_shares.clone();
    let mut offsets = vec![];
    if let Some((prior, tau)) = &spec.prior {
        (offsets, shares.assumed) = prior.offsets(&card.classes, &shares, *tau)?;
        original.add_offsets(offsets.clone());
    }
    let scale = spec
        .temperature
        .map_or(1.0, |temperature| (1.0 / temperature.value) as f32);
    original.scale(scale);
    let adjustments = card.adjustments.then(&Adjustments {
        prior: spec
            .prior
            .as_ref()
            .map(|(prior, tau)| AppliedPrior::of(prior, *tau)),
        temperature: spec.temperature,
        threshold: spec.threshold.clone(),
    });
    let preprocessing = &card.preprocessing;
    let pixels = spec.pixels.map(|layout| Pixels {
        channels_last: layout == Layout::Interleaved,
        mean: preprocessing.mean,
        std: preprocessing.std,
    });
    let input = card::describe_input(preprocessing, pixels.as_ref());
    let mut metadata: Vec<_> = network
        .metadata()
        .iter()
        .filter(|(key, _)| ![card::INPUT, card::SHARES, card::ADJUSTMENTS].contains(&&**key))
        .cloned()
        .collect();
    metadata.push((card::INPUT.to_owned(), input.clone()));
    metadata.push((
        card::SHARES.to_owned(),
        serde_json::to_string(&shares).expect("plain data"),
    ));
    if !adjustments.is_empty() {
        let text = serde_json::to_string(&adjustments).expect("plain data");
        metadata.push((card::ADJUSTMENTS.to_owned(), text));
    }
    let size = preprocessing.image_size as usize;
    let deploy = DeploySpec {
        classes: card.classes.len(),
        image_size: size,
        fuse_bn: spec.fuse_bn,
        images: pixels.map_or(Images::F32, Images::Pixels),
        offsets: &offsets,
        scale,
        opset: spec.opset,
        metadata: &metadata,
    };
    let program = program::deploy(&network, &deploy).map_err(|source| Error::Program {
        path: from.to_path_buf(),
        source,
    })?;
    let mut rewritten = Classifier::new(runtime, "the exported model", &program.model, options)?;
    let deviation = compare([&mut original, &mut rewritten], &card)?;
    if deviation.is_nan() || deviation > TOLERANCE {
        let (path, of) = (to.to_path_buf(), from.to_path_buf());
        return Err(Error::Deviation { path, of, deviation });
    }
    files::write(to, &program.model)?;
    Ok(Exported {
        bytes: program.model.len(),
        deviation,
        input,
        adjustments,
        class_shares: shares.described(&card.classes),
    })
}

/// Whether two paths name the same existing file.
fn is_same_file(left: &Path, right: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(left).is_some_and(|left| Some(left) == real(right))
}

/// Largest relative error of the second model's logits over noise images, in batches of different sizes.
fn compare(models: [&mut Classifier; 2], card: &ModelCard) -> Result<f32, runtime::Error> {
    let size = card.preprocessing.image_size as usize;
    let mut largest = 0.0_f32;
    let [original, written] = models;
    for count in BATCHES {
        let noise = Noise { count, size };
        let [expected, found] = [&mut *original, &mut *written].map(|model| {
            let input = model.input();
            let as_bytes = input.element_type == ElementType::U8;
            let tensor = noise.tensor(input.channels_last, as_bytes, &card.preprocessing);
            model.logits(&tensor, count, size)
        });
        let off = deviation(&expected?, &found?, card.classes.len());
        if off.is_nan() {
            return Ok(off);
        }
        largest = largest.max(off);
    }
    Ok(largest)
}

/// Largest difference, relative to the largest logit of its image; NaN if a logit is NaN.
fn deviation(expected: &[f32], found: &[f32], classes: usize) -> f32 {
    let rows = expected.chunks(classes).zip(found.chunks(classes));
    rows.fold(0.0, |largest: f32, (expected, found)| {
        let scale = expected
            .iter()
            .fold(f32::MIN_POSITIVE, |scale, logit| scale.max(logit.abs()));
        let off = expected
            .iter()
            .zip(found)
            .map(|(expected, found)| (expected - found).abs() / scale);
        off.fold(largest, |largest, off| {
            if off > largest || off.is_nan() {
                off
            } else {
                largest
            }
        })
    })
}

/// Pseudorandom images.
struct Noise {
    count: usize,
    size: usize,
}

impl Noise {
    /// The input tensor for a model, in little-endian elements.
    fn tensor(&self, channels_last: bool, as_bytes: bool, preprocessing: &card::Preprocessing) -> Vec<u8> {
        let plane = self.size * self.size;
        let pixel = |image: usize, channel: usize, place: usize| {
            let number = (image * 3 + channel) * plane + place;
            ((number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
        };
        let mut tensor = Vec::new();
        let mut push = |image, channel, place| {
            let byte = pixel(image, channel, place);
            if as_bytes {
                tensor.push(byte);
            } else {
                let value =
                    (f32::from(byte) / 255.0 - preprocessing.mean[channel]) / preprocessing.std[channel];
                tensor.extend(value.to_le_bytes());
            }
        };
        for image in 0..self.count {
            if channels_last {
                (0..plane).for_each(|place| (0..3).for_each(|channel| push(image, channel, place)));
            } else {
                (0..3).for_each(|channel| (0..plane).for_each(|place| push(image, channel, place)));
            }
        }
        tensor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_relative_to_the_largest_logit_of_their_image() {
        let off = deviation(&[1.0, -10.0, 0.5, 0.25], &[1.0, -11.0, 0.5, 0.2], 2);
        assert!((off - 0.1).abs() < 1e-6, "{off}");
        assert!(deviation(&[1.0, 2.0], &[f32::NAN, 2.0], 2).is_nan());
        assert!(deviation(&[1.0, 2.0, 1.0, 1.0], &[f32::NAN, 2.0, 1.0, 3.0], 2).is_nan());
    }
}
