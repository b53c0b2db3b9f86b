//! The trace id of all requests of this process.

use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::{BuildHasher as _, Hasher as _},
};

/// The trace id that servers log and export for the requests of this process.
///
/// # Source
///
/// Trace Context, W3C Recommendation, 2021.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(u128);

impl TraceId {
    /// A new random id.
    #[must_use]
    pub fn new() -> Self {
        Self(u128::from(random()) << 64 | u128::from(random()))
    }

    /// The `traceparent` header of a request, with a new span id.
    pub(super) fn header(self) -> String {
        format!("00-{self}-{:016x}-01", random())
    }
}

impl Default for TraceId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A random number other than zero, without influence on any result.
fn random() -> u64 {
    RandomState::new().build_hasher().finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_share_the_trace_id_and_differ_in_the_span_id() {
        let trace = TraceId::new();
        let (one, other) = (trace.header(), trace.header());
        assert_eq!(one.len(), 55);
        assert_eq!(one[..36], format!("00-{trace}-"));
        assert_eq!(one[..36], other[..36]);
        assert_ne!(one, other);
        assert_ne!(trace, TraceId::new());
    }
}
