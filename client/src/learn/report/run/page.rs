//! The sections of a run's report.

use maud::{Markup, html};

use super::{Record, classes, curves, origin};
use crate::learn::{
    examine::{Examination, Failure},
    report::{
        canvas,
        html::{
            Card, Figure, Gallery, Page, Shot, Table,
            judgement::{self, Cells},
        },
        table::percent,
    },
    text::counted,
};

/// The report as a page, and the drawings in it.
///
/// # Errors
///
/// [`canvas::Error`].
pub fn page(record: &Record) -> Result<(Page, Vec<Figure>), canvas::Error> {
    let mut figures = vec![];
    let mut drawn = |figure: Option<Figure>| -> Markup {
        let markup = figure.as_ref().map_or_else(|| html! {}, Figure::markup);
        figures.extend(figure);
        markup
    };
    let loss = drawn(curves::loss(record)?);
    let metrics = drawn(curves::metrics(record)?);
    let schedule = [
        drawn(curves::learning_rate(record)?),
        drawn(curves::momentum(record)?),
    ];
    let rates = drawn(curves::sweep(record)?);
    let speed = [
        drawn(curves::throughput(record)?),
        drawn(curves::waiting(record)?),
    ];
    let exposure = match &record.exposure {
        Some(exposure) => Some(drawn(Some(classes::exposure(exposure)?))),
        None => None,
    };
    let (confusion, drawing) = confusion(record)?.unzip();
    figures.extend(drawing.flatten());

    let mut page = Page::new(&format!("Training report: {}", record.name)).lede(lede(record));
    page = page.with(
        "learning",
        "Learning",
        html! { (loss) (metrics) (skipped(record)) (replaced(record)) @if record.epochs.is_empty() { p { "No epoch is done yet." } } (epochs(record)) },
    );
    if let Some(confusion) = confusion {
        page = page.with("confusion", "What was taken for what", confusion);
    }
    page = page.with("worst", "Largest losses", worst(record));
    if let (Some(figure), Some(exposure)) = (exposure, &record.exposure) {
        let body = html! {
            p { "Balance " code { (record.config.balance) } ": what there is of each class, and what an epoch shows of it. Within a class, \
                 every image is used once before any is used again." }
            (figure)
            (classes::table(exposure))
        };
        page = page.with("classes", "Classes before and after balancing", body);
    }
    if !record.steps.is_empty() {
        page = page.with(
            "schedule",
            "Schedule",
            html! { div.charts { @for chart in &schedule { (chart) } } },
        );
    }
    if !record.sweep.is_empty() {
        page = page.with("rates", "Learning rates tried before", rates);
    }
    page = page.with(
        "speed",
        "Speed",
        html! { (waiting_words(record)) div.charts { @for chart in &speed { (chart) } } },
    );
    page = page.with("again", "To do it again", origin::markup(record));
    Ok((page, figures))
}

fn lede(record: &Record) -> Markup {
    let config = &record.config;
    let (done, total) = record.steps_done();
    html! {
        p {
            (config.arch) " on " (config.dataset) ": " (config.classes.len()) " classes, " (counted(config.epochs, "epoch")) " of "
            (counted(config.steps_per_epoch, "step")) " of " (counted(config.batch_size, "image")) " at " (config.image_size)
            " pixels, balance " (config.balance) "."
            @if done < total { " Not finished: " (done) " of " (counted(total, "step")) " done." }
        }
        @if let Some(figures) = record.figures() {
            (judgement::headline(figures, record.rarest().as_ref()))
            p.faint { "Of the model as it stands, on the " (split(record)) " images; in brackets the interval of 95 % that so few images leave open (Wilson)." }
        }
    }
}

fn split(record: &Record) -> String {
    record.examination.as_ref().map_or_else(
        || "validation".to_owned(),
        |examination| match examination.split.name() {
            "valid" => "validation".to_owned(),
            name => name.to_owned(),
        },
    )
}

/// Says how many steps were not taken, where there were any.
fn skipped(record: &Record) -> Markup {
    let skipped = record.skipped_steps();
    let scale = record.epochs.last().and_then(|epoch| epoch.loss_scale);
    html! {
        @if skipped > 0 {
            p {
                (counted(skipped, "step")) " of " (record.steps_done().0) " changed nothing, because a gradient was not finite in half precision; \
                 the loss was scaled down after each."
                @if let Some(scale) = scale { " Its scale in the end: " (scale) "." }
            }
        }
    }
}

/// Says how many images stood in the place of broken files, if there were any.
fn replaced(record: &Record) -> Markup {
    let replaced = record.replaced();
    html! {
        @if replaced > 0 {
            p {
                "In " (counted(replaced, "place")) " of a batch another image of the same class stood in for a file that cannot be decoded; "
                code { "client datasets" } " names the files."
            }
        }
    }
}

