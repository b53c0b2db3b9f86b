//! The worker threads, shared by all streams in turns of one sample.
//!
//! A stream with work stands in a queue. A worker takes the stream whose [turn](Turns) it is, claims *one* sample from it, and puts it back
//! before it starts on the sample: so streams share the workers' time by their weights, whatever their batches and images. A stream
//! without work leaves the queue and returns when its reader takes a batch; nobody polls.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::turns::{Charge, Share, Turns, Waiter};

/// Something that hands out work in pieces.
pub(super) trait Job: Send + Sync {
    /// The next piece, if there is one now. After `None`, the job is not asked again before [`Workers::enqueue`].
    fn claim(self: Arc<Self>) -> Option<Task>;

    /// Ends the job, which panicked in [`Job::claim`]: it is not asked again.
    fn fail(&self);

    /// Its share of the workers' time.
    fn share(&self) -> &Share;
}

impl Waiter for Arc<dyn Job> {
    fn share(&self) -> &Share {
        Job::share(&**self)
    }
}

/// A piece of work, which says how much of a processor's time it took. It must catch its own panics.
pub(super) type Task = Box<dyn FnOnce() -> Duration + Send>;

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
    jobs: Turns<Arc<dyn Job>>,
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

    /// Puts `job` into the queue. The caller sees to it that a job stands there at most once.
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
            queue.jobs.join(job);
            self.ready.notify_one();
        }
    }

    fn work(&self) {
        while let Some((job, charge)) = self.next_job() {
            let claimed = catch_unwind(AssertUnwindSafe(|| Arc::clone(&job).claim()));
            match claimed {
                Ok(Some(task)) => {
                    self.enqueue(Arc::clone(&job));
                    Job::share(&*job).settle(charge, task());
                }
                Ok(None) => Job::share(&*job).refund(charge),
                Err(_panic) => {
                    Job::share(&*job).refund(charge);
                    job.fail();
                }
            }
        }
    }

    fn next_job(&self) -> Option<(Arc<dyn Job>, Charge)> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.jobs.next() {
                return Some(job);
            }
            queue = self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{atomic::AtomicUsize, atomic::Ordering, mpsc::SyncSender};

    use super::*;

    /// Hands out `pieces` pieces, each of which sends the job's name and says that it took a millisecond.
    struct Countdown {
        name: char,
        share: Share,
        pieces: AtomicUsize,
        done: SyncSender<char>,
    }

    fn countdown((name, pieces): (char, usize), weight: u32, done: &SyncSender<char>) -> Arc<Countdown> {
        Arc::new(Countdown {
            name,
            share: Share::new(weight),
            pieces: AtomicUsize::new(pieces),
            done: done.clone(),
        })
    }

    impl Job for Countdown {
        fn claim(self: Arc<Self>) -> Option<Task> {
            assert_ne!(self.name, 'p', "a job that panics");
            let next = |pieces: usize| pieces.checked_sub(1);
            self.pieces
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next)
                .ok()?;
            Some(Box::new(move || {
                self.done.send(self.name).expect("the test listens");
                Duration::from_millis(1)
            }))
        }

        fn fail(&self) {
            self.done.send('!').expect("the test listens");
        }

        fn share(&self) -> &Share {
            &self.share
        }
    }

    /// The names of the jobs in the order in which one worker worked for them.
    fn order(jobs: &[((char, usize), u32)]) -> String {
        // The worker is held by a first piece until all jobs stand in the queue.
        let (hold, held) = std::sync::mpsc::sync_channel(0);
        let pieces: usize = jobs.iter().map(|((_, pieces), _)| pieces).sum();
        let (done, order) = std::sync::mpsc::sync_channel(pieces);
        let workers = Workers::start(1).expect("a thread");
        workers.enqueue(countdown(('h', 1), 1, &hold));
        for (job, weight) in jobs {
            workers.enqueue(countdown(*job, *weight, &done));
        }
        let patience = Duration::from_secs(30);
        held.recv_timeout(patience).expect("the first piece");
        (0..pieces)
            .map(|_| order.recv_timeout(patience).expect("a piece"))
            .collect()
    }

    #[test]
    fn a_panic_in_a_job_ends_the_job_and_not_the_worker() {
        let (done, order) = std::sync::mpsc::sync_channel(2);
        let workers = Workers::start(1).expect("a thread");
        workers.enqueue(countdown(('p', 1), 1, &done));
        workers.enqueue(countdown(('a', 1), 1, &done));
        let next = || order.recv_timeout(Duration::from_secs(30)).expect("a worker");
        assert_eq!([next(), next()], ['!', 'a']);
    }

    #[test]
    fn jobs_take_turns_whatever_their_size() {
        assert_eq!(order(&[(('a', 6), 1), (('b', 2), 1)]), "ababaaaa");
    }

    #[test]
    fn workers_work_as_much_more_for_a_job_as_it_weighs() {
        let order = order(&[(('a', 400), 1), (('b', 400), 4)]);
        let while_both_wait = &order[..500];
        let of_a = while_both_wait.matches('a').count();
        assert!((99..=101).contains(&of_a), "{of_a} of 500 pieces, not a fifth");
    }

    #[test]
    fn threads_end_with_the_last_handle_and_drop_what_is_not_begun() {
        let (done, order) = std::sync::mpsc::sync_channel(1);
        let workers = Workers::start(2).expect("threads");
        let job = countdown(('a', 1), 1, &done);
        drop(done);
        let kept = Arc::downgrade(&job);
        workers.enqueue(job);
        assert_eq!(order.recv_timeout(Duration::from_secs(30)), Ok('a'));
        drop(workers);
        assert!(kept.upgrade().is_none());
    }
}
