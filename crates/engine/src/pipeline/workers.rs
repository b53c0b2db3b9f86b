//! The worker threads, shared by all streams, one sample at a time.
//!
//! A stream with work is in the [queue](ClientQueue). A worker removes the next stream, claims *one* sample from it, and enqueues the stream
//! again before it renders the sample: so clients share the workers' time evenly, and the streams of each by their weights, whatever their batch
//! and image sizes. A stream is charged the CPU time of planning its batches and of rendering its samples. A stream without work leaves the
//! queue and is enqueued again when its reader takes a batch; no thread polls.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use super::clients::{ClientQueue, OfClient, ScheduledStream};

/// A source of work: a stream, as the workers see it, in the queue of its client.
pub(super) trait Schedulable: OfClient + Send + Sync + 'static {
    /// A unit of work.
    type Job;

    /// Claims the next job, if there is one now. If not, it is not asked again before [`Workers::enqueue`].
    fn claim(&self) -> Claim<Self::Job>;

    /// Does a job that it claimed, and returns the CPU time that it took. Must catch its own panics.
    fn run(&self, job: Self::Job) -> Duration;

    /// Ends the stream after a panic in [`Schedulable::claim`]: it is not asked again.
    fn fail(&self);
}

/// The result of [`Schedulable::claim`].
pub(super) struct Claim<J> {
    /// CPU time spent on planning.
    pub(super) planning: Duration,
    pub(super) job: Option<J>,
}

/// Handle of the worker threads. They end when it is dropped.
#[derive(Debug)]
pub(super) struct Workers<T: Schedulable> {
    scheduler: Arc<Scheduler<T>>,
    threads: Vec<JoinHandle<()>>,
}

struct Scheduler<T: Schedulable> {
    queue: Mutex<SchedulerState<T>>,
    ready: Condvar,
}

impl<T: Schedulable> std::fmt::Debug for Scheduler<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler")
            .field("tasks", &self.lock().queue.len())
            .finish()
    }
}

struct SchedulerState<T: Schedulable> {
    queue: ClientQueue<T>,
    closed: bool,
}

impl<T: Schedulable> Workers<T> {
    /// Starts `count` threads.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread.
    pub(super) fn start(count: usize) -> std::io::Result<Self> {
        let scheduler = Arc::new(Scheduler {
            queue: Mutex::new(SchedulerState {
                queue: ClientQueue::default(),
                closed: false,
            }),
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

    /// Number of streams in the queue.
    pub(super) fn queued(&self) -> usize {
        self.scheduler.lock().queue.len()
    }

    /// The queue's [virtual time](ClientQueue::now).
    pub(super) fn now(&self) -> u64 {
        self.scheduler.lock().queue.now()
    }

    /// Adds `task` to the queue. The caller ensures that a task is queued at most once.
    pub(super) fn enqueue(&self, task: Arc<T>) {
        self.scheduler.enqueue(task);
    }
}

impl<T: Schedulable> Drop for Workers<T> {
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
            // The handle may be dropped by a worker thread, which cannot join itself.
            if thread.thread().id() != thread::current().id() {
                let _ended = thread.join();
            }
        }
    }
}

impl<T: Schedulable> Scheduler<T> {
    fn lock(&self) -> MutexGuard<'_, SchedulerState<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, task: Arc<T>) {
        let mut state = self.lock();
        if !state.closed {
            state.queue.join(task);
            self.ready.notify_one();
        }
    }

    fn work(&self) {
        while let Some(turn) = self.next_turn() {
            let claimed = catch_unwind(AssertUnwindSafe(|| turn.task.claim()));
            let Ok(Claim { planning, job }) = claimed else {
                turn.task.fail();
                turn.refund();
                continue;
            };
            // Charged before the stream is enqueued again.
            turn.spend(planning);
            match job {
                Some(job) => {
                    self.enqueue(Arc::clone(&turn.task));
                    let cost = turn.task.run(job);
                    turn.settle(cost);
                }
                None => turn.refund(),
            }
        }
    }

