//! The sections of a run's report.

use maud::{Markup, html};

use super::{RunRecord, classes, curves, reproduce};
use crate::learn::{
    interpret::{Interpretation, TopLossRecord},
    report::{
        canvas,
        html::{
            Figure, Gallery, GalleryItem, Page, Photo, Table,
            evaluation::{self, Cells},
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
pub fn page(record: &RunRecord) -> Result<(Page, Vec<Figure>), canvas::Error> {
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
    let class_sampling = match &record.class_sampling {
        Some(class_sampling) => Some(drawn(Some(classes::class_sampling(class_sampling)?))),
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
    if let (Some(figure), Some(class_sampling)) = (class_sampling, &record.class_sampling) {
        let body = html! {
            p { "Balance " code { (record.config.balance) } ": what there is of each class, and what an epoch shows of it. Within a class, \
                 every image is used once before any is used again." }
            (figure)
            (classes::table(class_sampling))
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
    page = page.with("again", "To do it again", reproduce::markup(record));
    Ok((page, figures))
}

fn lede(record: &RunRecord) -> Markup {
    let config = &record.config;
    let (done, total) = record.steps_done();
    html! {
        p {
            (config.arch) " on " (config.dataset) ": " (config.classes.len()) " classes, " (counted(config.epochs, "epoch")) " of "
            (counted(config.steps_per_epoch, "step")) " of " (counted(config.batch_size, "image")) " at " (config.image_size)
            " pixels, balance " (config.balance) "."
            @if done < total { " Not finished: " (done) " of " (counted(total, "step")) " done." }
        }
        @if let Some(metrics) = record.metrics() {
            (evaluation::headline(metrics, record.rarest().as_ref()))
            p.faint { "Of the model as it stands, on the " (split(record)) " images; in brackets the interval of 95 % that so few images leave open (Wilson)." }
        }
    }
}

fn split(record: &RunRecord) -> String {
    record.interpretation.as_ref().map_or_else(
        || "validation".to_owned(),
        |interpretation| match interpretation.split.name() {
            "valid" => "validation".to_owned(),
            name => name.to_owned(),
        },
    )
}

/// Says how many steps were not taken, where there were any.
fn skipped(record: &RunRecord) -> Markup {
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
fn replaced(record: &RunRecord) -> Markup {
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
fn epochs(record: &RunRecord) -> Markup {
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
            valid.map_or_else(|| "-".to_owned(), |metrics| format!("{:.4}", metrics.loss)),
            percent(valid.and_then(|metrics| metrics.error_rate)),
            percent(valid.and_then(|metrics| metrics.balanced_accuracy)),
            format!("{:.1}", epoch.images_per_second),
            percent(Some(epoch.wait_share)),
            epoch.replaced.to_string(),
            format!("{:.1}", epoch.seconds),
        ]);
    }
    html! { @if !table.is_empty() { (table.markup()) } }
}

fn confusion(record: &RunRecord) -> Result<Option<(Markup, Option<Figure>)>, canvas::Error> {
    let Some(metrics) = record.metrics() else {
        return Ok(None);
    };
    let (matrix, drawing) =
        evaluation::confusion(metrics, "confusion-matrix", &[Cells::Counts, Cells::Shares])?;
    let section = html! {
        (matrix)
        (evaluation::confused_pairs(metrics))
        (evaluation::classes(metrics))
    };
    Ok(Some((section, drawing)))
}

fn worst(record: &RunRecord) -> Markup {
    let Some(interpretation) = &record.interpretation else {
        return html! {
            p { "The images that the model was most wrong about are not here: the server was not asked for them. "
                code { "client report " (record.folder.display()) " --judge" } " asks it." }
        };
    };
    if interpretation.top_losses.is_empty() {
        return html! { p { "There is no image to show." } };
    }
    html! {
        p {
            "The " (split(record)) " images of largest loss, as the model saw them."
            @if interpretation.top_losses.iter().any(|image_record| image_record.attention.is_some()) {
                " Beside each, where it saw the class that the image really is of: the brighter, the more (Grad-CAM of the last feature maps)."
            } @else {
                " There is no attention map (Grad-CAM) beside them, because this network's could not be computed"
                @if let Some(reason) = &interpretation.without_attention { ": " (reason) } "."
            }
        }
        (gallery(record, interpretation).markup())
    }
}

fn gallery(record: &RunRecord, interpretation: &Interpretation) -> Gallery {
    let card = |image_record: &TopLossRecord| {
        let image = image_record
            .path
            .clone()
            .unwrap_or_else(|| format!("sample {}", image_record.sample));
        let is_wrong = image_record.actual != image_record.predicted;
        let heading = if is_wrong {
            format!("{}, taken for {}", image_record.actual, image_record.predicted)
        } else {
            format!("{}, recognised", image_record.actual)
        };
        let plain = Interpretation::picture(&record.folder, &image_record.picture).map(|picture| Photo {
            image: picture,
            words: format!("{image}: {heading}"),
        });
        let attention = image_record.attention.as_deref();
        let attention = attention.and_then(|name| Interpretation::picture(&record.folder, name));
        let attention = attention.map(|picture| Photo {
            image: picture,
            words: format!("Where the model saw {} in {image}", image_record.actual),
        });
        GalleryItem {
            photos: plain.into_iter().chain(attention).collect(),
            facts: vec![
                ("predicted".to_owned(), image_record.predicted.clone()),
                ("actual".to_owned(), image_record.actual.clone()),
                ("loss".to_owned(), format!("{:.2}", image_record.loss)),
                (
                    format!("probability of {}", image_record.actual),
                    percent(Some(image_record.probability)),
                ),
                ("image".to_owned(), image),
            ],
            heading,
            is_wrong,
        }
    };
    Gallery {
        cards: interpretation.top_losses.iter().map(card).collect(),
    }
}

fn waiting_words(record: &RunRecord) -> Markup {
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
