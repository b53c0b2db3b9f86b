//! One attempt to download one image.

use std::{
    error::Error as _,
    time::{Duration, SystemTime},
};

use ureq::{
    Agent, Body, Error,
    config::Config,
    http::{Response, StatusCode, header::RETRY_AFTER},
    unversioned::transport::DefaultConnector,
};

use super::{
    options::DownloadOptions,
    ssrf_guard::{PrivateAddressError, SsrfGuardResolver},
};
use equibatch_engine::{
    decode::{DecodeOptions, decode},
    header::{DecodeLimits, Format},
};

/// A downloaded image.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    pub(super) format: Format,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) struct FetchError {
    /// Reason, a lower-case clause.
    pub(super) reason: String,
    /// Whether a retry may succeed.
    pub(super) is_transient: bool,
    /// Value of the Retry-After header.
    pub(super) retry_after: Option<Duration>,
}

impl FetchError {
    fn permanent(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            is_transient: false,
            retry_after: None,
        }
    }

    fn transient(reason: impl Into<String>) -> Self {
        Self {
            is_transient: true,
            ..Self::permanent(reason)
        }
    }
}

/// HTTP client for images.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    max_bytes: u64,
}

impl Client {
    pub(super) fn new(options: &DownloadOptions) -> Self {
        let config = Config::builder()
            .user_agent(&options.user_agent)
            .accept("image/*, */*;q=0.1")
            // A proxy would bypass the check of addresses.
            .proxy(None)
            .max_redirects(5)
            .http_status_as_error(false)
            .timeout_global(Some(options.max_time))
            .timeout_resolve(Some(options.timeout))
            .timeout_connect(Some(options.timeout))
            .timeout_recv_response(Some(options.timeout))
            .timeout_per_read(Some(options.timeout))
            .timeout_per_write(Some(options.timeout))
            .build();
        let resolver = SsrfGuardResolver::new(options.private.clone());
        let agent = Agent::with_parts(config, DefaultConnector::default(), resolver);
        Self {
            agent,
            max_bytes: options.max_bytes,
        }
    }

    pub(super) fn fetch(&self, url: &str) -> Result<Fetched, FetchError> {
        let mut response = self.agent.get(escaped(url)).call().map_err(fetch_error)?;
        check_status(&response)?;
        check_type(response.body().mime_type())?;
        let too_large = || {
            let limit = self.max_bytes;
            FetchError::permanent(format!("larger than {limit} bytes (raise --max-bytes)"))
        };
        if response
            .body()
            .content_length()
            .is_some_and(|bytes| bytes > self.max_bytes)
        {
            return Err(too_large());
        }
        let body = response.body_mut().with_config().limit(self.max_bytes);
        let bytes = body.read_to_vec().map_err(|error| match error {
            Error::BodyExceedsLimit(_) => too_large(),
            error => fetch_error(error),
        })?;
        image(bytes)
    }
}

/// Percent-encodes characters that are not allowed in a URL, so that URLs can be copied from a browser's address bar.
fn escaped(url: &str) -> String {
    let escape = |byte: u8| match byte {
        b'!'..=b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    url.bytes().map(escape).collect()
}

fn check_status(response: &Response<Body>) -> Result<(), FetchError> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(());
    }
    let reason = format!("HTTP status {status}");
    let is_transient = matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504);
    let asked = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let retry_after = asked.and_then(|text| retry_delay(text, SystemTime::now()));
    Err(FetchError {
        reason: match retry_after {
            Some(wait) if is_transient => format!("{reason}, Retry-After {} s", wait.as_secs()),
            _ => reason,
        },
        is_transient,
        retry_after,
    })
}

/// Parses the Retry-After header: seconds, or an HTTP date.
fn retry_delay(text: &str, now: SystemTime) -> Option<Duration> {
    match text.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(text.trim()).ok()?;
            Some(date.duration_since(now).unwrap_or(Duration::ZERO))
        }
    }
}

/// Rejects a Content-Type that is not an image. A missing or generic type is accepted, since the content is decoded anyway.
fn check_type(mime_type: Option<&str>) -> Result<(), FetchError> {
    let mime_type = mime_type.unwrap_or_default().to_ascii_lowercase();
    let is_generic = ["", "application/octet-stream", "binary/octet-stream"].contains(&mime_type.as_str());
    if is_generic || mime_type.starts_with("image/") {
        Ok(())
    } else {
        Err(FetchError::permanent(format!(
            "Content-Type is {mime_type}, not an image"
        )))
    }
}

/// Decodes the image completely, so that only valid images are stored.
fn image(bytes: Vec<u8>) -> Result<Fetched, FetchError> {
    let options = DecodeOptions {
        limits: DecodeLimits::default(),
        ..DecodeOptions::default()
    };
    decode(&bytes, &options).map_err(|error| FetchError::permanent(error.to_string()))?;
    let format = Format::of(&bytes).expect("an image that was decoded has a format");
    Ok(Fetched { bytes, format })
}

fn fetch_error(error: Error) -> FetchError {
    match error {
        Error::Io(error) => FetchError::transient(match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }),
        Error::Timeout(timeout) => FetchError::transient(format!("timeout ({timeout})")),
        Error::HostNotFound | Error::ConnectionFailed => FetchError::transient(error.to_string()),
        Error::Other(error) if error.is::<PrivateAddressError>() => FetchError::permanent(error.to_string()),
        error => FetchError::permanent(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let asked = |text| retry_delay(text, now).map(|wait| wait.as_secs());
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked(" 0 "), Some(0));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:07 GMT"), Some(30));
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn urls_are_percent_encoded() {
        assert_eq!(escaped("http://a/b%20c?d=1"), "http://a/b%20c?d=1");
        assert_eq!(
            escaped("http://a/größe 1.jpg"),
            "http://a/gr%C3%B6%C3%9Fe%201.jpg"
        );
    }

    #[test]
    fn non_image_content_types_are_refused() {
        for refused in ["text/html", "Text/HTML", "application/json"] {
            assert!(check_type(Some(refused)).is_err(), "{refused}");
        }
        for allowed in [
            None,
            Some("image/jpeg"),
            Some("IMAGE/PNG"),
            Some("application/octet-stream"),
        ] {
            assert!(check_type(allowed).is_ok(), "{allowed:?}");
        }
    }
}