    fn next_turn(&self) -> Option<ScheduledStream<T>> {
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

/// CPU time of this thread so far; time spent waiting for a disk or a core does not count.
pub(super) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use std::sync::{atomic::AtomicUsize, atomic::Ordering, mpsc::SyncSender};

    use super::{
        super::{
            clients::Client,
            fair_queue::{Flow, Weighted},
        },
        *,
    };

    /// Has `samples` samples, each of which sends the task's name and reports a millisecond.
    struct Countdown {
        name: char,
        flow: Flow,
        client: Arc<Client<Self>>,
        samples: AtomicUsize,
        done: SyncSender<char>,
    }

    fn countdown((name, samples): (char, usize), weight: u32, done: &SyncSender<char>) -> Arc<Countdown> {
        Arc::new(Countdown {
            name,
            flow: Flow::new(weight),
            client: Client::new(),
            samples: AtomicUsize::new(samples),
            done: done.clone(),
        })
    }

    impl Weighted for Countdown {
        fn flow(&self) -> &Flow {
            &self.flow
        }
    }

    impl OfClient for Countdown {
        fn client(&self) -> &Arc<Client<Self>> {
            &self.client
        }
    }

    impl Schedulable for Countdown {
        type Job = ();

        fn claim(&self) -> Claim<()> {
            assert_ne!(self.name, 'p', "a task that panics");
            let next = |samples: usize| samples.checked_sub(1);
            let claimed = self
                .samples
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
            Claim {
                planning: Duration::ZERO,
                job: claimed.ok().map(drop),
            }
        }

        fn run(&self, (): ()) -> Duration {
            self.done.send(self.name).expect("the test receives");
            Duration::from_millis(1)
        }

        fn fail(&self) {
            self.done.send('!').expect("the test receives");
        }
    }

    /// The names of the tasks in the order in which one worker served them.
    fn order(tasks: &[((char, usize), u32)]) -> String {
        // A first sample keeps the worker busy until all tasks are queued.
        let (hold, held) = std::sync::mpsc::sync_channel(0);
        let samples: usize = tasks.iter().map(|((_, samples), _)| samples).sum();
        let (done, order) = std::sync::mpsc::sync_channel(samples);
        let workers = Workers::start(1).expect("a thread");
        workers.enqueue(countdown(('h', 1), 1, &hold));
        for (task, weight) in tasks {
            workers.enqueue(countdown(*task, *weight, &done));
        }
        let timeout = Duration::from_secs(30);
        held.recv_timeout(timeout).expect("the first sample");
        (0..samples)
            .map(|_| order.recv_timeout(timeout).expect("a sample"))
            .collect()
    }

    #[test]
    fn a_panic_in_a_task_ends_the_task_and_not_the_worker() {
        let (done, order) = std::sync::mpsc::sync_channel(2);
        let workers = Workers::start(1).expect("a thread");
        workers.enqueue(countdown(('p', 1), 1, &done));
        workers.enqueue(countdown(('a', 1), 1, &done));
        let next = || order.recv_timeout(Duration::from_secs(30)).expect("a worker");
        assert_eq!([next(), next()], ['!', 'a']);
    }

    #[test]
    fn tasks_alternate_whatever_their_size() {
        assert_eq!(order(&[(('a', 6), 1), (('b', 2), 1)]), "ababaaaa");
    }

    #[test]
    fn service_is_in_proportion_to_weights() {
        let order = order(&[(('a', 400), 1), (('b', 400), 4)]);
        let while_both_wait = &order[..500];
        let of_a = while_both_wait.matches('a').count();
        assert!((99..=101).contains(&of_a), "{of_a} of 500 samples, not a fifth");
    }

    #[test]
    fn dropping_the_handle_ends_the_threads_and_drops_queued_tasks() {
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
