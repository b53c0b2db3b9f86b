//! Tables.

use maud::{Markup, html};

/// A table whose first column has row headers.
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

    /// Adds a row; its first cell is its header.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table's HTML.
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

/// Wraps content that may be wider than the page, scrollable by keyboard.
pub(super) fn scrolling(name: &str, content: &Markup) -> Markup {
    html! { div.scrolling role="region" aria-label=(name) tabindex="0" { (content) } }
}
