//! Tokenizer of the text form.

use super::super::Error;

/// Maximum length of a text, in bytes. A recipe with all parts and parameters is shorter.
const MOST: usize = 4096;

/// One token of a recipe.
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

/// Splits a text into tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Error> {
    if text.len() > MOST {
        return Err(Error::TooLong {
            found: text.len(),
            most: MOST,
        });
    }
    let mut tokens = vec![];
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let refused = || Error::Form {
            rest: rest.chars().take(40).collect(),
        };
        let end = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() {
            return Err(refused());
        }
        let (token, after) = if let Some(inside) = after.strip_prefix('(') {
            let (list, after) = inside.split_once(')').ok_or_else(refused)?;
            let values = values(list).ok_or_else(refused)?;
            (Token::Part { name, values }, after)
        } else if let Some(value) = after.strip_prefix('=') {
            let (value, after) = value.split_at(value.find(char::is_whitespace).unwrap_or(value.len()));
            (Token::Option { name, value }, after)
        } else {
            (Token::Part { name, values: vec![] }, after)
        };
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return Err(refused());
        }
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// The values between parentheses; `None` if one is empty.
fn values(list: &str) -> Option<Vec<(Option<&str>, &str)>> {
    if list.trim().is_empty() {
        return Some(vec![]);
    }
    list.split(',').map(value).collect()
}

/// `value` or `parameter=value`; `None` if a side is empty.
fn value(text: &str) -> Option<(Option<&str>, &str)> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (Some(name.trim()), value.trim()),
        None => (None, text.trim()),
    };
    (!value.is_empty() && name.is_none_or(|name| !name.is_empty())).then_some((name, value))
}
