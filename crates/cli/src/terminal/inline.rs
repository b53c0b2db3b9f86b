//! Inline images in terminals.
//!
//! # Source
//!
//! The protocols: <https://sw.kovidgoyal.net/kitty/graphics-protocol/> and <https://iterm2.com/documentation-images.html>. Support is detected
//! from environment variables alone: the reply to an escape-sequence query could end up as input of the next prompt.

use std::io::{self, IsTerminal as _, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// An inline image protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Kitty,
    Iterm,
}

/// Largest base64 payload of one escape sequence of kitty's protocol, in bytes.
const CHUNK_BYTES: usize = 4096;

/// Shows a PNG image if standard output is a terminal with inline images; returns whether it did.
///
/// # Errors
///
/// If standard output cannot be written.
pub fn show(png: &[u8]) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    if !out.is_terminal() {
        return Ok(false);
    }
    let Some(protocol) = protocol(&|name| std::env::var(name).ok()) else {
        return Ok(false);
    };
    write(&mut out, protocol, png)?;
    out.flush()?;
    Ok(true)
}

/// The protocol of the terminal, by its environment. Terminal multiplexers (tmux, screen) do not pass images on.
fn protocol(variable: &dyn Fn(&str) -> Option<String>) -> Option<Protocol> {
    let is = |name: &str, values: &[&str]| variable(name).is_some_and(|value| values.contains(&&*value));
    let starts =
        |name: &str, beginning: &str| variable(name).is_some_and(|value| value.starts_with(beginning));
    if variable("TMUX").is_some() || starts("TERM", "screen") || starts("TERM", "tmux") {
        return None;
    }
    if is("TERM", &["xterm-kitty", "xterm-ghostty"])
        || variable("KITTY_WINDOW_ID").is_some()
        || is("TERM_PROGRAM", &["ghostty"])
    {
        return Some(Protocol::Kitty);
    }
    let supports_iterm = is(
        "TERM_PROGRAM",
        &["iTerm.app", "WezTerm", "mintty", "vscode", "rio"],
    );
    (supports_iterm || starts("LC_TERMINAL", "iTerm")).then_some(Protocol::Iterm)
}

fn write(out: &mut impl Write, protocol: Protocol, png: &[u8]) -> io::Result<()> {
    let text = STANDARD.encode(png);
    match protocol {
        Protocol::Iterm => writeln!(
            out,
            "\x1b]1337;File=inline=1;size={};preserveAspectRatio=1:{text}\x07",
            png.len()
        ),
        Protocol::Kitty => {
            let pieces = text.len().div_ceil(CHUNK_BYTES).max(1);
            for (number, piece) in text.as_bytes().chunks(CHUNK_BYTES).enumerate() {
                let more = u8::from(number + 1 < pieces);
                let keys = if number == 0 {
                    format!("f=100,a=T,m={more}")
                } else {
                    format!("m={more}")
                };
                write!(out, "\x1b_G{keys};")?;
                out.write_all(piece)?;
                write!(out, "\x1b\\")?;
            }
            writeln!(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol_of(variables: &[(&str, &str)]) -> Option<Protocol> {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        protocol(&find)
    }

    #[test]
    fn the_protocol_is_detected_from_the_environment() {
        assert_eq!(protocol_of(&[("TERM", "xterm-kitty")]), Some(Protocol::Kitty));
        assert_eq!(
            protocol_of(&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "iTerm.app")]),
            Some(Protocol::Iterm)
        );
        assert_eq!(
            protocol_of(&[("TERM", "xterm-256color"), ("LC_TERMINAL", "iTerm2")]),
            Some(Protocol::Iterm)
        );
        assert_eq!(protocol_of(&[("TERM", "xterm-256color")]), None);
        assert_eq!(
            protocol_of(&[("TERM", "tmux-256color"), ("KITTY_WINDOW_ID", "1")]),
            None
        );
        assert_eq!(protocol_of(&[]), None);
    }

    #[test]
    fn kitty_images_are_sent_in_chunks() {
        let png: Vec<u8> = (0..10_000_u32).map(|at| (at * 7 % 256) as u8).collect();
        let mut out = vec![];
        write(&mut out, Protocol::Kitty, &png).expect("written");
        let text = String::from_utf8(out).expect("escape sequences are text");
        let pieces: Vec<&str> = text
            .trim()
            .split("\x1b\\")
            .filter(|piece| !piece.is_empty())
            .collect();
        assert_eq!(pieces.len(), STANDARD.encode(&png).len().div_ceil(CHUNK_BYTES));
        let mut joined = String::new();
        for (number, piece) in pieces.iter().enumerate() {
            let (keys, data) = piece
                .strip_prefix("\x1b_G")
                .and_then(|rest| rest.split_once(';'))
                .expect("keys");
            assert_eq!(keys.starts_with("f=100,a=T"), number == 0, "{keys}");
            assert_eq!(keys.ends_with("m=0"), number + 1 == pieces.len(), "{keys}");
            assert!(data.len() <= CHUNK_BYTES);
            joined += data;
        }
        assert_eq!(STANDARD.decode(joined).expect("base64"), png);
    }

    #[test]
    fn iterm_images_are_sent_in_one_sequence_with_their_size() {
        let mut out = vec![];
        write(&mut out, Protocol::Iterm, b"abc").expect("written");
        assert_eq!(
            out,
            b"\x1b]1337;File=inline=1;size=3;preserveAspectRatio=1:YWJj\x07\n"
        );
    }
}
