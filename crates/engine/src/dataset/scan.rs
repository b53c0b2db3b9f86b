use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, BufReader};
use std::mem;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::fingerprint::fingerprint;
use super::layout::SplitSource;
use super::quarantine::reason;
use super::split::{SplitConfig, divide};
use super::walk::{ClassFolder, Walk, walk};
use super::{Dataset, Error, Quarantined, Sample, Samples, ScanOptions, Split, Warning};
use crate::header::{self, DecodeLimits, Header};

/// Progress of a scan.
#[derive(Debug, Default)]
pub struct Progress {
    /// Image files found; 0 while folders are being listed.
    files: AtomicUsize,
    /// Files whose headers were read.
    read: AtomicUsize,
}

impl Progress {
    /// Files whose headers were read, and image files found; that is 0 while folders are being listed.
    #[must_use]
    pub fn read_of_files(&self) -> (usize, usize) {
        // In this order: there are never more than were found.
        let read = self.read.load(Ordering::Relaxed);
        (read, self.files.load(Ordering::Relaxed))
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (read, files) = self.read_of_files();
        write!(f, "{read} of {files} files")
    }
}

impl Dataset {
    /// Scans the class folders of `root`: lists them, reads the header of every image, assigns splits, sorts and hashes. `name` is what requests
    /// call it.
    ///
    /// # Determinism
    ///
    /// A function of the contents of the folders and the options, whatever the order in which the file system lists them; only name and root are
    /// copied.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`]; see the table in the documentation of [`dataset`](super).
    pub fn scan(name: &str, root: impl AsRef<Path>, options: &ScanOptions) -> Result<Self, Error> {
        scan_with_progress(name, root.as_ref(), options, &Progress::default())
    }
}

/// As [`Dataset::scan`], and updates `progress`.
///
/// # Errors
///
/// Those of [`Dataset::scan`].
pub fn scan_with_progress(
    name: &str,
    root: &Path,
    options: &ScanOptions,
    progress: &Progress,
) -> Result<Dataset, Error> {
    let (dataset, stray) = scan_any(name, root, options, progress)?;
    let root = root.to_owned();
    for warning in &dataset.warnings {
        if let Warning::Unreadable { folder, reason } = warning {
            let (folder, reason) = (folder.clone(), reason.clone());
            return Err(Error::UnreadableFolder { root, folder, reason });
        }
    }
    match dataset.classes.as_slice() {
        [] => Err(Error::NoImages {
            root,
            quarantined: dataset.quarantine.len(),
            stray,
        }),
        [class] => Err(Error::SingleClass {
            root,
            class: class.clone(),
        }),
        _ => Ok(dataset),
    }
}

/// As [`Dataset::scan`], but accepts any number of classes, including none, and skips unreadable folders with a warning: to inspect folders that cannot be
/// served yet.
///
/// # Errors
///
/// Those of [`Dataset::scan`] except [`Error::UnreadableFolder`], [`Error::NoImages`] and [`Error::SingleClass`].
pub fn scan_lenient(name: &str, root: &Path, options: &ScanOptions) -> Result<Dataset, Error> {
    Ok(scan_any(name, root, options, &Progress::default())?.0)
}

/// The dataset, and the number of images outside class folders.
fn scan_any(
    name: &str,
    root: &Path,
    options: &ScanOptions,
    progress: &Progress,
) -> Result<(Dataset, usize), Error> {
    if !(0.0..1.0).contains(&options.valid_fraction) {
        return Err(Error::ValidFraction {
            fraction: options.valid_fraction,
        });
    }
    let (real, mut walk) = open(root)?;
    let mut samples = mem::take(&mut walk.found);
    walk.quarantine
        .extend(read_headers(&real, &mut samples, &options.limits, progress));
    walk.quarantine.sort();
    samples.retain(|sample| sample.height > 0);
    u32::try_from(samples.len()).map_err(|_| Error::TooManyImages {
        root: root.to_owned(),
    })?;

    let (mut used, folders) = (vec![false; walk.class_folders.len()], &walk.class_folders);
    for sample in samples.iter() {
        used[sample.class as usize] = true;
    }
    let classes = sort(&mut samples, folders, &used, options);
    let mut warnings = walk.warnings;
    warnings.extend(unsupported(walk.unsupported));
    warnings.extend(empty_classes(folders, &used));
    warnings.extend(similar_classes(&classes));
    warnings.extend(absent_classes(&classes, &samples));
    warnings.sort();
    let fingerprint = fingerprint(&classes, &samples, options.orientation);
    let (name, quarantine) = (name.to_owned(), walk.quarantine);
    let dataset = Dataset {
        name,
        root: real,
        classes,
        samples,
        fingerprint,
        quarantine,
        warnings,
        options: *options,
    };
    Ok((dataset, walk.stray))
}

fn open(root: &Path) -> Result<(PathBuf, Walk), Error> {
    let unreadable = |source| Error::Unreadable {
        root: root.to_owned(),
        source,
    };
    let real = root.canonicalize().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::Missing {
            root: root.to_owned(),
        },
        io::ErrorKind::NotADirectory => Error::NotAFolder {
            root: root.to_owned(),
        },
        _ => unreadable(source),
    })?;
    if !real.is_dir() {
        return Err(Error::NotAFolder {
            root: root.to_owned(),
        });
    }
    let walk = walk(&real).map_err(unreadable)?;
    Ok((real, walk))
}

/// Files per unit of work of a thread.
const FILES: usize = 16;

