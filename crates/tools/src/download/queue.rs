//! What is fetched next: no host has more than its share of the connections, nor is asked before it wants to be.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroUsize,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// One image to fetch.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Index of its list.
    pub(super) class: usize,
    pub(super) number: usize,
    pub(super) url: String,
    /// Tries before this one.
    pub(super) tries: u32,
    host: String,
    not_before: Option<Instant>,
}

impl Job {
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

/// Host and port, or whatever stands in their place.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// Jobs by host, shared by the threads that fetch.
#[derive(Debug)]
pub(super) struct Queue {
    per_host: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    hosts: Vec<Host>,
    index: HashMap<String, usize>,
    /// Where the search for the next job begins, so that hosts take turns.
    turn: usize,
    /// Jobs that are waiting or running.
    open: usize,
}

#[derive(Debug, Default)]
struct Host {
    waiting: VecDeque<Job>,
    running: usize,
    not_before: Option<Instant>,
}

/// What a thread can do now.
enum Next {
    Job(Job),
    WaitUntil(Instant),
    WaitForOthers,
    Nothing,
}

impl Queue {
    pub(super) fn new(jobs: Vec<Job>, per_host: NonZeroUsize) -> Self {
        let mut state = State {
            open: jobs.len(),
            ..State::default()
        };
        for job in jobs {
            let next = state.hosts.len();
            let host = *state.index.entry(job.host.clone()).or_insert(next);
            if host == next {
                state.hosts.push(Host::default());
            }
            state.hosts[host].waiting.push_back(job);
        }
        Self {
            per_host: per_host.get(),
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Waits for a job; there is none when all are done with.
    pub(super) fn next(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            state = match state.next(self.per_host, now) {
                Next::Job(job) => return Some(job),
                Next::Nothing => return None,
                Next::WaitForOthers => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Next::WaitUntil(time) => {
                    let wait = time.saturating_duration_since(now);
                    let waited = self.changed.wait_timeout(state, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Takes note that a job is done with.
    pub(super) fn done(&self, job: &Job) {
        let mut state = self.state();
        state.open -= 1;
        state.host(job).running -= 1;
        self.changed.notify_all();
    }

    /// Puts a job back until `until`; and with it everything on its host, where `whole_host` says so.
    pub(super) fn again(&self, mut job: Job, until: Instant, whole_host: bool) {
        let mut state = self.state();
        let host = state.host(&job);
        host.running -= 1;
        if whole_host {
            host.not_before = host.not_before.max(Some(until));
        }
        job.tries += 1;
        job.not_before = Some(until);
        host.waiting.push_back(job);
        self.changed.notify_all();
    }

    /// Drops everything that waits.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        let waiting: usize = state
            .hosts
            .iter_mut()
            .map(|host| host.waiting.drain(..).len())
            .sum();
        state.open -= waiting;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn host(&mut self, job: &Job) -> &mut Host {
        &mut self.hosts[self.index[&job.host]]
    }

    fn next(&mut self, per_host: usize, now: Instant) -> Next {
        if self.open == 0 {
            return Next::Nothing;
        }
        let mut earliest: Option<Instant> = None;
        let count = self.hosts.len();
        for at in (0..count).map(|step| (self.turn + step) % count) {
            let host = &mut self.hosts[at];
            if host.running >= per_host || host.waiting.is_empty() {
                continue;
            }
            let time = |job: &Job| job.not_before.max(host.not_before);
            if let Some(ready) = host
                .waiting
                .iter()
                .position(|job| time(job).is_none_or(|time| time <= now))
            {
                host.running += 1;
                self.turn = (at + 1) % count;
                return Next::Job(host.waiting.remove(ready).expect("it was found there"));
            }
            let first = host.waiting.iter().filter_map(time).min();
            earliest = match (earliest, first) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        earliest.map_or(Next::WaitForOthers, Next::WaitUntil)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn queue(urls: &[&str], per_host: usize) -> Queue {
        let jobs = urls
            .iter()
            .enumerate()
            .map(|(number, url)| Job::new(0, number, url));
        Queue::new(jobs.collect(), NonZeroUsize::new(per_host).unwrap())
    }

    /// The number of the job that would be next, without waiting.
    fn poll(queue: &Queue, now: Instant) -> Option<Job> {
        match queue.state().next(queue.per_host, now) {
            Next::Job(job) => Some(job),
            _ => None,
        }
    }

    #[test]
    fn hosts_take_turns_and_none_gets_more_than_its_share() {
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
        let started: Vec<Job> = std::iter::from_fn(|| poll(&queue, now)).collect();
        let urls: Vec<&str> = started.iter().map(|job| job.url.as_str()).collect();
        assert_eq!(urls, ["http://a/1", "http://b/1", "http://a/2"]);
        queue.done(&started[0]);
        assert_eq!(poll(&queue, now).unwrap().url, "http://a/3");
        assert!(poll(&queue, now).is_none());
    }

    #[test]
    fn a_job_that_waits_holds_up_no_other_unless_the_host_asks_for_it() {
        for whole_host in [false, true] {
            let queue = queue(&["http://a/1", "http://a/2"], 2);
            let now = Instant::now();
            let first = poll(&queue, now).unwrap();
            let later = now + Duration::from_secs(3600);
            queue.again(first, later, whole_host);
            let second = poll(&queue, now).map(|job| job.url);
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
    fn there_is_nothing_left_when_all_is_done() {
        let queue = queue(&["http://a/1", "http://a/2"], 1);
        let job = queue.next().unwrap();
        queue.stop();
        queue.done(&job);
        assert!(queue.next().is_none());
    }

    #[test]
    fn a_host_is_what_stands_between_scheme_and_path() {
        for (url, expected) in [
            ("https://a.b:80/c", "a.b:80"),
            ("http://a?b", "a"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(host(url), expected);
        }
    }
}
