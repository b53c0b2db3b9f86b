//! Fetches the images of lists of addresses, one list per class, into class folders.
//!
//! What is stored is an image: a page that says "not found", half a file or a text with an image's name is a failure with a reason. A
//! file is numbered by the line of its address, in eight digits, so that a second run fetches only what is missing, and lists can be
//! compared with folders. Files appear whole or not at all, in place of nothing, below the output folder only.
//!
//! # Naming
//!
//! `OUT/CLASS/%08d.EXT`: the number counts the lines of the list that are not empty, from 0. The extension is that of the address where
//! it fits the content, otherwise the content's.
//!
//! # Source
//!
//! `download_images` of fastai v1, whose numbers and counts these are. It stores error pages, overwrites files, and ends without a word
//! on what it left out.
//!
//! # Where it connects to
//!
//! Lists come from strangers, so an address that leads to this machine or its network is refused, unless allowed. What counts is the
//! address that is connected to, of every redirection, not the name that stands for it.
//!
//! # Layout
//!
//! `list` reads lists and names files; `queue` says what is next, with no host asked too much at a time; `fetch` asks once; `address`
//! tells public addresses from others; `text` is the report for people.

mod fetch;
mod fetch_queue;
mod list;
mod ssrf_guard;
mod text;

pub use list::{ClassList, Error as ListError};
pub use text::text;

use std::{
    collections::BTreeSet,
    fs, io,
    net::IpAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, Instant},
};

use serde::Serialize;

use self::{
    fetch::{Client, FetchError},
    fetch_queue::{FetchQueue, FetchTask},
};
use equibatch_cli::files;

/// What becomes of addresses of this machine and its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivateAddresses {
    /// They are not connected to.
    Refused,
    /// These are connected to.
    Only(Vec<IpAddr>),
    /// All are connected to.
    Allowed,
}

/// How images are fetched.
#[derive(Clone, Debug)]
pub struct DownloadOptions {
    /// The folder of the class folders.
    pub out: PathBuf,
    /// Lines of each list that are read, at most. None reads all.
    pub max_pics: Option<usize>,
    /// Connections at a time.
    pub jobs: NonZeroUsize,
    /// Of those, to one host.
    pub per_host: NonZeroUsize,
    /// Further tries after a fault that may pass.
    pub retries: u32,
    /// Time to wait before the first of them; doubled for each further one. A server that asks for more time gets it, up to
    /// [`DownloadOptions::longest_wait`].
    pub backoff: Duration,
    /// Longest time that a server may ask for.
    pub longest_wait: Duration,
    /// Longest time without a byte.
    pub timeout: Duration,
    /// Longest time for one try.
    pub max_time: Duration,
    /// Largest file, in bytes.
    pub max_bytes: u64,
    /// What becomes of addresses of this machine and its network.
    pub private: PrivateAddresses,
    /// How the client calls itself.
    pub user_agent: String,
}

impl DownloadOptions {
    /// Sixteen connections, four to one host, three further tries.
    #[must_use]
    pub fn new(out: impl Into<PathBuf>) -> Self {
        let few = |count| NonZeroUsize::new(count).expect("not zero");
        Self {
            out: out.into(),
            max_pics: None,
            jobs: few(16),
            per_host: few(4),
            retries: 3,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            max_time: Duration::from_secs(120),
            max_bytes: 32 << 20,
            private: PrivateAddresses::Refused,
            user_agent: concat!("equibatch/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct DownloadReport {
    /// The folder of the class folders.
    pub out: String,
    /// In the order asked for.
    pub classes: Vec<ClassReport>,
    /// By class and line.
    pub failures: Vec<Failure>,
}

/// What came of one list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassReport {
    /// The class.
    pub class: String,
    /// Lines that were read.
    pub lines: usize,
    /// Images that were fetched.
    pub fetched: usize,
    /// Images that were there already.
    pub present: usize,
    /// Lines that repeat an earlier one of the list.
    pub repeated: usize,
    /// Lines without an image.
    pub failed: usize,
    /// Bytes that were fetched.
    pub bytes: u64,
}

/// A line without an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Failure {
    /// The class.
    pub class: String,
    /// Number of the image, from 0.
    pub number: usize,
    /// As in the list.
    pub url: String,
    /// One clause.
    pub reason: String,
    /// How often it was tried.
    pub tries: u32,
}

/// Why nothing can be fetched at all, or no more.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A class folder that is a link to somewhere else.
    #[error("{} is a link out of {}", path.display(), out.display())]
    Elsewhere {
        /// The class folder.
        path: PathBuf,
        /// The folder that it should lie in.
        out: PathBuf,
    },
    /// A folder or file that cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Fetches what is missing of `lists`. `progress` is told of every line that is done with.
///
/// # Errors
///
/// [`Error::Elsewhere`]; [`Error::Write`], for instance on a full disk, with the files fetched so far left behind.
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

/// Makes the folder of a class.
fn folder(out: &Path, class: &str) -> Result<PathBuf, Error> {
    let path = out.join(class);
    let failed = |source| Error::Write {
        path: path.clone(),
        source,
    };
    fs::create_dir_all(&path).map_err(failed)?;
    let real = path.canonicalize().map_err(failed)?;
    if real != out.canonicalize().map_err(failed)?.join(class) {
        return Err(Error::Elsewhere {
            path,
            out: out.to_owned(),
        });
    }
    Ok(path)
}

/// The numbers that files in `folder` have.
fn present(folder: &Path) -> Result<BTreeSet<usize>, Error> {
    let failed = |source| Error::Write {
        path: folder.to_owned(),
        source,
    };
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        numbers.extend(name.to_str().and_then(list::number));
    }
    Ok(numbers)
}

/// What all threads share.
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
            // All of them are waited for, and the first error is told.
            let ended: Vec<Result<(), Error>> = ended.collect();
            ended.into_iter().collect::<Result<(), Error>>()
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

    fn work(&self, progress: &impl Fn()) -> Result<(), Error> {
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

    /// When to try again, if at all, and whether that goes for everything on the host.
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

    fn store(&self, task: &FetchTask, image: &fetch::Fetched) -> Result<(), Error> {
        let class = &self.lists[task.class].class;
        let name = list::file_name(task.number, &task.url, image.format);
        let path = self.options.out.join(class).join(name);
        files::create(&path, &image.bytes).map_err(|source| Error::Write { path, source })?;
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
