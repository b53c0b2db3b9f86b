//! The worker threads, shared by all streams in turns of one sample.
//!
//! A stream with work stands in a queue. A worker takes the stream at the head, claims *one* sample from it, and puts it back at the
//! tail before it starts on the sample: so streams share the workers evenly, whatever their batch sizes. A stream without work leaves
//! the queue and returns when its reader takes a batch; nobody polls.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

/// Something that hands out work in pieces.
pub(super) trait Job: Send + Sync {
    /// The next piece, if there is one now. After `None`, the job is not asked again before [`Workers::enqueue`].
    fn claim(self: Arc<Self>) -> Option<Task>;
}

/// A piece of work. It must catch its own panics.
pub(super) type Task = Box<dyn FnOnce() + Send>;

/// A handle on the threads. They end when the last handle is dropped.
#[derive(Debug)]
pub(super) struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    ready: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("jobs", &self.lock().jobs.len())
            .finish()
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Arc<dyn Job>>,
    closed: bool,
}

impl Workers {
    /// Starts `count` threads.
    ///
    /// # Errors
    ///
    /// Where the system refuses a thread.
    pub(super) fn start(count: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            ready: Condvar::new(),
        });
        let mut workers = Self {
            shared,
            threads: Vec::with_capacity(count),
        };
        for index in 0..count {
            let shared = Arc::clone(&workers.shared);
            let thread = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || shared.work())?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Jobs in the queue.
    pub(super) fn queued(&self) -> usize {
        self.shared.lock().jobs.len()
    }

    /// Puts `job` at the tail of the queue. The caller sees to it that a job stands there at most once.
    pub(super) fn enqueue(&self, job: Arc<dyn Job>) {
        self.shared.enqueue(job);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        {
            let mut queue = self.shared.lock();
            queue.closed = true;
            queue.jobs.clear();
        }
        self.shared.ready.notify_all();
        for thread in self.threads.drain(..) {
            // The last handle may be dropped by a worker itself, which cannot wait for its own end.
            if thread.thread().id() != thread::current().id() {
                let _ended = thread.join();
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, job: Arc<dyn Job>) {
        let mut queue = self.lock();
        if !queue.closed {
            queue.jobs.push_back(job);
            self.ready.notify_one();
        }
    }

    fn work(&self) {
        while let Some(job) = self.next_job() {
            if let Some(task) = Arc::clone(&job).claim() {
                self.enqueue(job);
                task();
            }
        }
    }

    fn next_job(&self) -> Option<Arc<dyn Job>> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            queue = self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{atomic::AtomicUsize, atomic::Ordering, mpsc::SyncSender},
        time::Duration,
    };

    use super::*;

    /// Hands out `pieces` pieces, each of which sends the job's name.
    struct Countdown {
        name: char,
        pieces: AtomicUsize,
        done: SyncSender<char>,
    }

    impl Job for Countdown {
        fn claim(self: Arc<Self>) -> Option<Task> {
            let next = |pieces: usize| pieces.checked_sub(1);
            self.pieces
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next)
                .ok()?;
            Some(Box::new(move || {
                self.done.send(self.name).expect("the test listens");
            }))
        }
    }

    #[test]
    fn jobs_take_turns_whatever_their_size() {
        // The worker is held by a first piece until both jobs stand in the queue.
        let (hold, held) = std::sync::mpsc::sync_channel(0);
        let (done, order) = std::sync::mpsc::sync_channel(16);
        let workers = Workers::start(1).expect("a thread");
        workers.enqueue(Arc::new(Countdown {
            name: 'h',
            pieces: AtomicUsize::new(1),
            done: hold,
        }));
        for (name, pieces) in [('a', 6), ('b', 2)] {
            let pieces = AtomicUsize::new(pieces);
            workers.enqueue(Arc::new(Countdown {
                name,
                pieces,
                done: done.clone(),
            }));
        }
        held.recv_timeout(Duration::from_secs(30))
            .expect("the first piece");
        let names: String = (0..8)
            .map(|_| order.recv_timeout(Duration::from_secs(30)).expect("a piece"))
            .collect();
        assert_eq!(names, "ababaaaa");
    }

    #[test]
    fn threads_end_with_the_last_handle_and_drop_what_is_not_begun() {
        let (done, order) = std::sync::mpsc::sync_channel(1);
        let workers = Workers::start(2).expect("threads");
        let job = Arc::new(Countdown {
            name: 'a',
            pieces: AtomicUsize::new(1),
            done,
        });
        let kept = Arc::downgrade(&job);
        workers.enqueue(job);
        assert_eq!(order.recv_timeout(Duration::from_secs(30)), Ok('a'));
        drop(workers);
        assert!(kept.upgrade().is_none());
    }
}
