//! The contract, from its compiled form with its comments.

use std::{collections::HashMap, fmt::Write as _};

use equibatch_proto::v1::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

use super::inline;

const PACKAGE: &str = "equibatch.v1";
// Field numbers in descriptors, which source locations consist of.
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const SERVICES: i32 = 6;
const FIELDS: i32 = 2;
const NESTED: i32 = 3;
const NESTED_ENUMS: i32 = 4;

/// Services, messages and enumerations.
pub(super) fn contract(page: &mut String) {
    let files =
        FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("the descriptors are compiled with the crate");
    let file = files
        .file
        .iter()
        .find(|file| file.package() == PACKAGE)
        .expect("the contract is among them");
    let comments = Comments::new(file);
    let _never_fails = writeln!(
        page,
        "## The contract\n\nPackage `{PACKAGE}`, in [`{0}`](../proto/{0}). A field that is absent has the default that its text names.\n",
        file.name()
    );
    for (index, service) in (0..).zip(&file.service) {
        let place = vec![SERVICES, index];
        let _never_fails = writeln!(page, "### {}\n\n{}\n", service.name(), comments.at(&place));
        *page += "| call | takes | gives | what |\n|---|---|---|---|\n";
        for (number, method) in (0..).zip(&service.method) {
            let stream = if method.server_streaming() {
                "stream of "
            } else {
                ""
            };
            let _never_fails = writeln!(
                page,
                "| `{}` | {} | {stream}{} | {} |",
                method.name(),
                reference(method.input_type()),
                reference(method.output_type()),
                comments.at(&[SERVICES, index, FIELDS, number])
            );
        }
        page.push('\n');
    }
    for (index, message) in (0..).zip(&file.message_type) {
        write_message(page, &comments, (message, ""), &[MESSAGES, index]);
    }
    for (index, values) in (0..).zip(&file.enum_type) {
        write_enum(page, &comments, (values, ""), &[ENUMS, index]);
    }
    // One line feed at the end.
    page.truncate(page.trim_end().len());
    page.push('\n');
}

fn write_message(
    page: &mut String,
    comments: &Comments,
    (message, outer): (&DescriptorProto, &str),
    place: &[i32],
) {
    let name = format!("{outer}{}", message.name());
    let text = comments.at(place);
    let _never_fails = writeln!(page, "### {name}\n");
    if !text.is_empty() {
        let _never_fails = writeln!(page, "{text}\n");
    }
    if message.field.is_empty() {
        *page += "No fields.\n\n";
    } else {
        *page += "| field | number | type | meaning |\n|---|---|---|---|\n";
        for (index, field) in (0..).zip(&message.field) {
            let mut meaning = comments.at(&[place, &[FIELDS, index]].concat());
            let is_choice = field.oneof_index.is_some() && !field.proto3_optional();
            if is_choice {
                let of = &message.oneof_decl[field.oneof_index() as usize];
                let _never_fails = write!(meaning, " One of `{}`.", of.name());
            }
            let _never_fails = writeln!(
                page,
                "| `{}` | {} | {} | {} |",
                field.name(),
                field.number(),
                spelled(field, message),
                meaning.trim()
            );
        }
        page.push('\n');
    }
    let outer = format!("{name}.");
    for (index, nested) in (0..).zip(&message.nested_type) {
        if !nested.options.as_ref().is_some_and(|options| options.map_entry()) {
            write_message(
                page,
                comments,
                (nested, &outer),
                &[place, &[NESTED, index]].concat(),
            );
        }
    }
    for (index, values) in (0..).zip(&message.enum_type) {
        write_enum(
            page,
            comments,
            (values, &outer),
            &[place, &[NESTED_ENUMS, index]].concat(),
        );
    }
}

fn write_enum(
    page: &mut String,
    comments: &Comments,
    (values, outer): (&EnumDescriptorProto, &str),
    place: &[i32],
) {
    let _never_fails = writeln!(page, "### {outer}{}\n", values.name());
    let text = comments.at(place);
    if !text.is_empty() {
        let _never_fails = writeln!(page, "{text}\n");
    }
    *page += "| value | number | meaning |\n|---|---|---|\n";
    for (index, value) in (0..).zip(&values.value) {
        let meaning = comments.at(&[place, &[FIELDS, index]].concat());
        let _never_fails = writeln!(page, "| `{}` | {} | {meaning} |", value.name(), value.number());
    }
    page.push('\n');
}

/// The type of a field as written in the contract, with a link if it is defined there.
fn spelled(field: &FieldDescriptorProto, message: &DescriptorProto) -> String {
    if let Some(entry) = map_entry(field, message) {
        return format!("map of {} to {}", named(&entry.field[0]), named(&entry.field[1]));
    }
    let name = named(field);
    match field.label() {
        Label::Repeated => format!("repeated {name}"),
        _ if field.proto3_optional() => format!("optional {name}"),
        _ => name,
    }
}

fn map_entry<'a>(field: &FieldDescriptorProto, message: &'a DescriptorProto) -> Option<&'a DescriptorProto> {
    let is_map =
        |nested: &DescriptorProto| nested.options.as_ref().is_some_and(|options| options.map_entry());
    let last = field.type_name().rsplit('.').next()?;
    message
        .nested_type
        .iter()
        .find(|nested| is_map(nested) && nested.name() == last)
}

fn named(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum => reference(field.type_name()),
        plain => format!("{plain:?}").to_lowercase(),
    }
}

/// `[Name](#name)`.
fn reference(full: &str) -> String {
    let name = full
        .trim_start_matches('.')
        .trim_start_matches(PACKAGE)
        .trim_start_matches('.');
    format!("[{name}](#{})", name.to_lowercase().replace('.', ""))
}

/// Comments by the location that they precede.
struct Comments(HashMap<Vec<i32>, String>);

impl Comments {
    fn new(file: &FileDescriptorProto) -> Self {
        let locations = file
            .source_code_info
            .as_ref()
            .map_or(&[][..], |info| &info.location);
        let comment = |location: &prost_types::source_code_info::Location| {
            (location.path.clone(), inline(location.leading_comments()))
        };
        Self(locations.iter().map(comment).collect())
    }

    fn at(&self, place: &[i32]) -> String {
        self.0.get(place).cloned().unwrap_or_default()
    }
}
