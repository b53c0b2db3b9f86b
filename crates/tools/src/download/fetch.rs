//! One try at one image.

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
    Options,
    address::{CarefulResolver, Refused},
};
use equibatch_engine::{
    decode::{DecodeOptions, decode},
    header::{DecodeLimits, Format},
};

/// An image, as it came.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    pub(super) format: Format,
}

/// Why there is no image.
#[derive(Debug)]
pub(super) struct Fault {
    /// One clause.
    pub(super) reason: String,
    /// Another try may do better.
    pub(super) may_pass: bool,
    /// How long the server asks to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Fault {
    fn lasting(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            may_pass: false,
            retry_after: None,
        }
    }

    fn passing(reason: impl Into<String>) -> Self {
        Self {
            may_pass: true,
            ..Self::lasting(reason)
        }
    }
}

/// Asks servers for images.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    max_bytes: u64,
}

impl Client {
    pub(super) fn new(options: &Options) -> Self {
        let config = Config::builder()
            .user_agent(&options.user_agent)
            .accept("image/*, */*;q=0.1")
            // A proxy of the environment would connect to addresses that nobody has looked at.
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
        let resolver = CarefulResolver::new(options.private.clone());
        let agent = Agent::with_parts(config, DefaultConnector::default(), resolver);
        Self {
            agent,
            max_bytes: options.max_bytes,
        }
    }

    pub(super) fn fetch(&self, url: &str) -> Result<Fetched, Fault> {
        let mut response = self.agent.get(escaped(url)).call().map_err(fault)?;
        check_status(&response)?;
        check_type(response.body().mime_type())?;
        let too_large = || {
            let limit = self.max_bytes;
            Fault::lasting(format!("more than {limit} bytes (--max-bytes allows more)"))
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
            error => fault(error),
        })?;
        image(bytes)
    }
}

/// Characters that have no place in a request line, as bytes in hexadecimal. What a browser's address line shows can be copied to a list.
fn escaped(url: &str) -> String {
    let escape = |byte: u8| match byte {
        b'!'..=b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    url.bytes().map(escape).collect()
}

fn check_status(response: &Response<Body>) -> Result<(), Fault> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(());
    }
    let reason = format!("the server says {status}");
    let may_pass = matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504);
    let asked = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let retry_after = asked.and_then(|text| seconds_asked(text, SystemTime::now()));
    Err(Fault {
        reason: match retry_after {
            Some(wait) if may_pass => format!("{reason}, and asks for {} s of rest", wait.as_secs()),
            _ => reason,
        },
        may_pass,
        retry_after,
    })
}

/// Seconds, or the time until a date.
fn seconds_asked(text: &str, now: SystemTime) -> Option<Duration> {
    match text.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(text.trim()).ok()?;
            Some(date.duration_since(now).unwrap_or(Duration::ZERO))
        }
    }
}

/// A type that is no image's is an answer, though not the one asked for; no type, or one that says nothing, is left to the content.
fn check_type(mime_type: Option<&str>) -> Result<(), Fault> {
    let mime_type = mime_type.unwrap_or_default().to_ascii_lowercase();
    let says_nothing = ["", "application/octet-stream", "binary/octet-stream"].contains(&mime_type.as_str());
    if says_nothing || mime_type.starts_with("image/") {
        Ok(())
    } else {
        Err(Fault::lasting(format!(
            "the server sends {mime_type}, not an image"
        )))
    }
}

/// Decodes it: what is stored is an image from its first byte to its last.
fn image(bytes: Vec<u8>) -> Result<Fetched, Fault> {
    let options = DecodeOptions {
        limits: DecodeLimits::default(),
        ..DecodeOptions::default()
    };
    decode(&bytes, &options).map_err(|error| Fault::lasting(error.to_string()))?;
    let format = Format::of(&bytes).expect("an image that was decoded has a format");
    Ok(Fetched { bytes, format })
}

fn fault(error: Error) -> Fault {
    match error {
        Error::Io(error) => Fault::passing(match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }),
        Error::Timeout(timeout) => Fault::passing(format!("no answer in time ({timeout})")),
        Error::HostNotFound | Error::ConnectionFailed => Fault::passing(error.to_string()),
        Error::Other(error) if error.is::<Refused>() => Fault::lasting(error.to_string()),
        error => Fault::lasting(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_asked_for_in_seconds_or_by_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let asked = |text| seconds_asked(text, now).map(|wait| wait.as_secs());
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked(" 0 "), Some(0));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:07 GMT"), Some(30));
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn an_address_as_people_see_it_becomes_one_that_can_be_sent() {
        assert_eq!(escaped("http://a/b%20c?d=1"), "http://a/b%20c?d=1");
        assert_eq!(
            escaped("http://a/größe 1.jpg"),
            "http://a/gr%C3%B6%C3%9Fe%201.jpg"
        );
    }

    #[test]
    fn pages_are_no_images_whatever_they_contain() {
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
