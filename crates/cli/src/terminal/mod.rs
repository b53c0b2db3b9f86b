//! Output: text, progress bars, tables, colours and inline images.

mod inline;

pub use inline::show;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write as _},
};

/// Whether output to `stream` may be coloured: it is a terminal, and `NO_COLOR` is not set (<https://no-color.org>).
#[must_use]
pub fn has_colours(stream: &impl IsTerminal) -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !no_color
}

/// Writes `text` to standard output. If its reader has closed it, such as `head`, the rest is dropped.
///
/// # Errors
///
/// Any other I/O error.
pub fn print(text: &[u8]) -> io::Result<()> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A progress bar of `count` items on standard error, hidden if that is not a terminal. Uncoloured.
#[must_use]
pub fn bar(count: u64, what: impl Into<Cow<'static, str>>) -> ProgressBar {
    let target = if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let template = "{prefix} [{bar:30}] {pos}/{len}  {msg}  {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(count), target)
        .with_style(style.progress_chars("=> "))
        .with_prefix(what)
}

/// Formats rows as columns two spaces apart; the first column is left-aligned, the others right-aligned.
#[must_use]
pub fn table(rows: &[Vec<String>]) -> String {
    let widths = widths(rows);
    let line = |row: &Vec<String>| {
        let cell = |(column, (text, &width)): (usize, (&String, &usize))| match column {
            0 => format!("{text:<width$}"),
            _ => format!("{text:>width$}"),
        };
        let cells: Vec<String> = row.iter().zip(&widths).enumerate().map(cell).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// A [`table`] with a line below its first row.
#[must_use]
pub fn ruled_table(rows: &[Vec<String>]) -> String {
    let widths = widths(rows);
    let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1));
    table(rows).replacen('\n', &format!("\n{rule}\n"), 1)
}

/// The widths of the columns, in characters.
fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    (0..columns).map(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters_not_bytes() {
        let rows = [["class", "images"], ["vögel", "20"], ["flowers", "200"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            table(&rows),
            "class    images\nvögel        20\nflowers     200\n"
        );
    }
}
