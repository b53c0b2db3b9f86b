//! Checkpoints: the complete training state in one safetensors file.
//!
//! Parameters and running statistics have torchvision's names, so that other programs can read them; the optimizer's moments have the
//! prefixes
//! `first_moment.` and `second_moment.`. The rest is JSON in the file's metadata.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use equibatch_engine::checksum::Crc32c;
use safetensors::{
    Dtype, SafeTensors,
    tensor::{Metadata, TensorInfo, TensorView},
};

use super::resume_state::FORMAT;
pub use super::resume_state::ResumeState;
use crate::weights::is_moment;
use equibatch_training::runtime::Tensor;

/// Name of the file in a run's folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// Metadata key of the JSON.
const KEY: &str = "equibatch";
/// Largest header that is read, in bytes: a hundred times that of a few thousand tensors.
const LONGEST_HEADER: u64 = 64 << 20;

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the checkpoint {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is not a valid checkpoint.
    #[error("cannot use the checkpoint {}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The state of a training run after a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The resume state.
    pub progress: ResumeState,
    /// Parameters, running statistics and moments, by name.
    pub tensors: BTreeMap<String, Tensor>,
}

impl Checkpoint {
    /// Writes the checkpoint as a safetensors file; equal checkpoints give equal bytes. The moments of a new optimizer are zeros before its first step,
    /// and are not written.
    ///
    /// # Errors
    ///
    /// Those of `file`.
    pub fn write(&self, file: &mut dyn io::Write) -> io::Result<()> {
        let progress = serde_json::to_string(&self.progress).expect("progress is plain data");
        let has_moments = self.progress.steps > 0 || self.progress.config.lineage.optimizer_steps > 0;
        let tensors = self
            .tensors
            .iter()
            .filter(|(name, _)| has_moments || !is_moment(name));
        let contents: Vec<(&str, Cow<'_, [u8]>)> = tensors
            .clone()
            .map(|(name, tensor)| (name.as_str(), tensor.bytes()))
            .collect();
        let covered = contents.iter().map(|(name, bytes)| (*name, &**bytes));
        let metadata = HashMap::from([(KEY.to_owned(), with_checksum(&progress, covered))]);
        let mut end = 0;
        let tensors = tensors.zip(&contents).map(|((name, tensor), (_, bytes))| {
            let start = end;
            end += bytes.len();
            let info = TensorInfo {
                dtype: Dtype::F32,
                shape: tensor.shape.to_vec(),
                data_offsets: (start, end),
            };
            (name.clone(), info)
        });
        let header = Metadata::new(Some(metadata), tensors.collect()).expect("shapes and lengths agree");
        let mut header = serde_json::to_vec(&header).expect("a header is plain data");
        header.resize(header.len().next_multiple_of(8), b' ');
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        contents.iter().try_for_each(|(_, bytes)| file.write_all(bytes))
    }

    /// The bytes that [`Checkpoint::write`] writes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![];
        self.write(&mut bytes).expect("memory can be written to");
        bytes
    }

    /// Reads and verifies a checkpoint file.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] if the file cannot be read, [`Error::Content`] if it is damaged or not a checkpoint of this version.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|source| Error::Read {
            path: path.to_path_buf(),
            source,
        })?;
        Self::from_bytes(&bytes).map_err(|reason| Error::Content {
            path: path.to_path_buf(),
            reason,
        })
    }

    /// Reads the resume state from the file's header alone; `None` if it cannot be read.
    #[must_use]
    pub fn progress(path: &Path) -> Option<ResumeState> {
        let mut file = File::open(path).ok()?;
        let mut length = [0; 8];
        file.read_exact(&mut length).ok()?;
        let length = u64::from_le_bytes(length).min(LONGEST_HEADER);
        let mut header = vec![];
        file.take(length).read_to_end(&mut header).ok()?;
        let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
        serde_json::from_str(header["__metadata__"][KEY].as_str()?).ok()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let damaged =
            |error: &dyn std::fmt::Display| format!("it is damaged or not a safetensors file ({error})");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(&error))?;
        let progress = header
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(KEY))
            .ok_or("it contains weights but no training state; load them with --weights")?;
        let format = serde_json::from_str::<serde_json::Value>(progress)
            .ok()
            .and_then(|json| json["format"].as_u64());
        if format != Some(u64::from(FORMAT)) {
            return Err(format!(
                "another version of this program wrote it: checkpoint format {}, expected {FORMAT}",
                format.map_or_else(|| "unknown".to_owned(), |format| format.to_string())
            ));
        }
        let content = SafeTensors::deserialize(bytes).map_err(|error| damaged(&error))?;
        check(progress, &content)?;
        let progress = serde_json::from_str(progress).map_err(|error| damaged(&error))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in content.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(format!("`{name}` is {:?}, not F32", view.dtype()));
            }
            let tensor = Tensor::of_bytes(view.shape().to_vec().into(), view.data());
            tensors.insert(name.to_owned(), tensor);
        }
        Ok(Self { progress, tensors })
    }
}

