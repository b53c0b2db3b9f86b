//! Downloads images from URL lists, one list per class, into class folders.
//!
//! Only decodable images are stored: an error page, a truncated file or text counts as a failure with a reason. A file is numbered by its
//! line, in eight digits, so that a second run fetches only what is missing. Files are written atomically, never overwrite others, and are
//! written below the output folder only.
//!
//! # Naming
//!
//! `OUT/CLASS/%08d.EXT`: the index among the non-empty lines of the list, from 0. The extension is that of the URL if it matches the
//! content, otherwise the content's.
//!
//! # Source
//!
//! Naming and `max_pics` follow `download_images` of fastai v1, which however stores error pages, overwrites files and does not report
//! failures.
//!
//! # SSRF protection
//!
//! Lists are untrusted, so URLs that resolve to loopback, private or other non-public addresses are refused unless allowed. The check is on
//! the resolved address of every connection, including redirects, not on the host name.
//!
//! # Layout
//!
//! `list` reads lists and names files; `fetch_queue` schedules attempts with a limit per host; `fetch` makes one attempt; `ssrf_guard`
//! resolves hosts to allowed addresses; `text` formats the report.

mod fetch;
mod fetch_queue;
mod list;
mod options;
mod ssrf_guard;
mod text;

pub use list::{ClassList, Error as ListError};
pub use options::{DownloadOptions, PrivateAddresses};
pub use text::text;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, Instant},
};

use serde::Serialize;

use self::{
    fetch::{Client, FetchError},
    fetch_queue::{FetchQueue, FetchTask},
};
use equibatch_cli::files::{self, WriteError, cannot_write};

/// The result of a download.
#[derive(Clone, Debug, Serialize)]
pub struct DownloadReport {
    /// Folder of the class folders.
    pub out: String,
    /// One entry per list, in the order given.
    pub classes: Vec<ClassReport>,
    /// Sorted by class and line.
    pub failures: Vec<Failure>,
}

/// The result of one list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassReport {
    /// Class name.
    pub class: String,
    /// Lines read.
    pub lines: usize,
    /// Images downloaded.
    pub fetched: usize,
    /// Images that existed already.
    pub present: usize,
    /// Lines that repeat an earlier line.
    pub repeated: usize,
    /// Lines that failed.
    pub failed: usize,
    /// Bytes downloaded.
    pub bytes: u64,
}

/// A line that failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Failure {
    /// Class name.
    pub class: String,
    /// Number of the image, from 0.
    pub number: usize,
    /// URL as in the list.
    pub url: String,
    /// Reason, a lower-case clause.
    pub reason: String,
    /// Number of attempts.
    pub tries: u32,
}

/// Why a download was aborted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A class folder is a symbolic link out of the output folder.
    #[error("{} is a symbolic link out of {}", path.display(), out.display())]
    Elsewhere {
        /// The class folder.
        path: PathBuf,
        /// The output folder.
        out: PathBuf,
    },
    /// A folder or file that cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Downloads the missing images of `lists`. `progress` is called once per finished line.
///
/// # Errors
///
/// [`Error::Elsewhere`]; [`Error::Write`], for instance on a full disk, in which case the files downloaded so far are kept.
pub fn download(
    lists: &[ClassList],
    options: &DownloadOptions,
    progress: &(impl Fn() + Sync),
) -> Result<DownloadReport, Error> {
    let mut report = DownloadReport {
        out: options.out.display().to_string(),
        classes: vec![],
        failures: vec![],
    };
    let mut tasks = vec![];
    for (index, list) in lists.iter().enumerate() {
        let folder = folder(&options.out, &list.class)?;
        let present = present(&folder)?;
        let mut class = ClassReport {
            class: list.class.clone(),
            lines: list.urls.len(),
            fetched: 0,
            present: 0,
            repeated: 0,
            failed: 0,
            bytes: 0,
        };
        let mut seen = BTreeSet::new();
        for (number, url) in list.urls.iter().enumerate() {
            if !seen.insert(url) {
                class.repeated += 1;
            } else if present.contains(&number) {
                class.present += 1;
            } else {
                tasks.push(FetchTask::new(index, number, url));
                continue;
            }
            progress();
        }
        report.classes.push(class);
    }
    let queue = FetchQueue::new(tasks, options.per_host);
    let downloader = Downloader {
        lists,
        options,
        client: Client::new(options),
        queue,
        report: Mutex::new(report),
    };
    downloader.run(progress)
}

