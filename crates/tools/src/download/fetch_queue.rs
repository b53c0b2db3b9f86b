//! Queue of download tasks: round-robin over hosts, with a limit of connections per host and delayed retries.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroUsize,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// One image to fetch.
#[derive(Clone, Debug)]
pub(super) struct FetchTask {
    /// Index of the list.
    pub(super) class: usize,
    pub(super) number: usize,
    pub(super) url: String,
    /// Earlier attempts.
    pub(super) tries: u32,
    host: String,
    not_before: Option<Instant>,
}

impl FetchTask {
    pub(super) fn new(class: usize, number: usize, url: &str) -> Self {
        Self {
            class,
            number,
            url: url.to_owned(),
            tries: 0,
            host: host(url).to_ascii_lowercase(),
            not_before: None,
        }
    }
}

/// Host and port of a URL, lenient about invalid ones.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// Tasks by host, shared by the download threads.
#[derive(Debug)]
pub(super) struct FetchQueue {
    per_host: usize,
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    hosts: Vec<Host>,
    index: HashMap<String, usize>,
    /// Index of the host to search first, for round-robin.
    next_host: usize,
    /// Tasks that are waiting or running.
    unfinished: usize,
}

#[derive(Debug, Default)]
struct Host {
    waiting: VecDeque<FetchTask>,
    running: usize,
    not_before: Option<Instant>,
}

/// What a thread can do next.
enum NextTask {
    Ready(FetchTask),
    WaitUntil(Instant),
    WaitForOthers,
    Done,
}

impl FetchQueue {
    pub(super) fn new(tasks: Vec<FetchTask>, per_host: NonZeroUsize) -> Self {
        let mut state = QueueState {
            unfinished: tasks.len(),
            ..QueueState::default()
        };
        for task in tasks {
            let next = state.hosts.len();
            let host = *state.index.entry(task.host.clone()).or_insert(next);
            if host == next {
                state.hosts.push(Host::default());
            }
            state.hosts[host].waiting.push_back(task);
        }
        Self {
            per_host: per_host.get(),
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Waits for a task; `None` when all are finished.
    pub(super) fn next(&self) -> Option<FetchTask> {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            state = match state.next(self.per_host, now) {
                NextTask::Ready(task) => return Some(task),
                NextTask::Done => return None,
                NextTask::WaitForOthers => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                NextTask::WaitUntil(time) => {
                    let wait = time.saturating_duration_since(now);
                    let waited = self.changed.wait_timeout(state, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Marks a task as finished.
    pub(super) fn done(&self, task: &FetchTask) {
        let mut state = self.state();
        state.unfinished -= 1;
        state.host(task).running -= 1;
        self.changed.notify_all();
    }

    /// Requeues a task until `until`; if `whole_host`, all tasks of its host wait as long.
    pub(super) fn retry(&self, mut task: FetchTask, until: Instant, whole_host: bool) {
        let mut state = self.state();
        let host = state.host(&task);
        host.running -= 1;
        if whole_host {
            host.not_before = host.not_before.max(Some(until));
        }
        task.tries += 1;
        task.not_before = Some(until);
        host.waiting.push_back(task);
        self.changed.notify_all();
    }

    /// Drops all waiting tasks.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        let waiting: usize = state
            .hosts
            .iter_mut()
            .map(|host| host.waiting.drain(..).len())
            .sum();
        state.unfinished -= waiting;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn host(&mut self, task: &FetchTask) -> &mut Host {
        &mut self.hosts[self.index[&task.host]]
    }

    fn next(&mut self, per_host: usize, now: Instant) -> NextTask {
        if self.unfinished == 0 {
            return NextTask::Done;
        }
        let mut earliest: Option<Instant> = None;
        let count = self.hosts.len();
        for at in (0..count).map(|step| (self.next_host + step) % count) {
            let host = &mut self.hosts[at];
            if host.running >= per_host || host.waiting.is_empty() {
                continue;
            }
            let time = |task: &FetchTask| task.not_before.max(host.not_before);
            if let Some(ready) = host
                .waiting
                .iter()
                .position(|task| time(task).is_none_or(|time| time <= now))
            {
                host.running += 1;
                self.next_host = (at + 1) % count;
                return NextTask::Ready(host.waiting.remove(ready).expect("it was found there"));
            }
            let first = host.waiting.iter().filter_map(time).min();
            earliest = match (earliest, first) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        earliest.map_or(NextTask::WaitForOthers, NextTask::WaitUntil)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn queue(urls: &[&str], per_host: usize) -> FetchQueue {
        let tasks = urls
            .iter()
            .enumerate()
            .map(|(number, url)| FetchTask::new(0, number, url));
        FetchQueue::new(tasks.collect(), NonZeroUsize::new(per_host).unwrap())
    }

    /// The next task, without waiting.
    fn poll(queue: &FetchQueue, now: Instant) -> Option<FetchTask> {
        match queue.state().next(queue.per_host, now) {
            NextTask::Ready(task) => Some(task),
            _ => None,
        }
    }

    #[test]
    fn hosts_are_served_round_robin_up_to_the_limit_per_host() {
        let queue = queue(
            &[
                "http://a/1",
                "http://a/2",
                "http://a/3",
                "http://b/1",
                "http://A/4",
            ],
            2,
        );
        let now = Instant::now();
        let started: Vec<FetchTask> = std::iter::from_fn(|| poll(&queue, now)).collect();
        let urls: Vec<&str> = started.iter().map(|task| task.url.as_str()).collect();
        assert_eq!(urls, ["http://a/1", "http://b/1", "http://a/2"]);
        queue.done(&started[0]);
        assert_eq!(poll(&queue, now).unwrap().url, "http://a/3");
        assert!(poll(&queue, now).is_none());
    }

    #[test]
    fn a_retry_delays_other_tasks_only_if_it_is_for_the_whole_host() {
        for whole_host in [false, true] {
            let queue = queue(&["http://a/1", "http://a/2"], 2);
            let now = Instant::now();
            let first = poll(&queue, now).unwrap();
            let later = now + Duration::from_secs(3600);
            queue.retry(first, later, whole_host);
            let second = poll(&queue, now).map(|task| task.url);
            assert_eq!(second.is_none(), whole_host);
            let after = poll(&queue, later).unwrap();
            assert_eq!(
                (after.tries, after.url.as_str()),
                if whole_host {
                    (0, "http://a/2")
                } else {
                    (1, "http://a/1")
                }
            );
        }
    }

    #[test]
    fn next_returns_none_when_all_tasks_are_finished() {
        let queue = queue(&["http://a/1", "http://a/2"], 1);
        let task = queue.next().unwrap();
        queue.stop();
        queue.done(&task);
        assert!(queue.next().is_none());
    }

    #[test]
    fn the_host_is_between_scheme_and_path() {
        for (url, expected) in [
            ("https://a.b:80/c", "a.b:80"),
            ("http://a?b", "a"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(host(url), expected);
        }
    }
}
