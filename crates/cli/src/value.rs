//! Value parsers for clap. Their errors say what is accepted.

use std::{ffi::OsStr, fmt::Display, num::NonZeroUsize, ops::RangeInclusive, path::PathBuf, str::FromStr};

/// Parses an integer of at least `least`.
pub fn at_least<T>(least: T) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: Copy + Display + FromStr + PartialOrd + Send + Sync + 'static,
{
    move |text| {
        let number = text.parse().ok().filter(|number| *number >= least);
        number.ok_or_else(|| format!("expected a whole number of at least {least}"))
    }
}

/// Parses an integer within `range`.
pub fn within<T>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: Copy + Display + FromStr + PartialOrd + Send + Sync + 'static,
{
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            format!(
                "expected a whole number from {} to {}",
                range.start(),
                range.end()
            )
        })
    }
}

/// Parses an integer of at least 1.
///
/// # Errors
///
/// If `text` is not one.
pub fn non_zero(text: &str) -> Result<NonZeroUsize, String> {
    let number = at_least(1)(text)?;
    Ok(NonZeroUsize::new(number).expect("at least one"))
}

/// Parses the path of a PNG file to write; the extension `.png` may be missing.
///
/// # Errors
///
/// If the path has another extension or no file name.
pub fn png(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let is_png = |extension: &OsStr| extension.eq_ignore_ascii_case("png");
    if path.file_name().is_some() && path.extension().is_none_or(is_png) {
        Ok(path)
    } else {
        Err("images are written as PNG: use a file name that ends in .png".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_is_accepted() {
        assert_eq!((at_least(2_u32)("2"), within(1..=9_u64)("9")), (Ok(2), Ok(9)));
        for text in ["1", "-1", "two", "", "4294967296"] {
            assert_eq!(
                at_least(2_u32)(text),
                Err("expected a whole number of at least 2".to_owned())
            );
        }
        assert_eq!(
            within(1..=9_u64)("0"),
            Err("expected a whole number from 1 to 9".to_owned())
        );
        assert_eq!(non_zero("3").map(NonZeroUsize::get), Ok(3));
        assert!(non_zero("0").is_err());
        assert!(png("a/batch.PNG").is_ok() && png("batch").is_ok());
        for name in ["x.gif", "x.png.jpg", "", ".."] {
            assert!(png(name).is_err(), "{name}");
        }
    }
}
