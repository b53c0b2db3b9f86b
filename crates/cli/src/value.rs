//! Values of a command line, refused with what they may be.

use std::{ffi::OsStr, fmt::Display, num::NonZeroUsize, ops::RangeInclusive, path::PathBuf, str::FromStr};

/// Reads a number of at least `least`.
pub fn at_least<T>(least: T) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: Copy + Display + FromStr + PartialOrd + Send + Sync + 'static,
{
    move |text| {
        let number = text.parse().ok().filter(|number| *number >= least);
        number.ok_or_else(|| format!("it must be a whole number of at least {least}"))
    }
}

/// Reads a number of a range.
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
                "it must be a whole number from {} to {}",
                range.start(),
                range.end()
            )
        })
    }
}

/// Reads a number of things of which there is at least one.
///
/// # Errors
///
/// What it must be.
pub fn non_zero(text: &str) -> Result<NonZeroUsize, String> {
    let number = at_least(1)(text)?;
    Ok(NonZeroUsize::new(number).expect("at least one"))
}

/// Reads the name of a picture to write, which is a PNG file.
///
/// # Errors
///
/// What it must be.
pub fn png(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let is_png = |extension: &OsStr| extension.eq_ignore_ascii_case("png");
    if path.file_name().is_some() && path.extension().is_none_or(is_png) {
        Ok(path)
    } else {
        Err("pictures are written as PNG: use a name that ends in .png".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_told_what_it_may_be() {
        assert_eq!((at_least(2_u32)("2"), within(1..=9_u64)("9")), (Ok(2), Ok(9)));
        for text in ["1", "-1", "two", "", "4294967296"] {
            assert_eq!(
                at_least(2_u32)(text),
                Err("it must be a whole number of at least 2".to_owned())
            );
        }
        assert_eq!(
            within(1..=9_u64)("0"),
            Err("it must be a whole number from 1 to 9".to_owned())
        );
        assert_eq!(non_zero("3").map(NonZeroUsize::get), Ok(3));
        assert!(non_zero("0").is_err());
        assert!(png("a/batch.PNG").is_ok() && png("batch").is_ok());
        for name in ["x.gif", "x.png.jpg", "", ".."] {
            assert!(png(name).is_err(), "{name}");
        }
    }
}
