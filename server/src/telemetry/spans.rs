//! Request spans and their trace context.

use opentelemetry::{
    Context, Key, Value,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use tracing::{Span, field::display};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The span of a request for `path`, a child of the context in the `traceparent` header, if there is a valid one.
///
/// # Source
///
/// Trace Context, W3C Recommendation, 2021.
#[must_use]
pub fn request(path: &str, traceparent: Option<&str>) -> Span {
    let parent = traceparent.and_then(parent);
    let trace = parent.as_ref().map(|parent| display(parent.trace_id()));
    let span = tracing::info_span!("request", path, trace);
    if let Some(parent) = parent {
        // Fails only if no OpenTelemetry layer is installed.
        let _no_layer = span.set_parent(Context::new().with_remote_span_context(parent));
    }
    span
}

/// Sets an attribute of `span` that is exported, but not logged.
pub fn attribute(span: &Span, key: impl Into<Key>, value: impl Into<Value>) {
    span.set_attribute(key, value);
}

/// Parses `00-TRACE-SPAN-FLAGS` (hexadecimal); later versions may append fields.
fn parent(header: &str) -> Option<SpanContext> {
    let mut parts = header.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_known = version != "ff" && (version != "00" || parts.next().is_none());
    let lengths = (version.len(), trace.len(), span.len(), flags.len());
    let is_lower = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_known || lengths != (2, 32, 16, 2) || ![version, trace, span, flags].into_iter().all(is_lower) {
        return None;
    }
    let parent = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::default(),
    );
    parent.is_valid().then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_traceparent_headers_are_parsed_and_others_ignored() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let context = parent(&format!("00-{trace}-00f067aa0ba902b7-01")).expect("the standard's example");
        assert_eq!(context.trace_id().to_string(), trace);
        assert_eq!(context.span_id().to_string(), "00f067aa0ba902b7");
        assert!(context.is_sampled() && context.is_remote());
        assert!(parent(&format!("01-{trace}-00f067aa0ba902b7-01-later")).is_some());
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
            assert_eq!(parent(&header), None, "{header:?}");
        }
    }
}
