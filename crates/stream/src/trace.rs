//! One trace for all that this process asks for, whichever servers answer.

use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::{BuildHasher as _, Hasher as _},
};

/// What servers call the requests of this process in their logs and traces.
///
/// # Source
///
/// Trace Context, W3C Recommendation, 2021.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(u128);

impl TraceId {
    /// One that nobody has yet.
    #[must_use]
    pub fn new() -> Self {
        Self(u128::from(random()) << 64 | u128::from(random()))
    }

    /// The header `traceparent` of one request.
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

/// A number that differs from call to call and from process to process, and is not zero; nothing that is computed depends on it.
fn random() -> u64 {
    RandomState::new().build_hasher().finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_one_trace_differ_in_their_own_part_only() {
        let trace = TraceId::new();
        let (one, other) = (trace.header(), trace.header());
        assert_eq!(one.len(), 55);
        assert_eq!(one[..36], format!("00-{trace}-"));
        assert_eq!(one[..36], other[..36]);
        assert_ne!(one, other);
        assert_ne!(trace, TraceId::new());
    }
}
