//! Recipes in requests and in `server recipe`.

use std::collections::BTreeMap;

use equibatch_harness::{
    images::{ImageFolder, pictures},
    process,
    receive::{Received, floats, receive, small},
};
use equibatch_proto::v1::{
    Augment, ElementType, Layout, Recipe, Shard, StreamBatchesRequest, StreamDescription,
};
use equibatch_server_tests::memory::{MemoryServer, config, engine};
use tonic::Code;

fn server(images: &ImageFolder) -> MemoryServer {
    MemoryServer::start(engine(images.root(), config(2, 1 << 26)))
}

fn with(recipe: Recipe) -> StreamBatchesRequest {
    StreamBatchesRequest {
        recipe: Some(recipe),
        ..small("train", 1)
    }
}

fn text(text: &str) -> Recipe {
    Recipe {
        text: text.to_owned(),
        ..Recipe::default()
    }
}

/// Recipes as earlier clients send them, and as text.
#[allow(deprecated, reason = "the fields are read for one release more")]
fn by_numbers() -> [(Recipe, &'static str); 3] {
    let affine = Recipe {
        flip: true,
        max_rotate: 10.0,
        max_zoom: 1.1,
        max_warp: 0.2,
        p_affine: 0.75,
        ..Recipe::default()
    };
    let all = Recipe {
        max_lighting: 0.2,
        p_lighting: 0.75,
        random_crop: true,
        ..affine.clone()
    };
    let crop = Recipe {
        random_crop: true,
        ..Recipe::default()
    };
    [
        (affine, "flip rotate(10) zoom(1.1) warp(0.2) p_affine=0.75"),
        (
            all,
            "flip rotate(10) zoom(1.1) warp(0.2) lighting(0.2) crop p_affine=0.75 p_lighting=0.75",
        ),
        (crop, "crop"),
    ]
}

#[tokio::test]
async fn deprecated_number_fields_give_the_stream_of_the_text() {
    let images = pictures();
    let server = server(&images);
    let mut client = server.client().await;
    for (numbers, words) in by_numbers() {
        let old = receive(&mut client, with(numbers)).await.unwrap();
        let new = receive(&mut client, with(text(words))).await.unwrap();
        assert_eq!(old.digests(), new.digests(), "{words}");
        assert_eq!(old.description.spec_hash, new.description.spec_hash, "{words}");
        assert_eq!(old.description.recipe, Some(text(&old.description.recipe_text)));
    }
}

#[tokio::test]
async fn the_recipe_of_a_description_requests_the_same_stream() {
    let images = pictures();
    let server = server(&images);
    let mut client = server.client().await;
    let default = receive(&mut client, small("train", 1)).await.unwrap();
    let named = receive(&mut client, with(text("fastai"))).await.unwrap();
    assert_eq!(named.digests(), default.digests());
    // Stream ids differ.
    let unnamed = |description: &StreamDescription| StreamDescription {
        stream_id: Vec::new().into(),
        ..description.clone()
    };
    assert_eq!(unnamed(&named.description), unnamed(&default.description));
    let other = receive(&mut client, with(text("flip(0.9) rotate(170)")))
        .await
        .unwrap();
    assert_ne!(other.digests(), default.digests());
    // A recipe in a stream description requests the same stream.
    for received in [default, other] {
        let Received { description, .. } = &received;
        for described in [
            description.recipe.clone().unwrap(),
            text(&description.recipe_text),
        ] {
            let again = receive(&mut client, with(described)).await.unwrap();
            assert_eq!(again.digests(), received.digests());
            assert_eq!(again.description.spec_hash, description.spec_hash);
        }
    }
}

#[tokio::test]
async fn augment_repeats_augments_only_repetitions() {
    let images = pictures();
    let server = server(&images);
    let mut client = server.client().await;
    let plain = receive(&mut client, with(text("none"))).await.unwrap();
    let full = receive(&mut client, with(text("fastai"))).await.unwrap();
    let by_text = receive(&mut client, with(text("fastai augment=repeats")))
        .await
        .unwrap();
    let by_field = receive(
        &mut client,
        with(Recipe {
            augment: Augment::Repeats.into(),
            ..text("fastai")
        }),
    )
    .await
    .unwrap();
    assert_eq!(by_field.digests(), by_text.digests());
    let image = plain.batches[0].tensor.len() / 6;
    let mut first: BTreeMap<u32, usize> = BTreeMap::new();
    let (mut shown_plain, mut repeated) = (vec![], 0);
    for (step, batch) in by_text.batches.iter().enumerate() {
        for (slot, sample) in batch.sample_ids.iter().enumerate() {
            let of = |received: &Received| {
                received.batches[step]
                    .tensor
                    .slice(slot * image..(slot + 1) * image)
            };
            first.entry(*sample).or_insert(step);
            if of(&by_text) == of(&plain) {
                shown_plain.push((*sample, step));
            } else {
                assert_eq!(of(&by_text), of(&full), "step {step}, slot {slot}");
                repeated += 1;
            }
        }
    }
    shown_plain.sort_unstable();
    assert_eq!(shown_plain, first.into_iter().collect::<Vec<_>>());
    assert!(repeated > 8, "{repeated} repetitions");
}

#[tokio::test]
async fn invalid_recipes_are_rejected_with_the_field_and_the_accepted_values() {
    let images = pictures();
    let server = server(&images);
    let mut client = server.client().await;
    for (recipe, words) in [
        (text("rotate(200)"), &["rotate(degrees)", "200", "180"][..]),
        (text("spin"), &["spin", "rotate"]),
        (text("zoom(1.2,min=1.3)"), &["zoom", "1.3"]),
        (
            Recipe {
                text: "flip".to_owned(),
                ..by_numbers()[0].0.clone()
            },
            &["recipe.text", "number fields"],
        ),
        (
            Recipe {
                augment: 9,
                ..Recipe::default()
            },
            &["recipe.augment", "9"],
        ),
    ] {
        let status = receive(&mut client, with(recipe)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        for word in words {
            assert!(status.message().contains(word), "{}", status.message());
        }
    }
}

#[test]
fn the_recipe_command_prints_recipes_and_parts() {
    let output = process::server(&["recipe", "light rotate(15)"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && printed.contains("rotate(degrees=15,p=0.75)"),
        "{printed}"
    );
    let again = process::server(&["recipe", printed.trim()]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), printed);
    let everything = String::from_utf8(process::server(&["recipe"]).stdout).unwrap();
    assert!(
        everything.contains("fastai")
            && everything.contains("p_lighting")
            && everything.contains("from=balance, balance or natural"),
        "{everything}"
    );
    let refused = process::server(&["recipe", "rotate(200)"]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("0..=180"));
}

/// Recipes with all pixel operations and all kinds of geometry.
const EXTENDED: [&str; 6] = [
    "inception",
    "randaugment(3,20)",
    "fastai trivialaugment erase(holes=3)",
    "symmetric flip_vertical grayscale(0.5)",
    "light jitter(hue=0.2) blur",
    "zoom(1.5,min=0.5,p=1) crop(0.2,0.4,0.6,0.7) contrast(0.3)",
];

#[tokio::test]
async fn all_element_types_and_layouts_have_the_same_pixels() {
    let images = pictures();
    let server = server(&images);
    let mut client = server.client().await;
    for recipe in EXTENDED {
        let form = |element_type: ElementType, layout: Layout| StreamBatchesRequest {
            element_type: element_type.into(),
            layout: layout.into(),
            ..with(text(recipe))
        };
        let single = receive(&mut client, form(ElementType::F32, Layout::Nchw))
            .await
            .unwrap();
        let half = receive(&mut client, form(ElementType::F16, Layout::Nchw))
            .await
            .unwrap();
        let planes = receive(&mut client, form(ElementType::U8, Layout::Nchw))
            .await
            .unwrap();
        let pixels = receive(&mut client, form(ElementType::U8, Layout::Nhwc))
            .await
            .unwrap();
        let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let plane = 32 * 32;
        for (step, batch) in single.batches.iter().enumerate() {
            for (at, value) in floats(batch).into_iter().enumerate() {
                let (image, channel, pixel) = (at / (3 * plane), at / plane % 3, at % plane);
                let byte = planes.batches[step].tensor[at];
                let shown = f64::from(value) * std[channel] + mean[channel];
                assert!(
                    (shown * 255.0 - f64::from(byte)).abs() <= 0.5001,
                    "{recipe}: {shown} and {byte}"
                );
                assert_eq!(
                    pixels.batches[step].tensor[(image * plane + pixel) * 3 + channel],
                    byte
                );
                let bytes = &half.batches[step].tensor[2 * at..2 * at + 2];
                let in_half = half::f16::from_le_bytes([bytes[0], bytes[1]]);
                assert_eq!(in_half, half::f16::from_f32(value), "{recipe}");
            }
        }
    }
}

#[tokio::test]
async fn extended_recipes_depend_only_on_the_request() {
    let images = pictures();
    for recipe in EXTENDED {
        let whole = receive(&mut server(&images).client().await, with(text(recipe)))
            .await
            .unwrap();
        let other = MemoryServer::start(engine(images.root(), config(1, 0)));
        let mut request = with(text(recipe));
        request.start = whole.batches[1].next.clone();
        request.shard = Some(Shard { world: 2, rank: 1 });
        let part = receive(&mut other.client().await, request).await.unwrap();
        let image = whole.batches[0].tensor.len() / 6;
        for (whole, part) in whole.batches[2..].iter().zip(&part.batches) {
            let expected: Vec<&[u8]> = [1, 3, 5]
                .map(|slot| &whole.tensor[slot * image..(slot + 1) * image])
                .to_vec();
            assert_eq!(part.tensor, expected.concat(), "{recipe}");
        }
    }
}
