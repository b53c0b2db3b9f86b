//! Renders one sample: from its file to its part of a batch.

use std::{sync::Arc, time::Instant};

use super::{
    Error,
    metrics::WorkerCounters,
    position::Position,
    render::render,
    served_dataset::ServedDataset,
    source::{Source, is_transient},
    spec::StreamSpec,
};
use crate::{
    augment::{Augment, Draw},
    cache::{Cache, Encoded, Key},
    decode::{self, DecodeOptions},
    image::Image,
    memory::{Budget, Permit},
    random::{Purpose, below, generator},
    sampling::Slot,
    tensor,
};

/// Random draws for a replacement, before the class is searched in order. If half of a class is broken, the search is needed once in 256
/// replacements.
const REPLACEMENT_DRAWS: u64 = 8;

/// Renders the samples of one stream. A pure function of its fields and of the files.
#[derive(Debug)]
pub(super) struct SampleRenderer {
    pub(super) served: Arc<ServedDataset>,
    pub(super) spec: StreamSpec,
    /// Sample ids of the split by class.
    pub(super) members: Arc<[Vec<u32>]>,
    pub(super) decoder: Decoder,
    /// Counters of the stream.
    pub(super) counters: Arc<WorkerCounters>,
}

/// A decoded sample with its augmentation, ready to be rendered.
#[derive(Debug)]
pub(super) struct PreparedSample {
    pub(super) sample: u32,
    pub(super) image: Arc<Image>,
    pub(super) draw: Draw,
    /// The memory of the image, if it was decoded for this sample.
    _memory: Option<Permit>,
}

/// An image, with its memory permit if it was decoded for this sample.
type Loaded = (Arc<Image>, Option<Permit>);

/// Reads and decodes samples through the caches.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    /// Index of the dataset among all that share the cache.
    pub(super) dataset: u32,
    pub(super) source: Arc<dyn Source>,
    pub(super) cache: Arc<Cache>,
    pub(super) encoded: Arc<Cache<Encoded>>,
    pub(super) options: DecodeOptions,
    /// Budget of files that are being decoded.
    pub(super) files: Arc<Budget>,
    /// Budget of decoders and their images, until these are rendered.
    pub(super) memory: Arc<Budget>,
    pub(super) short_side: Option<u32>,
}

impl SampleRenderer {
    /// Renders `slot` to `out` and returns the sample that was used: another one of the class if the planned one is broken.
    pub(super) fn render_into(&self, position: Position, slot: Slot, out: &mut [u8]) -> Result<u32, Error> {
        let prepared = self.prepare(position.epoch, slot)?;
        let started = Instant::now();
        render(&prepared.image, &prepared.draw, &self.spec.tensor, out);
        self.counters.rendered(started.elapsed());
        Ok(prepared.sample)
    }

    /// Decodes `slot` and draws its augmentation. Drop the result before preparing another sample: it holds memory that that may wait for.
    pub(super) fn prepare(&self, epoch: u64, slot: Slot) -> Result<PreparedSample, Error> {
        let (sample, (image, memory)) = match self.load(slot.sample)? {
            Ok(loaded) => (slot.sample, loaded),
            Err(reason) => self.replacement(epoch, slot, reason)?,
        };
        Ok(PreparedSample {
            sample,
            image: self.reduced(image),
            draw: self.draw(epoch, slot, sample != slot.sample),
            _memory: memory,
        })
    }

    /// Draws the augmentation of `slot`. A replacement has a slot of its own elsewhere in the epoch, so it counts as a repetition here.
    fn draw(&self, epoch: u64, slot: Slot, is_replaced: bool) -> Draw {
        let recipe = &self.spec.recipe;
        let is_first = slot.repetition == 0 && !is_replaced;
        if recipe.augment == Augment::Repeats && is_first {
            return Draw::unaugmented(recipe.evaluation_pad());
        }
        recipe.draw(&mut generator(
            self.spec.seed,
            Purpose::AUGMENT,
            &[epoch, slot.position],
        ))
    }

    /// Reduces an image kept at its native size to the pixels that bilinear sampling can use.
    fn reduced(&self, image: Arc<Image>) -> Arc<Image> {
        let target = self.spec.tensor.size;
        let is_native = self.decoder.short_side.is_none();
        if is_native && image.width().min(image.height()) > target.saturating_mul(2) {
            tensor::area_shrink(&image, target).map_or(image, Arc::new)
        } else {
            image
        }
    }

    /// Another image of the class of `slot`: the first readable one of some random draws, then of the class in circular order.
    fn replacement(&self, epoch: u64, slot: Slot, mut reason: decode::Error) -> Result<(u32, Loaded), Error> {
        let members = &self.members[slot.class as usize];
        let drawn = |attempt| {
            let coordinates = [epoch, slot.position, attempt];
            below(
                &mut generator(self.spec.seed, Purpose::REPLACEMENT, &coordinates),
                members.len() as u32,
            ) as usize
        };
        let first = drawn(REPLACEMENT_DRAWS);
        let all = (0..members.len()).map(|step| (first + step) % members.len());
        let mut last = slot.sample;
        for index in (0..REPLACEMENT_DRAWS).map(drawn).chain(all) {
            last = members[index];
            match self.load(last)? {
                Ok(loaded) => return Ok((last, loaded)),
                Err(found) => reason = found,
            }
        }
        let dataset = self.served.dataset();
        Err(Error::NoReadableImage {
            dataset: dataset.name.clone(),
            split: self.spec.split,
            class: dataset.classes[slot.class as usize].clone(),
            path: dataset.samples[last as usize].path.to_string(),
            source: reason,
        })
    }