/// Creates the folder of a class.
fn folder(out: &Path, class: &str) -> Result<PathBuf, Error> {
    let path = out.join(class);
    let (real, real_out) = fs::create_dir_all(&path)
        .and_then(|()| Ok((path.canonicalize()?, out.canonicalize()?)))
        .map_err(cannot_write(&path))?;
    if real != real_out.join(class) {
        return Err(Error::Elsewhere {
            path,
            out: out.to_owned(),
        });
    }
    Ok(path)
}

/// The numbers of the files in `folder`.
fn present(folder: &Path) -> Result<BTreeSet<usize>, WriteError> {
    let failed = cannot_write(folder);
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(&failed)? {
        let name = entry.map_err(&failed)?.file_name();
        numbers.extend(name.to_str().and_then(list::number));
    }
    Ok(numbers)
}

/// State shared by the download threads.
struct Downloader<'a> {
    lists: &'a [ClassList],
    options: &'a DownloadOptions,
    client: Client,
    queue: FetchQueue,
    report: Mutex<DownloadReport>,
}

impl Downloader<'_> {
    fn run(self, progress: &(impl Fn() + Sync)) -> Result<DownloadReport, Error> {
        let stopped = std::thread::scope(|scope| {
            let work = || self.work(progress);
            let threads: Vec<_> = (0..self.options.jobs.get()).map(|_| scope.spawn(work)).collect();
            let ended = threads.into_iter().map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            // Joins all threads, then returns the first error.
            let ended: Vec<Result<(), WriteError>> = ended.collect();
            ended.into_iter().collect::<Result<(), WriteError>>()
        });
        stopped?;
        let mut report = self
            .report
            .into_inner()
            .expect("no thread panics with the report");
        report
            .failures
            .sort_by(|a, b| (&a.class, a.number).cmp(&(&b.class, b.number)));
        Ok(report)
    }

    fn work(&self, progress: &impl Fn()) -> Result<(), WriteError> {
        while let Some(task) = self.queue.next() {
            match self.client.fetch(&task.url) {
                Ok(image) => {
                    let stored = self.store(&task, &image);
                    self.queue.done(&task);
                    if let Err(error) = stored {
                        self.queue.stop();
                        return Err(error);
                    }
                }
                Err(fetch_error) => match self.wait_before_next_try(&task, &fetch_error) {
                    Some((until, whole_host)) => {
                        self.queue.retry(task, until, whole_host);
                        continue;
                    }
                    None => {
                        self.queue.done(&task);
                        self.fail(&task, &fetch_error);
                    }
                },
            }
            progress();
        }
        Ok(())
    }

    /// Time of the next attempt, and whether it applies to the whole host; `None`: do not retry.
    fn wait_before_next_try(&self, task: &FetchTask, fetch_error: &FetchError) -> Option<(Instant, bool)> {
        if !fetch_error.is_transient || task.tries >= self.options.retries {
            return None;
        }
        let own = self.options.backoff * 2_u32.saturating_pow(task.tries);
        let asked = fetch_error.retry_after.unwrap_or(Duration::ZERO);
        let wait = own.min(self.options.longest_wait).max(asked);
        (asked <= self.options.longest_wait)
            .then(|| (Instant::now() + wait, fetch_error.retry_after.is_some()))
    }

    fn store(&self, task: &FetchTask, image: &fetch::Fetched) -> Result<(), WriteError> {
        let class = &self.lists[task.class].class;
        let name = list::file_name(task.number, &task.url, image.format);
        let path = self.options.out.join(class).join(name);
        files::create(&path, &image.bytes).map_err(cannot_write(&path))?;
        let mut report = self.report.lock().expect("no thread panics with the report");
        let class = &mut report.classes[task.class];
        class.fetched += 1;
        class.bytes += image.bytes.len() as u64;
        Ok(())
    }

    fn fail(&self, task: &FetchTask, fetch_error: &FetchError) {
        let mut report = self.report.lock().expect("no thread panics with the report");
        report.classes[task.class].failed += 1;
        report.failures.push(Failure {
            class: self.lists[task.class].class.clone(),
            number: task.number,
            url: task.url.clone(),
            reason: fetch_error.reason.clone(),
            tries: task.tries + 1,
        });
    }
}
