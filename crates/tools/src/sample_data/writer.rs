//! Validates the options, creates the folders and writes the images in parallel.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::kind::{self, Subject};
use super::{ClassSpec, DrawnClass, Error, SampleDataOptions, SampleDataReport, picture};

/// Folder of the test split.
const TEST_FOLDER: &str = "test";

/// Generates the data set: writes `out/CLASS/NNNN.jpg` and `out/test/CLASS/NNNN.jpg`, numbered from 1.
///
/// # Errors
///
/// [`Error::NoClasses`], [`Error::NoPictures`] and [`Error::Name`] for invalid options, and [`Error::NotEmpty`], before anything is written.
/// [`Error::Write`] and [`Error::Encode`], which may leave some of the images behind. Nothing is ever overwritten.
pub fn generate(options: &SampleDataOptions) -> Result<SampleDataReport, Error> {
    check_classes(&options.classes)?;
    check_empty(&options.out)?;
    let names: Vec<_> = options.classes.iter().map(|class| class.name.as_str()).collect();
    let subjects = kind::assign(&names);
    let tasks = plan(options, &subjects)?;
    let bytes = draw_all(options, &tasks)?;
    let classes = options.classes.iter().zip(&subjects);
    Ok(SampleDataReport {
        out: options.out.clone(),
        classes: classes
            .map(|(class, subject)| DrawnClass {
                name: class.name.clone(),
                subject: subject.to_string(),
                count: class.count,
                test_count: options.test_count,
            })
            .collect(),
        bytes,
    })
}

/// An image to generate.
struct DrawTask {
    path: PathBuf,
    coordinates: picture::Coordinates,
}

fn check_classes(classes: &[ClassSpec]) -> Result<(), Error> {
    if classes.is_empty() {
        return Err(Error::NoClasses);
    }
    let mut seen = BTreeSet::new();
    for class in classes {
        let invalid = |reason| {
            Err(Error::Name {
                name: class.name.clone(),
                reason,
            })
        };
        match class.name.as_str() {
            "" => return invalid("a class name must not be empty"),
            TEST_FOLDER => return invalid("the name is reserved for the test split"),
            name if name.starts_with('.') => return invalid("a class name must not start with a dot"),
            name if name.contains(['/', '\\', '\0']) => {
                return invalid("a class name must not contain a path separator");
            }
            // Some file systems ignore case.
            name if !seen.insert(name.to_lowercase()) => return invalid("the class is given twice"),
            _ if class.count == 0 => {
                return Err(Error::NoPictures {
                    name: class.name.clone(),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_empty(out: &Path) -> Result<(), Error> {
    match fs::read_dir(out).map(|mut entries| entries.next().is_some()) {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::NotEmpty { path: out.to_owned() }),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::Write {
            path: out.to_owned(),
            source,
        }),
    }
}

/// Creates the folders and lists the images.
fn plan(options: &SampleDataOptions, subjects: &[Subject]) -> Result<Vec<DrawTask>, Error> {
    let mut tasks = Vec::new();
    for (class, &subject) in options.classes.iter().zip(subjects) {
        let parts = [
            (options.out.join(&class.name), class.count),
            (
                options.out.join(TEST_FOLDER).join(&class.name),
                options.test_count,
            ),
        ];
        for (part, (folder, count)) in parts.into_iter().enumerate().filter(|(_, (_, count))| *count > 0) {
            fs::create_dir_all(&folder).map_err(|source| Error::Write {
                path: folder.clone(),
                source,
            })?;
            tasks.extend((0..count as u64).map(|index| DrawTask {
                path: folder.join(format!("{:04}.jpg", index + 1)),
                coordinates: picture::Coordinates {
                    seed: options.seed,
                    subject,
                    index,
                    part: part as u64,
                },
            }));
        }
    }
    Ok(tasks)
}

/// Generates and writes all images; returns the bytes written, or the first error of a thread.
fn draw_all(options: &SampleDataOptions, tasks: &[DrawTask]) -> Result<u64, Error> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut bytes = 0;
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            match draw(task) {
                Ok(written) => bytes += written,
                Err(error) => {
                    next.store(tasks.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(bytes)
    };
    std::thread::scope(|scope| {
        let threads = options.threads.get().min(tasks.len());
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .sum()
    })
}

fn draw(task: &DrawTask) -> Result<u64, Error> {
    let jpeg = picture::jpeg(&task.coordinates).map_err(|source| Error::Encode {
        path: task.path.clone(),
        source,
    })?;
    let written = fs::File::create_new(&task.path).and_then(|mut file| file.write_all(&jpeg));
    written.map_err(|source| Error::Write {
        path: task.path.clone(),
        source,
    })?;
    Ok(jpeg.len() as u64)
}
