use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, BufReader};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::fingerprint::fingerprint;
use super::layout::Place;
use super::quarantine::reason;
use super::split::{Chance, Divided, divide};
use super::walk::{Found, Walk, walk};
use super::{Dataset, Error, Quarantined, Sample, ScanOptions, Split, Warning};
use crate::header::{self, DecodeLimits, Header};

/// How far a scan is.
#[derive(Debug, Default)]
pub struct Progress {
    /// Image files found; 0 while folders are listed.
    files: AtomicUsize,
    /// Of them, those whose headers were read.
    read: AtomicUsize,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [files, read] = [&self.files, &self.read].map(|count| count.load(Ordering::Relaxed));
        write!(f, "{read} of {files} files")
    }
}

/// Scans the class folders of `root`: lists them, reads the header of every image, divides, sorts and hashes.
///
/// # Determinism
///
/// But for the name and the root, a function of what the folders contain and of the options, whatever the file system lists first.
///
/// # Errors
///
/// Every variant of [`Error`]; see the table in the documentation of [`super`].
pub fn scan(name: &str, root: &Path, options: &ScanOptions) -> Result<Dataset, Error> {
    scan_noting(name, root, options, &Progress::default())
}

/// As [`scan`], and says in `progress` how far it is.
///
/// # Errors
///
/// Those of [`scan`].
pub fn scan_noting(
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

/// As [`scan`], but takes roots of any number of classes, none included, and passes over unreadable folders with a warning: to look at folders
/// that cannot be served yet.
///
/// # Errors
///
/// Those of [`scan`] but [`Error::UnreadableFolder`], [`Error::NoImages`] and [`Error::SingleClass`].
pub fn survey(name: &str, root: &Path, options: &ScanOptions) -> Result<Dataset, Error> {
    Ok(scan_any(name, root, options, &Progress::default())?.0)
}

/// The dataset, and how many images lie beside its class folders.
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
    let headers = headers(&real, &walk.found, &options.limits, progress);
    let mut usable = Vec::new();
    for (found, header) in walk.found.drain(..).zip(headers) {
        match header {
            Ok(header) => usable.push((found, header)),
            Err(error) => {
                walk.quarantine.push(Quarantined {
                    path: found.path,
                    reason: reason(&error),
                });
            }
        }
    }
    walk.quarantine.sort();
    usable.sort_by(|(a, _), (b, _)| (&a.class, &a.path).cmp(&(&b.class, &b.path)));
    u32::try_from(usable.len()).map_err(|_| Error::TooManyImages {
        root: root.to_owned(),
    })?;

    let classes = classes(&usable);
    let samples = samples(&usable, &classes, options);
    let mut warnings = walk.warnings;
    warnings.extend(unsupported(walk.unsupported));
    warnings.extend(empty_classes(&walk.class_folders, &samples));
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

/// The headers of all files, read by a few threads: the time goes into waiting for the disk.
fn headers(
    root: &Path,
    found: &[Found],
    limits: &DecodeLimits,
    progress: &Progress,
) -> Vec<Result<Header, header::Error>> {
    progress.files.store(found.len(), Ordering::Relaxed);
    let threads = thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .clamp(2, 16);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let at = next.fetch_add(1, Ordering::Relaxed)
            && let Some(file) = found.get(at)
        {
            done.push((at, header_of(&root.join(&file.path), file.bytes, limits)));
            progress.read.fetch_add(1, Ordering::Relaxed);
        }
        done
    };
    let mut headers = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.min(found.len())).map(|_| scope.spawn(work)).collect();
        let done = threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("reading a header never panics"));
        done.collect::<Vec<_>>()
    });
    headers.sort_by_key(|(at, _)| *at);
    headers.into_iter().map(|(_, header)| header).collect()
}

fn header_of(path: &Path, bytes: u64, limits: &DecodeLimits) -> Result<Header, header::Error> {
    limits.check_file(bytes)?;
    let file = header::open(path).map_err(header::Error::Io)?;
    header::read(BufReader::new(file), limits)
}

fn classes(usable: &[(Found, Header)]) -> Vec<String> {
    let names: BTreeSet<&String> = usable.iter().map(|(found, _)| &found.class).collect();
    names.into_iter().cloned().collect()
}

fn samples(usable: &[(Found, Header)], classes: &[String], options: &ScanOptions) -> Vec<Sample> {
    let is_divided = |found: &&Found| found.place == Place::Divided;
    let divided: Vec<Divided<'_>> = usable
        .iter()
        .map(|(found, _)| found)
        .filter(is_divided)
        .map(|found| Divided {
            class: &found.class,
            path: &found.path,
        })
        .collect();
    let chance = Chance {
        fraction: options.valid_fraction,
        seed: options.split_seed,
        method: options.split_method,
    };
    let mut splits = divide(&divided, chance).into_iter();
    let sample = |(found, header): &(Found, Header)| {
        let class = classes
            .binary_search(&found.class)
            .expect("the class of an image is a class");
        Sample {
            path: found.path.clone(),
            class: u32::try_from(class).expect("no more classes than images"),
            split: match found.place {
                Place::Fixed(split) => split,
                Place::Divided => splits.next().expect("one for each divided image"),
            },
            bytes: found.bytes,
            modified: found.modified,
            width: header.width,
            height: header.height,
        }
    };
    usable.iter().map(sample).collect()
}

/// One warning for each format that is not read.
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

fn empty_classes(folders: &[String], samples: &[Sample]) -> Vec<Warning> {
    // A class folder is one folder below the root, or two.
    let above = |path: &'_ str, depth: usize| {
        path.match_indices('/')
            .nth(depth)
            .map(|(at, _)| path[..at].to_owned())
    };
    let depths = |sample: &Sample| [above(&sample.path, 0), above(&sample.path, 1)];
    let used: BTreeSet<String> = samples.iter().flat_map(depths).flatten().collect();
    let empty = folders.iter().filter(|folder| !used.contains(*folder));
    empty
        .map(|folder| Warning::EmptyClass {
            folder: folder.clone(),
        })
        .collect()
}

fn similar_classes(classes: &[String]) -> Vec<Warning> {
    let mut folded: Vec<(String, &String)> = classes.iter().map(|name| (name.to_lowercase(), name)).collect();
    folded.sort();
    let twins = folded.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    let warning = |pair: &[(String, &String)]| Warning::SimilarClasses {
        first: pair[0].1.clone(),
        second: pair[1].1.clone(),
    };
    twins.map(warning).collect()
}

fn absent_classes(classes: &[String], samples: &[Sample]) -> Vec<Warning> {
    let present: BTreeSet<(Split, u32)> = samples
        .iter()
        .map(|sample| (sample.split, sample.class))
        .collect();
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
        let found = Found {
            path: "pipe.png".to_owned(),
            class: "a".to_owned(),
            place: Place::Divided,
            bytes: 100,
            modified: SystemTime::UNIX_EPOCH,
        };
        let progress = Progress::default();
        let read = headers(folder.path(), &[found], &DecodeLimits::default(), &progress);
        assert!(matches!(&read[..], [Err(header::Error::Io(_))]), "{read:?}");
        assert_eq!(progress.to_string(), "1 of 1 files");
    }
}
