//! From characters to words.

use super::super::Error;

/// Longest text that is read, in bytes. All parts with all their parameters are shorter.
const MOST: usize = 4096;

/// One word of a recipe.
#[derive(Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// `name` or `name(value, parameter=value)`.
    Part {
        name: &'a str,
        values: Vec<(Option<&'a str>, &'a str)>,
    },
    /// `name=value`.
    Option { name: &'a str, value: &'a str },
}

/// Splits a text into its words.
pub(super) fn words(text: &str) -> Result<Vec<Token<'_>>, Error> {
    if text.len() > MOST {
        return Err(Error::TooLong {
            found: text.len(),
            most: MOST,
        });
    }
    let mut words = vec![];
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let refused = || Error::Form {
            rest: rest.chars().take(40).collect(),
        };
        let end = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        if name.is_empty() {
            return Err(refused());
        }
        let (word, behind) = if let Some(inside) = behind.strip_prefix('(') {
            let (list, behind) = inside.split_once(')').ok_or_else(refused)?;
            let values = values(list).ok_or_else(refused)?;
            (Token::Part { name, values }, behind)
        } else if let Some(value) = behind.strip_prefix('=') {
            let (value, behind) = value.split_at(value.find(char::is_whitespace).unwrap_or(value.len()));
            (Token::Option { name, value }, behind)
        } else {
            (Token::Part { name, values: vec![] }, behind)
        };
        if !behind.is_empty() && !behind.starts_with(char::is_whitespace) {
            return Err(refused());
        }
        words.push(word);
        rest = behind.trim_start();
    }
    Ok(words)
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// The values between a pair of brackets; `None` where one is empty.
fn values(list: &str) -> Option<Vec<(Option<&str>, &str)>> {
    if list.trim().is_empty() {
        return Some(vec![]);
    }
    list.split(',').map(value).collect()
}

/// `value` or `parameter=value`; `None` where a side is empty.
fn value(text: &str) -> Option<(Option<&str>, &str)> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (Some(name.trim()), value.trim()),
        None => (None, text.trim()),
    };
    (!value.is_empty() && name.is_none_or(|name| !name.is_empty())).then_some((name, value))
}
