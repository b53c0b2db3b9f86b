//! Request spans, their trace context, and attributes that are exported with them.

use tracing::Span;

pub(super) use self::otlp::attribute;

/// The remote parent of a request's span.
///
/// # Source
///
/// Trace Context, W3C Recommendation, 2021.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// The span of a request for `path`, a child of the context in the `traceparent` header, if there is a valid one.
#[must_use]
pub(super) fn request(path: &str, traceparent: Option<&str>) -> Span {
    let parent = traceparent.and_then(TraceParent::parse);
    let trace = parent.map(|parent| format!("{:032x}", parent.trace_id));
    let span = tracing::info_span!("request", path, trace);
    if let Some(parent) = parent {
        otlp::set_parent(&span, &parent);
    }
    span
}

impl TraceParent {
    /// Parses `00-TRACE-SPAN-FLAGS` (hexadecimal); later versions may append fields.
    fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_known = version != "ff" && (version != "00" || parts.next().is_none());
        let lengths = (version.len(), trace.len(), span.len(), flags.len());
        let is_lower = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_known || lengths != (2, 32, 16, 2) || ![version, trace, span, flags].into_iter().all(is_lower)
        {
            return None;
        }
        let parent = Self {
            trace_id: u128::from_str_radix(trace, 16).ok()?,
            span_id: u64::from_str_radix(span, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()?,
        };
        (parent.trace_id != 0 && parent.span_id != 0).then_some(parent)
    }
}

#[cfg(feature = "otlp")]
mod otlp {
    use opentelemetry::{
        Context, Value,
        trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
    };
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    use super::TraceParent;

    /// Makes `span` a child of the remote span `parent`.
    pub(super) fn set_parent(span: &Span, parent: &TraceParent) {
        let parent = SpanContext::new(
            TraceId::from(parent.trace_id),
            SpanId::from(parent.span_id),
            TraceFlags::new(parent.flags),
            true,
            TraceState::default(),
        );
        // Fails only if traces are not exported.
        let _no_layer = span.set_parent(Context::new().with_remote_span_context(parent));
    }

    /// Sets an attribute of `span` that is exported, but not logged.
    pub(in super::super) fn attribute(span: &Span, key: &'static str, value: impl Into<Value>) {
        span.set_attribute(key, value);
    }
}

/// In place of trace export in a build without it.
#[cfg(not(feature = "otlp"))]
mod otlp {
    use tracing::Span;

    use super::TraceParent;

    /// Does nothing.
    pub(super) fn set_parent(_: &Span, _: &TraceParent) {}

    /// Does nothing.
    pub(in super::super) fn attribute<V>(_: &Span, _: &'static str, _: V) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_traceparent_headers_are_parsed_and_others_ignored() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let context =
            TraceParent::parse(&format!("00-{trace}-00f067aa0ba902b7-01")).expect("the standard's example");
        let expected = TraceParent {
            trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
            span_id: 0x00f0_67aa_0ba9_02b7,
            flags: 1,
        };
        assert_eq!(context, expected);
        assert!(TraceParent::parse(&format!("01-{trace}-00f067aa0ba902b7-01-later")).is_some());
        for header in [
            "".to_owned(),
            "00".to_owned(),
            format!("00-{trace}-00f067aa0ba902b7"),
            format!("00-{trace}-00f067aa0ba902b7-01-later"),
            format!("ff-{trace}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{trace}-00f067aa0ba902b7-0g"),
            format!("00-{trace}+00f067aa0ba902b7-01"),
        ] {
            assert_eq!(TraceParent::parse(&header), None, "{header:?}");
        }
    }
}
