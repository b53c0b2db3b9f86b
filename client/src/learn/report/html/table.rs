//! Tables.

use maud::{Markup, html};

/// A table: the first column names its rows, the others hold figures.
#[derive(Clone, Debug)]
pub struct Table {
    caption: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(caption: &str, header: &[&str]) -> Self {
        Self {
            caption: caption.to_owned(),
            header: header.iter().map(|&name| name.to_owned()).collect(),
            rows: vec![],
        }
    }

    /// Adds a row; its first cell names it.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as a part of a page.
    #[must_use]
    pub fn markup(&self) -> Markup {
        scrolling(
            &self.caption,
            &html! {
                table {
                    caption { (self.caption) }
                    thead { tr { @for name in &self.header { th scope="col" { (name) } } } }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (column, cell) in row.iter().enumerate() {
                                    @if column == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                                }
                            }
                        }
                    }
                }
            },
        )
    }
}

/// What may be wider than the page: it can be scrolled, by keyboard, too.
pub(super) fn scrolling(name: &str, content: &Markup) -> Markup {
    html! { div.scrolling role="region" aria-label=(name) tabindex="0" { (content) } }
}
