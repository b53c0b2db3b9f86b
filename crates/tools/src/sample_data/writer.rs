//! Checks what is asked for, makes the folders, and writes the pictures from several threads.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::kind::{self, Subject};
use super::{ClassSpec, DrawnClass, Error, SampleDataOptions, SampleDataReport, picture};

/// Folder of the pictures that are kept for the end.
const TEST_FOLDER: &str = "test";

/// Draws the data set and writes `out/CLASS/NNNN.jpg` and `out/test/CLASS/NNNN.jpg`, numbered from 1.
///
/// # Errors
///
/// [`Error::NoClasses`], [`Error::NoPictures`] and [`Error::Name`] for a request that makes no sense, [`Error::NotEmpty`] where `out`
/// holds anything: all before the first byte is written. Nothing is ever overwritten. [`Error::Write`] and [`Error::Encode`] may leave a
/// part of the pictures behind.
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

/// One picture to draw.
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
        let wrong = |reason| {
            Err(Error::Name {
                name: class.name.clone(),
                reason,
            })
        };
        match class.name.as_str() {
            "" => return wrong("it is empty"),
            TEST_FOLDER => return wrong("the test pictures lie there"),
            name if name.starts_with('.') => return wrong("it begins with a dot"),
            name if name.contains(['/', '\\', '\0']) => return wrong("it contains a path separator"),
            // Some file systems hold `Birds` and `birds` for one folder.
            name if !seen.insert(name.to_lowercase()) => return wrong("it is given twice"),
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

/// Makes the folders and lists the pictures.
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

/// Draws and writes every picture; returns the bytes written, or the first error of a thread.
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
