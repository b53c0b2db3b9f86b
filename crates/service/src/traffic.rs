//! Counters of connections, streams and refusals, and rate-limited warnings about refusals.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::access::{ClientId, ClientLimiter};

/// Minimum interval between warnings of one kind.
const PAUSE: Duration = Duration::from_secs(1);
/// Clients that are counted by name; the others are counted together.
const CLIENTS: usize = 32;

/// Why a connection or a request was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The connection limit is reached, in all or of this client.
    Connections,
    /// A TLS handshake failed.
    Handshake,
    /// A timeout: no TLS handshake, HTTP/2 preface or complete request in time.
    Silence,
    /// Too many HTTP/2 control frames.
    Flood,
    /// A token is missing or unknown.
    Token,
    /// A limit is exceeded: streams in all or of this client, or the size of a batch or request.
    Limit,
    /// A stream request with an invalid field.
    Request,
}

impl Refusal {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::Connections,
        Self::Handshake,
        Self::Silence,
        Self::Flood,
        Self::Token,
        Self::Limit,
        Self::Request,
    ];

    /// The name in metrics and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Handshake => "handshake",
            Self::Silence => "silence",
            Self::Flood => "flood",
            Self::Token => "token",
            Self::Limit => "limit",
            Self::Request => "request",
        }
    }
}

/// Connections, streams and refusals since the server started. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    connected: AtomicU64,
    refused: [RefusalCounter; Refusal::ALL.len()],
    connections: OnceLock<ClientLimiter>,
    streams: OnceLock<ClientLimiter>,
}

/// Counts refusals for one reason.
#[derive(Debug, Default)]
struct RefusalCounter {
    count: AtomicU64,
    /// Time of the last warning, and the count at that time.
    last_warning: Mutex<Option<(Instant, u64)>>,
}

impl Traffic {
    /// Sets the limiter of connections, whose permits are counted.
    pub(super) fn count_connections(&self, limiter: ClientLimiter) {
        let _already = self.0.connections.set(limiter);
    }

    /// Sets the limiter of streams, whose permits are counted.
    pub(super) fn count_streams(&self, limiter: ClientLimiter) {
        let _already = self.0.streams.set(limiter);
    }

    pub(super) fn connected(&self) {
        self.0.connected.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refusal, and logs a warning unless one for the same reason was logged within the last second.
    pub(super) fn refused(&self, refusal: Refusal, client: &ClientId, error: &str) {
        if let Some(unsaid) = self.0.refused[refusal as usize].count(Instant::now()) {
            tracing::warn!(client = %client, kind = refusal.name(), error, unsaid, "refused");
        }
    }

    /// Connections accepted since the start.
    #[must_use]
    pub fn connections_opened(&self) -> u64 {
        self.0.connected.load(Ordering::Relaxed)
    }

    /// Connections open now.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.0.connections.get().map_or(0, ClientLimiter::taken) as u64
    }

    /// Refusals for one reason since the start.
    #[must_use]
    pub fn refusals(&self, refusal: Refusal) -> u64 {
        self.0.refused[refusal as usize].count.load(Ordering::Relaxed)
    }

    /// Streams open now by client, highest first. Clients beyond the first 32 are counted together, as `others`.
    #[must_use]
    pub fn streams_by_client(&self) -> Vec<(String, u64)> {
        let all = self
            .0
            .streams
            .get()
            .map(ClientLimiter::by_client)
            .unwrap_or_default();
        let (named, others) = all.split_at(all.len().min(CLIENTS));
        let mut streams: Vec<_> = named
            .iter()
            .map(|(client, count)| (client.to_string(), *count as u64))
            .collect();
        if !others.is_empty() {
            let sum: usize = others.iter().map(|(_, count)| count).sum();
            streams.push(("others".to_owned(), sum as u64));
        }
        streams
    }
}

impl RefusalCounter {
    /// Counts one more; if a warning is due, returns how many refusals since the last warning were not logged.
    fn count(&self, now: Instant) -> Option<u64> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut last_warning = self.last_warning.lock().unwrap_or_else(PoisonError::into_inner);
        let unsaid = match *last_warning {
            Some((last, _)) if now.saturating_duration_since(last) < PAUSE => return None,
            Some((_, until)) => (count - 1).saturating_sub(until),
            None => 0,
        };
        *last_warning = Some((now, count));
        Some(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_refusals_are_counted_and_one_per_second_is_logged() {
        let (counter, start) = (RefusalCounter::default(), Instant::now());
        assert_eq!(counter.count(start), Some(0));
        for _ in 0..5 {
            assert_eq!(counter.count(start + PAUSE / 2), None);
        }
        assert_eq!(counter.count(start + PAUSE), Some(5));
        assert_eq!(counter.count(start + PAUSE * 3), Some(0));
        assert_eq!(counter.count.load(Ordering::Relaxed), 8);
    }

    #[test]
    fn refusals_are_in_the_order_of_their_list() {
        for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, index, "{}", refusal.name());
        }
    }

    #[test]
    fn clients_beyond_the_first_are_counted_together() {
        let (traffic, limiter) = (Traffic::default(), ClientLimiter::new(1000));
        traffic.count_streams(limiter.clone());
        let taken: Vec<_> = (0..40)
            .flat_map(|client| (0..=client % 2).map(move |_| ClientId::Named(format!("c{client:02}"))))
            .map(|client| limiter.acquire(client, 9).expect("a permit"))
            .collect();
        let streams = traffic.streams_by_client();
        assert_eq!(streams.len(), CLIENTS + 1);
        assert_eq!(streams[0], ("c01".to_owned(), 2));
        assert_eq!(streams[CLIENTS], ("others".to_owned(), 8));
        drop(taken);
        assert!(traffic.streams_by_client().is_empty());
    }
}
