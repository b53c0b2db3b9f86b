//! Counts and lists in English.

use std::fmt::Display;

/// `1 image`, `2 images`.
#[must_use]
pub fn counted(count: impl Copy + Display + PartialEq + From<u8>, what: &str) -> String {
    let ending = if count == From::from(1) { "" } else { "s" };
    format!("{count} {what}{ending}")
}

/// `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn listed(words: &[impl AsRef<str>]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match &*words {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(1_u32, "image"), "1 image");
        assert_eq!(counted(0_usize, "image"), "0 images");
    }

    #[test]
    fn the_last_of_a_list_follows_an_and() {
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
        assert_eq!(listed(&["a", "b"]), "a and b");
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&[""; 0]), "");
    }
}
