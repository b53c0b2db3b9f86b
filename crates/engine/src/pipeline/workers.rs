//! The worker threads, shared by all streams in turns of one sample.
//!
//! A stream with work stands in a [queue](Queue). A worker takes the stream whose turn it is, claims *one* sample from it, and puts it back
//! before it starts on the sample: so clients share the workers' time evenly, and the streams of each by their weights, whatever their
//! batches and images. What a stream pays for is the processor time of planning its batches and of making its samples. A stream without
//! work leaves the queue and returns when its reader takes a batch; nobody polls.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use super::{
    clients::{Client, ClientQueue, ScheduledStream},
    fair_queue::Flow,
};

/// Something that hands out work in pieces.
pub(super) trait Schedulable: Send + Sync {
    /// The next piece, if there is one now. Where there is none, the job is not asked again before [`Workers::enqueue`].
    fn claim(self: Arc<Self>) -> Claim;

    /// Ends the job, which panicked in [`Schedulable::claim`]: it is not asked again.
    fn fail(&self);

    /// Its share of the time that its client gets.
    fn flow(&self) -> &Flow;

    /// Whose it is.
    fn client(&self) -> &Arc<Client>;
}

/// What a job answers when it is its turn.
pub(super) struct Claim {
    /// Processor time that it took to find what is to be done.
    pub(super) planning: Duration,
    pub(super) task: Option<Work>,
}

/// A piece of work, which says how much of a processor's time it took. It must catch its own panics.
pub(super) type Work = Box<dyn FnOnce() -> Duration + Send>;

/// A handle on the threads. They end when the last handle is dropped.
#[derive(Debug)]
pub(super) struct Workers {
    scheduler: Arc<Scheduler>,
    threads: Vec<JoinHandle<()>>,
}

struct Scheduler {
    queue: Mutex<SchedulerState>,
    ready: Condvar,
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("jobs", &self.lock().queue.len())
            .finish()
    }
}

#[derive(Default)]
struct SchedulerState {
    queue: ClientQueue,
    closed: bool,
}

impl Workers {
    /// Starts `count` threads.
    ///
    /// # Errors
    ///
    /// Where the system refuses a thread.
    pub(super) fn start(count: usize) -> std::io::Result<Self> {
        let scheduler = Arc::new(Scheduler {
            queue: Mutex::default(),
            ready: Condvar::new(),
        });
        let mut workers = Self {
            scheduler,
            threads: Vec::with_capacity(count),
        };
        for index in 0..count {
            let scheduler = Arc::clone(&workers.scheduler);
            let thread = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || scheduler.work())?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Jobs in the queue.
    pub(super) fn queued(&self) -> usize {
        self.scheduler.lock().queue.len()
    }

    /// The [clock](Queue::now) of the queue.
    pub(super) fn now(&self) -> u64 {
        self.scheduler.lock().queue.now()
    }

    /// Puts `task` into the queue. The caller sees to it that a job stands there at most once.
    pub(super) fn enqueue(&self, task: Arc<dyn Schedulable>) {
        self.scheduler.enqueue(task);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        {
            let mut state = self.scheduler.lock();
            state.closed = true;
            while let Some(turn) = state.queue.next() {
                turn.refund();
            }
        }
        self.scheduler.ready.notify_all();
        for thread in self.threads.drain(..) {
            // The last handle may be dropped by a worker itself, which cannot wait for its own end.
            if thread.thread().id() != thread::current().id() {
                let _ended = thread.join();
            }
        }
    }
}

impl Scheduler {
    fn lock(&self) -> MutexGuard<'_, SchedulerState> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, task: Arc<dyn Schedulable>) {
        let mut state = self.lock();
        if !state.closed {
            state.queue.join(task);
            self.ready.notify_one();
        }
    }

    fn work(&self) {
        while let Some(turn) = self.next_turn() {
            let claimed = catch_unwind(AssertUnwindSafe(|| Arc::clone(&turn.task).claim()));
            let Ok(Claim { planning, task }) = claimed else {
                turn.task.fail();
                turn.refund();
                continue;
            };
            // Before it waits for its next turn.
            turn.spend(planning);
            match task {
                Some(task) => {
                    self.enqueue(Arc::clone(&turn.task));
                    turn.settle(task());
                }
                None => turn.refund(),
            }
        }
    }

    fn next_turn(&self) -> Option<ScheduledStream> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(turn) = state.queue.next() {
                return Some(turn);
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What this thread has had of a processor so far. Time that it spent waiting, for a disk or for a processor, is not in it.
pub(super) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use std::sync::{atomic::AtomicUsize, atomic::Ordering, mpsc::SyncSender};

    use super::*;

    /// Hands out `pieces` pieces, each of which sends the job's name and says that it took a millisecond.
    struct Countdown {
        name: char,
        flow: Flow,
        client: Arc<Client>,
        pieces: AtomicUsize,
        done: SyncSender<char>,
    }

    fn countdown((name, pieces): (char, usize), weight: u32, done: &SyncSender<char>) -> Arc<Countdown> {
        Arc::new(Countdown {
            name,
            flow: Flow::new(weight),
            client: Client::new(),
            pieces: AtomicUsize::new(pieces),
            done: done.clone(),
        })
    }

    impl Schedulable for Countdown {
        fn claim(self: Arc<Self>) -> Claim {
            assert_ne!(self.name, 'p', "a job that panics");
            let next = |pieces: usize| pieces.checked_sub(1);
            let claimed = self.pieces.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
            let task = move || {
                self.done.send(self.name).expect("the test listens");
                Duration::from_millis(1)
            };
            Claim {
                planning: Duration::ZERO,
                task: claimed.ok().map(|_| Box::new(task) as Work),
            }
        }

        fn fail(&self) {
            self.done.send('!').expect("the test listens");
        }

        fn flow(&self) -> &Flow {
            &self.flow
        }

        fn client(&self) -> &Arc<Client> {
            &self.client
        }
    }

    /// The names of the jobs in the order in which one worker worked for them.
    fn order(tasks: &[((char, usize), u32)]) -> String {
        // The worker is held by a first piece until all jobs stand in the queue.
        let (hold, held) = std::sync::mpsc::sync_channel(0);
        let pieces: usize = tasks.iter().map(|((_, pieces), _)| pieces).sum();
        let (done, order) = std::sync::mpsc::sync_channel(pieces);
        let workers = Workers::start(1).expect("a thread");
        workers.enqueue(countdown(('h', 1), 1, &hold));
        for (task, weight) in tasks {
            workers.enqueue(countdown(*task, *weight, &done));
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
        let task = countdown(('a', 1), 1, &done);
        drop(done);
        let kept = Arc::downgrade(&task);
        workers.enqueue(task);
        assert_eq!(order.recv_timeout(Duration::from_secs(30)), Ok('a'));
        drop(workers);
        assert!(kept.upgrade().is_none());
    }
}