/// What the terminal showed after each epoch.
fn epochs(record: &Record) -> Markup {
    let mut table = Table::new(
        "After each epoch.",
        &[
            "epoch",
            "training loss",
            "validation loss",
            "error rate",
            "balanced accuracy",
            "images/s",
            "waiting",
            "replaced",
            "seconds",
        ],
    );
    for epoch in &record.epochs {
        let valid = epoch.valid.as_ref();
        table.row(vec![
            epoch.epoch.to_string(),
            format!("{:.4}", epoch.train_loss),
            valid.map_or_else(|| "-".to_owned(), |figures| format!("{:.4}", figures.loss)),
            percent(valid.and_then(|figures| figures.error_rate)),
            percent(valid.and_then(|figures| figures.balanced_accuracy)),
            format!("{:.1}", epoch.images_per_second),
            percent(Some(epoch.wait_share)),
            epoch.replaced.to_string(),
            format!("{:.1}", epoch.seconds),
        ]);
    }
    html! { @if !table.is_empty() { (table.markup()) } }
}

fn confusion(record: &Record) -> Result<Option<(Markup, Option<Figure>)>, canvas::Error> {
    let Some(figures) = record.figures() else {
        return Ok(None);
    };
    let (matrix, drawing) =
        judgement::confusion(figures, "confusion-matrix", &[Cells::Counts, Cells::Shares])?;
    let section = html! {
        (matrix)
        (judgement::confused_pairs(figures))
        (judgement::classes(figures))
    };
    Ok(Some((section, drawing)))
}

fn worst(record: &Record) -> Markup {
    let Some(examination) = &record.examination else {
        return html! {
            p { "The images that the model was most wrong about are not here: the server was not asked for them. "
                code { "client report " (record.folder.display()) " --evaluate" } " asks it." }
        };
    };
    if examination.worst.is_empty() {
        return html! { p { "There is no image to show." } };
    }
    html! {
        p {
            "The " (split(record)) " images of largest loss, as the model saw them."
            @if examination.worst.iter().any(|failure| failure.attention.is_some()) {
                " Beside each, where it saw the class that the image really is of: the brighter, the more (Grad-CAM of the last feature maps)."
            } @else {
                " There is no attention map (Grad-CAM) beside them, because this network's could not be computed"
                @if let Some(reason) = &examination.without_attention { ": " (reason) } "."
            }
        }
        (gallery(record, examination).markup())
    }
}

fn gallery(record: &Record, examination: &Examination) -> Gallery {
    let card = |failure: &Failure| {
        let image = failure
            .path
            .clone()
            .unwrap_or_else(|| format!("sample {}", failure.sample));
        let is_wrong = failure.actual != failure.predicted;
        let heading = if is_wrong {
            format!("{}, taken for {}", failure.actual, failure.predicted)
        } else {
            format!("{}, recognised", failure.actual)
        };
        let plain = Examination::picture(&record.folder, &failure.picture).map(|picture| Shot {
            image: picture,
            words: format!("{image}: {heading}"),
        });
        let attention = failure.attention.as_deref();
        let attention = attention.and_then(|name| Examination::picture(&record.folder, name));
        let attention = attention.map(|picture| Shot {
            image: picture,
            words: format!("Where the model saw {} in {image}", failure.actual),
        });
        Card {
            shots: plain.into_iter().chain(attention).collect(),
            facts: vec![
                ("predicted".to_owned(), failure.predicted.clone()),
                ("actual".to_owned(), failure.actual.clone()),
                ("loss".to_owned(), format!("{:.2}", failure.loss)),
                (
                    format!("probability of {}", failure.actual),
                    percent(Some(failure.probability)),
                ),
                ("image".to_owned(), image),
            ],
            heading,
            is_wrong,
        }
    };
    Gallery {
        cards: examination.worst.iter().map(card).collect(),
    }
}

fn waiting_words(record: &Record) -> Markup {
    let seconds: f64 = record.epochs.iter().map(|epoch| epoch.seconds).sum();
    if seconds <= 0.0 {
        return html! { p { "No epoch is done yet." } };
    }
    let waited: f64 = record
        .epochs
        .iter()
        .map(|epoch| epoch.seconds * epoch.wait_share)
        .sum();
    let images: f64 = record
        .epochs
        .iter()
        .map(|epoch| epoch.seconds * epoch.images_per_second)
        .sum();
    html! {
        p { (format!("{:.0} images in {:.0} seconds of training, {:.1} a second; {} of the time was spent waiting for batches.",
            images, seconds, images / seconds, percent(Some(waited / seconds)))) }
    }
}
