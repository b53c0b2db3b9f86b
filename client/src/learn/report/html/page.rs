//! The frame of a page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Style sheet, with the colours of [`canvas`](crate::learn::report::canvas).
const STYLE: &str = include_str!("style.css");

/// A page under construction.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    lede: Markup,
    sections: Vec<Section>,
}

#[derive(Clone, Debug)]
struct Section {
    id: String,
    heading: String,
    body: Markup,
}

impl Page {
    /// A page without sections.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            lede: html! {},
            sections: vec![],
        }
    }

    /// Sets the introduction below the title.
    #[must_use]
    pub fn lede(self, lede: Markup) -> Self {
        Self { lede, ..self }
    }

    /// Adds a section. `id` is its HTML id: letters and dashes.
    #[must_use]
    pub fn with(mut self, id: &str, heading: &str, body: Markup) -> Self {
        self.sections.push(Section {
            id: id.to_owned(),
            heading: heading.to_owned(),
            body,
        });
        self
    }

    /// The complete HTML file.
    #[must_use]
    pub fn to_html(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    // Otherwise browsers request /favicon.ico.
                    link rel="icon" href="data:,";
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    a.skip href="#content" { "Skip to the content" }
                    header {
                        h1 { (self.title) }
                        (self.lede)
                    }
                    nav aria-label="Contents" {
                        ul { @for section in &self.sections { li { a href=(format!("#{}", section.id)) { (section.heading) } } } }
                    }
                    main #content {
                        @for section in &self.sections {
                            section #(section.id) aria-labelledby=(format!("{}-heading", section.id)) {
                                h2 id=(format!("{}-heading", section.id)) { (section.heading) }
                                (section.body)
                            }
                        }
                    }
                    footer { p { "Written by Equibatch " (env!("CARGO_PKG_VERSION")) "." } }
                }
            }
        };
        page.into_string()
    }
}

/// Parts of several models next to one another, each below its heading.
#[must_use]
pub fn side_by_side(parts: &[(String, Markup)]) -> Markup {
    html! {
        div.side-by-side {
            @for (name, part) in parts { div.part { h3 { (name) } (part) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_lists_its_sections_and_escapes_text() {
        let page = Page::new("A < B & \"C\"")
            .lede(html! { p { "lede" } })
            .with("one", "<b>One</b>", html! { p { "body" } })
            .with(
                "two",
                "Two",
                side_by_side(&[("x<y".to_owned(), html! { "part" })]),
            );
        let text = page.to_html();
        assert!(text.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{text}");
        assert!(
            text.contains("<title>A &lt; B &amp; &quot;C&quot;</title>"),
            "{text}"
        );
        assert!(text.contains("<a href=\"#one\">&lt;b&gt;One&lt;/b&gt;</a>"));
        assert!(text.contains("<section id=\"two\" aria-labelledby=\"two-heading\">"));
        assert!(text.contains("<h3>x&lt;y</h3>"));
        assert!(!text.contains("<script"));
    }
}
