//! What operations on media take and show, for the document.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::{
    IntoResponses, ToSchema,
    openapi::{
        Content, ContentBuilder, HeaderBuilder, KnownFormat, Object, ObjectBuilder, RefOr, Response,
        ResponseBuilder, SchemaFormat, Type,
    },
};

use crate::media::ImageKind;

const ID: &str = "med_01KDVDNA00AYC2V77BZXVV1FJZ";
const BYTES: &str = "(the bytes of the image)";

/// An image. It never changes.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only described: what is shown is the stored document")]
pub(crate) struct Media {
    id: String,
    /// Stays 1.
    #[schema(minimum = 1)]
    version: u64,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    /// Where everybody can see it: absolute where the address of the API is configured, otherwise a path on this host.
    url: String,
    #[schema(schema_with = content_type)]
    content_type: String,
    /// Size of the file.
    #[schema(minimum = 1)]
    size_bytes: u64,
    /// In pixels.
    #[schema(minimum = 1)]
    width: u64,
    /// In pixels.
    #[schema(minimum = 1)]
    height: u64,
    /// Text for those who cannot see it.
    alt: String,
    /// BLAKE3 hash of the file, in hexadecimal.
    blake3: String,
}

impl Media {
    pub(super) fn example() -> Value {
        json!({
            "id": ID, "version": 1,
            "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z",
            "url": format!("https://api.example.com/api/v1/media/{ID}"), "contentType": "image/jpeg",
            "sizeBytes": 184_320, "width": 1600, "height": 1200, "alt": "An espresso cup, seen from above",
            "blake3": "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        })
    }
}

fn content_type() -> Object {
    let kinds = ImageKind::ALL.map(ImageKind::content_type);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(kinds)).build()
}

/// The form of an upload.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only described: a form is taken piece by piece")]
pub(crate) struct MediaForm {
    /// The image.
    #[schema(format = Binary)]
    file: String,
    /// Text for those who cannot see it.
    #[schema(max_length = 500, required = false)]
    alt: String,
}

impl MediaForm {
    pub(super) fn example() -> Value {
        json!({ "file": BYTES, "alt": "An espresso cup, seen from above" })
    }
}

/// What tells that an image is gone where 204 is not understood.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: the dialect answers it")]
pub(crate) struct GoneMedia {
    id: String,
}

impl GoneMedia {
    pub(super) fn example() -> Value {
        json!({ "id": ID })
    }
}

/// The answers with the bytes of an image.
pub(super) struct ImageBytes;

impl IntoResponses for ImageBytes {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let text = |about: &str| {
            HeaderBuilder::new()
                .schema(Some(Object::with_type(Type::String)))
                .description(Some(about))
                .build()
        };
        let caching = |about: &str| {
            ResponseBuilder::new()
                .description(about)
                .header("ETag", text("The version of the image, and a hash of its bytes."))
                .header("Cache-Control", text("Images never change and may be kept for ever."))
        };
        let bytes = |response: ResponseBuilder| {
            ImageKind::ALL
                .iter()
                .fold(response, |response, kind| response.content(kind.content_type(), bytes()))
        };
        let all = bytes(caching("The bytes of the image."))
            .header("Accept-Ranges", text("`bytes`: a part can be asked for with `Range`."));
        let part = bytes(caching("The bytes that `Range` asks for."))
            .header("Content-Range", text("Which bytes these are, and how many there are in all."));
        let unchanged = caching("The client has this representation already.");
        [("200", all), ("206", part), ("304", unchanged)]
            .map(|(status, response)| (status.to_owned(), RefOr::T(response.build())))
            .into()
    }
}

fn bytes() -> Content {
    let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
    let schema = ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build();
    ContentBuilder::new().schema(Some(schema)).example(Some(json!(BYTES))).build()
}