/// Separator before the checksum at the end of the JSON; the checksum covers the JSON text before it.
const CHECKSUM: &str = ",\"crc32c\":";

/// Appends to the JSON the CRC-32C of the JSON and of all tensors, in the order of their names.
fn with_checksum<'a>(progress: &str, tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let covered = progress.strip_suffix('}').expect("progress is an object");
    format!("{covered}{CHECKSUM}{}}}", checksum(covered, tensors))
}

fn checksum<'a>(covered: &str, tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> u32 {
    let mut checksum = Crc32c::new();
    checksum.update(covered.as_bytes());
    for (name, data) in tensors {
        checksum.update(name.as_bytes());
        checksum.update(data);
    }
    checksum.value()
}

/// Verifies the checksum. Files of older versions have none.
fn check(progress: &str, content: &SafeTensors<'_>) -> Result<(), String> {
    let Some((covered, written)) = progress.rsplit_once(CHECKSUM) else {
        return Ok(());
    };
    let tensors: BTreeMap<&str, TensorView<'_>> = content.iter().collect();
    let found = checksum(covered, tensors.iter().map(|(name, view)| (*name, view.data())));
    match written
        .strip_suffix('}')
        .and_then(|number| number.parse::<u32>().ok())
    {
        Some(written) if found == written => Ok(()),
        _ => Err("it is damaged: the CRC-32C of its content does not match".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::run::sample as config;
    use equibatch_stream::Position;

    fn checkpoint() -> Checkpoint {
        let mut progress = ResumeState {
            steps: 12,
            position: Some(Position::default()),
            ..ResumeState::new(config())
        };
        for step in 1..50 {
            progress.smoothed_loss.add(1.0 / f64::from(step));
        }
        let tensor = |shape: &[usize], data: &[f32]| Tensor {
            shape: shape.to_vec().into(),
            data: data.to_vec(),
        };
        let tensors = BTreeMap::from([
            (
                "conv1.weight".to_owned(),
                tensor(&[2, 1, 1, 1], &[f32::MIN_POSITIVE / 2.0, -0.0]),
            ),
            (
                "first_moment.conv1.weight".to_owned(),
                tensor(&[2, 1, 1, 1], &[1.0, f32::MAX]),
            ),
            ("bn1.running_mean".to_owned(), tensor(&[1], &[0.1])),
        ]);
        Checkpoint { progress, tensors }
    }

    #[test]
    fn a_checkpoint_is_read_bit_for_bit_as_it_was_written() {
        let checkpoint = checkpoint();
        let read = Checkpoint::from_bytes(&checkpoint.to_bytes()).expect("readable");
        assert_eq!(read, checkpoint);
        assert_eq!(read.to_bytes(), checkpoint.to_bytes());
        assert!(read.tensors["conv1.weight"].data[1].is_sign_negative());
    }

    #[test]
    fn a_checkpoint_has_the_bytes_that_the_safetensors_library_writes() {
        let bytes = checkpoint().to_bytes();
        let read = SafeTensors::deserialize(&bytes).expect("readable");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
        let again = safetensors::serialize(read.iter(), header.metadata().clone()).expect("valid tensors");
        assert_eq!(bytes, again);
    }

    #[test]
    fn damaged_files_and_files_without_a_training_state_are_refused() {
        let bytes = checkpoint().to_bytes();
        let message = |bytes: &[u8]| Checkpoint::from_bytes(bytes).expect_err("unusable");
        assert!(message(&bytes[..bytes.len() - 1]).contains("damaged"));
        assert!(message(b"not a checkpoint").contains("damaged"));
        let foreign =
            safetensors::serialize(Vec::<(&str, TensorView<'_>)>::new(), None).expect("an empty file");
        assert!(message(&foreign).contains("no training state"));
        // A flipped bit of a tensor, and of a digit of the resume state.
        for at in [bytes.len() - 1, bytes.len() - 20] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert!(message(&flipped).contains("damaged"), "byte {at}");
        }
        let text = String::from_utf8_lossy(&bytes);
        let at = text.find("\\\"steps\\\":12").expect("the number of steps") + 11;
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert!(
            message(&flipped).contains("damaged"),
            "{:?}",
            &text[at - 11..at + 3]
        );
        let newer = String::from_utf8_lossy(&bytes).replacen("\\\"format\\\":1", "\\\"format\\\":9", 1);
        assert!(newer.contains("\\\"format\\\":9"));
    }

    #[test]
    fn a_missing_checkpoint_is_named() {
        let message = Checkpoint::load(Path::new("nowhere/checkpoint.safetensors"))
            .expect_err("missing")
            .to_string();
        assert_eq!(
            message,
            "cannot read the checkpoint nowhere/checkpoint.safetensors"
        );
    }
}