/// Reads the headers of all files with several threads, since the time is spent waiting for the disk, and stores the sizes in `samples`. Returns
/// the unusable files, in no order; their samples keep size 0.
fn read_headers(
    root: &Path,
    samples: &mut Samples,
    limits: &DecodeLimits,
    progress: &Progress,
) -> Vec<Quarantined> {
    progress.files.store(samples.len(), Ordering::Relaxed);
    let threads = thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .clamp(2, 16)
        .min(samples.len());
    let parts = Mutex::new(samples.rows_mut(FILES));
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut unusable = vec![];
        while let Some(samples) = next() {
            for sample in samples {
                match header_of(&root.join(&*sample.path), sample.bytes, limits) {
                    Ok(Header { width, height, .. }) => (sample.width, sample.height) = (width, height),
                    Err(error) => unusable.push(Quarantined {
                        path: sample.path.to_string(),
                        reason: reason(&error),
                    }),
                }
                progress.read.fetch_add(1, Ordering::Relaxed);
            }
        }
        unusable
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let unusable = threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("reading a header never panics"));
        unusable.collect()
    })
}

fn header_of(path: &Path, bytes: u64, limits: &DecodeLimits) -> Result<Header, header::Error> {
    limits.check_file(bytes)?;
    let file = header::open(path).map_err(header::Error::Io)?;
    header::read(BufReader::new(file), limits)
}

/// Sorts `samples`, assigns their splits, and turns their classes from indices of `folders` into indices of the returned names, which are those of
/// the `used` folders.
fn sort(samples: &mut Samples, folders: &[ClassFolder], used: &[bool], options: &ScanOptions) -> Vec<String> {
    let used = folders.iter().zip(used).filter(|(_, used)| **used);
    let names: BTreeSet<&str> = used.map(|(folder, _)| folder.class()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let class = |folder: &ClassFolder| names.partition_point(|name| *name < folder.class());
    // Folders that are not used get some class.
    let classes: Vec<usize> = folders.iter().map(class).collect();
    let class = |sample: &Sample| classes[sample.class as usize];
    samples.sort_by(|a, b| (class(a), &a.path).cmp(&(class(b), &b.path)));
    let config = SplitConfig {
        fraction: options.valid_fraction,
        seed: options.split_seed,
        method: options.split_method,
    };
    let split_source = |sample: &Sample| folders[sample.class as usize].split_source;
    let mut begin = 0;
    while let Some(first) = samples.get(begin) {
        let number = class(first);
        let rest = begin..samples.len();
        let count = rest.take_while(|&index| class(&samples[index]) == number).count();
        let members = begin..begin + count;
        let mut paths: Vec<&str> = Vec::with_capacity(members.len());
        let of_class = members.clone().map(|index| &samples[index]);
        paths.extend(
            of_class
                .filter(|sample| split_source(sample) == SplitSource::Computed)
                .map(|sample| &*sample.path),
        );
        let mut splits = divide(&paths, config).into_iter();
        begin = members.end;
        for index in members {
            let sample = &mut samples[index];
            sample.split = match split_source(sample) {
                SplitSource::Folder(split) => split,
                SplitSource::Computed => splits.next().expect("one for each image with a computed split"),
            };
            sample.class = u32::try_from(number).expect("no more classes than images");
        }
    }
    names.into_iter().map(str::to_owned).collect()
}

/// One warning per unsupported format.
fn unsupported(mut files: Vec<(&'static str, String)>) -> Vec<Warning> {
    files.sort();
    let formats = files.chunk_by(|(one, _), (other, _)| one == other);
    let warning = |files: &[(&'static str, String)]| Warning::Unsupported {
        format: files[0].0,
        count: files.len(),
        first: files[0].1.clone(),
    };
    formats.map(warning).collect()
}

fn empty_classes(folders: &[ClassFolder], used: &[bool]) -> impl Iterator<Item = Warning> {
    let empty = folders.iter().zip(used).filter(|(_, used)| !**used);
    empty.map(|(folder, _)| Warning::EmptyClass {
        folder: folder.path.clone(),
    })
}

fn similar_classes(classes: &[String]) -> Vec<Warning> {
    let mut folded: Vec<(String, &String)> = classes.iter().map(|name| (name.to_lowercase(), name)).collect();
    folded.sort();
    let equal = folded.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    let warning = |pair: &[(String, &String)]| Warning::SimilarClasses {
        first: pair[0].1.clone(),
        second: pair[1].1.clone(),
    };
    equal.map(warning).collect()
}

fn absent_classes(classes: &[String], samples: &Samples) -> Vec<Warning> {
    let mut present = BTreeSet::new();
    for sample in samples.iter() {
        present.insert((sample.split, sample.class));
    }
    let used: BTreeSet<Split> = present.iter().map(|(split, _)| *split).collect();
    let pairs = used
        .into_iter()
        .flat_map(|split| (0..).zip(classes).map(move |class| (split, class)));
    let absent = pairs.filter(|(split, (label, _))| !present.contains(&(*split, *label)));
    absent
        .map(|(split, (_, class))| Warning::AbsentClass {
            class: class.clone(),
            split,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_file_that_becomes_a_named_pipe_during_the_scan_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe.png");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let sample = Sample {
            path: "pipe.png".into(),
            class: 0,
            split: Split::Train,
            bytes: 100,
            modified: SystemTime::UNIX_EPOCH,
            width: 0,
            height: 0,
        };
        let mut samples = Samples::from_iter([sample]);
        let progress = Progress::default();
        let unusable = read_headers(folder.path(), &mut samples, &DecodeLimits::default(), &progress);
        assert!(
            matches!(&unusable[..], [Quarantined { reason, .. }] if reason.contains("regular file")),
            "{unusable:?}"
        );
        assert_eq!(progress.to_string(), "1 of 1 files");
    }
}