    /// The canonical image of a sample, or the reason why it is broken.
    fn load(&self, sample: u32) -> Result<Result<Loaded, decode::Error>, Error> {
        match self.decoder.load(&self.served, sample, &self.counters) {
            Ok(loaded) => Ok(Ok(loaded)),
            Err(error) if is_transient(&error) => Err(Error::Read { source: error }),
            Err(error) => {
                self.served.record_broken(sample, &error)?;
                Ok(Err(error))
            }
        }
    }
}

impl Decoder {
    fn load(
        &self,
        served: &ServedDataset,
        sample: u32,
        counters: &WorkerCounters,
    ) -> Result<Loaded, decode::Error> {
        let (mut is_hit, mut memory) = (true, None);
        let image = self.cache.get_or_insert_with(self.key(sample), || {
            is_hit = false;
            let started = Instant::now();
            let (file, _until_decoded) = self.file(served, sample)?;
            let read = started.elapsed();
            let decoded =
                decode::decode_within(file.bytes(), &self.options, self.short_side, Some(&self.memory));
            counters.decoded(read, started.elapsed() - read);
            let (image, taken) = decoded?;
            memory = taken;
            Ok(image)
        });
        if is_hit {
            counters.hit();
        }
        image.map(|image| (image, memory))
    }

    /// The bytes of a file, with their memory permit if they were read for this sample. Uses the cache of files if the image is not planned to be cached.
    fn file(
        &self,
        served: &ServedDataset,
        sample: u32,
    ) -> Result<(Arc<Encoded>, Option<Permit>), decode::Error> {
        let dataset = served.dataset();
        let mut memory = None;
        let mut read = || {
            memory = Some(decode::reserve_memory(
                &self.files,
                dataset.samples[sample as usize].bytes,
            )?);
            self.source.read(dataset, sample).map(Encoded::from)
        };
        let file = if self.encoded.budget() == 0 || self.cache.is_planned(self.key(sample)) {
            read().map(Arc::new)
        } else {
            self.encoded.get_or_insert_with(self.file_key(sample), read)
        };
        file.map(|file| (file, memory))
    }

    /// Files do not depend on the short side of the image.
    pub(super) fn file_key(&self, sample: u32) -> Key {
        Key {
            short_side: None,
            ..self.key(sample)
        }
    }

    pub(super) fn key(&self, sample: u32) -> Key {
        Key {
            dataset: self.dataset,
            sample,
            short_side: self.short_side,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{
        dataset::{Dataset, ScanOptions},
        pipeline::source::Files,
    };

    /// Records the memory taken for files during each read.
    #[derive(Debug)]
    struct RecordingSource(Arc<Budget>, Mutex<Vec<u64>>);

    impl Source for RecordingSource {
        fn read(&self, dataset: &Dataset, id: u32) -> Result<Vec<u8>, decode::Error> {
            self.1.lock().expect("no panic").push(self.0.used());
            Files.read(dataset, id)
        }
    }

    #[test]
    fn a_file_takes_memory_while_it_is_read_and_an_image_as_long_as_it_is_used() {
        let folder = tempfile::tempdir().expect("a folder");
        for class in ["a", "b"] {
            std::fs::create_dir(folder.path().join(class)).expect("a class");
            let file = folder.path().join(class).join("0.png");
            image::RgbImage::new(60, 40).save(file).expect("an image");
        }
        let scanned = Dataset::scan("pictures", folder.path(), &ScanOptions::default());
        let dataset = scanned.expect("a dataset");
        let bytes = dataset.samples[0].bytes;
        let budget = |bytes| Budget::new(bytes, bytes);
        let (files, memory) = (budget(1 << 20), budget(1 << 20));
        let source = Arc::new(RecordingSource(Arc::clone(&files), Mutex::default()));
        let nothing = budget(0).take_unowned(0).expect("nothing");
        let served = ServedDataset::new(dataset, nothing, 0.0);
        let mut decoder = Decoder {
            dataset: 0,
            source: Arc::clone(&source) as Arc<dyn Source>,
            cache: Arc::new(Cache::new(0)),
            encoded: Arc::new(Cache::new(0)),
            options: DecodeOptions::default(),
            files: Arc::clone(&files),
            memory: Arc::clone(&memory),
            short_side: None,
        };
        let loaded = decoder
            .load(&served, 0, &WorkerCounters::default())
            .expect("an image");
        assert_eq!(*source.1.lock().expect("no panic"), [bytes]);
        assert_eq!(files.used(), 0, "the file is decoded");
        assert!(memory.used() >= 60 * 40 * 3, "{}", memory.used());
        drop(loaded);
        assert_eq!(memory.used(), 0);
        decoder.files = budget(bytes - 1);
        let error = decoder
            .load(&served, 0, &WorkerCounters::default())
            .expect_err("too large");
        assert!(matches!(error, decode::Error::TooMuchMemory { .. }), "{error}");
    }
}
