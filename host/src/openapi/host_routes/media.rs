//! `/media`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{problems, reference};
use crate::media::ImageKind;
use crate::openapi::parameters::if_match;

const ID: &str = "med_01KDVDNA00AYC2V77BZXVV1FJZ";

/// What every operation here may answer.
const ALWAYS: [&str; 10] = [
    "invalid_parameter",
    "unknown_parameter",
    "token_expired",
    "token_invalid",
    "token_revoked",
    "not_acceptable",
    "uri_too_long",
    "rate_limited",
    "internal",
    "unavailable",
];
/// What a change may answer besides.
const CHANGES: [&str; 7] = [
    "unauthenticated",
    "forbidden",
    "conflict",
    "idempotency_in_progress",
    "idempotency_key_reused",
    "payload_too_large",
    "request_timeout",
];

pub(super) fn add(
    paths: &mut BTreeMap<String, Map<String, Value>>,
    schemas: &mut BTreeMap<String, Value>,
    tags: &mut BTreeMap<String, String>,
) {
    tags.insert("media".to_owned(), "Images".to_owned());
    schemas.insert("Media".to_owned(), schema());
    paths.entry("/media".to_owned()).or_default().insert("post".to_owned(), create());
    let one = paths.entry("/media/{id}".to_owned()).or_default();
    one.insert("get".to_owned(), content());
    one.insert("delete".to_owned(), delete());
}

fn responses(codes: &[&[&'static str]], own: &[(&str, Value)]) -> Value {
    let mut responses = problems::of_codes(codes.iter().copied().flatten().copied());
    responses.extend(own.iter().map(|(status, response)| ((*status).to_owned(), response.clone())));
    responses.sort_keys();
    Value::Object(responses)
}

fn create() -> Value {
    let codes =
        ["malformed_json", "unsupported_media_type", "validation_failed", "unknown_field", "overloaded"];
    let form = json!({
        "type": "object",
        "required": ["file"],
        "additionalProperties": false,
        "properties": {
            "file": { "type": "string", "format": "binary", "description": "The image." },
            "alt": { "type": "string", "maxLength": 500, "description": "Text for those who cannot see it." }
        }
    });
    let content = json!({
        "multipart/form-data": {
            "schema": form,
            "example": { "file": "(the bytes of the image)", "alt": "An espresso cup, seen from above" }
        }
    });
    let created = json!({
        "description": "The image, and where it is.",
        "headers": {
            "ETag": header("The version of what is shown, and a hash of the representation."),
            "Location": header("Where the new resource is.")
        },
        "content": { "application/json": { "schema": reference("Media"), "example": example() } }
    });
    json!({
        "operationId": "createMedia",
        "summary": "Upload an image",
        "description": "PNG, JPEG, GIF, WebP or AVIF, told by the content and not by the name; a type that is declared \
                        has to be the right one. SVG is refused, because it can hold scripts. The `url` of the answer \
                        goes into the `media` of a product. The bytes of an image alone, with its own content type, \
                        are taken as well, and have no `alt`.\n\nNeeds the permission `products:write`.",
        "tags": ["media"],
        "security": [{ "bearerAuth": [] }],
        "parameters": [idempotency_key()],
        "requestBody": { "required": true, "content": content },
        "responses": responses(&[&ALWAYS, &CHANGES, &codes], &[("201", created)]),
        "x-permissions": ["products:write"]
    })
}

fn content() -> Value {
    let caching = json!({
        "ETag": header("The version of the image, and a hash of its bytes."),
        "Cache-Control": header("Images never change and may be kept for ever.")
    });
    let kinds: Map<String, Value> =
        ImageKind::ALL.iter().map(|kind| (kind.content_type().to_owned(), binary())).collect();
    let mut headers = caching.clone();
    headers["Accept-Ranges"] = header("`bytes`: a part can be asked for with `Range`.");
    let all = json!({ "description": "The bytes of the image.", "headers": headers, "content": kinds });
    let mut headers = caching.clone();
    headers["Content-Range"] = header("Which bytes these are, and how many there are in all.");
    let part =
        json!({ "description": "The bytes that `Range` asks for.", "headers": headers, "content": kinds });
    let unchanged =
        json!({ "description": "The client has this representation already.", "headers": caching });
    json!({
        "operationId": "getMedia",
        "summary": "Show an image",
        "description": "The bytes of an image, for everybody. A range that cannot be had is answered with all of them.",
        "tags": ["media"],
        "security": [{}, { "bearerAuth": [] }],
        "parameters": [id()],
        "responses": responses(&[&ALWAYS, &["not_found"]], &[("200", all), ("206", part), ("304", unchanged)])
    })
}

fn delete() -> Value {
    let gone = json!({
        "description": "As 204, for requests with the content type `text/plain`: the id of what is gone.",
        "content": { "application/json": {
            "schema": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } },
            "example": { "id": ID }
        }}
    });
    let codes =
        ["not_found", "malformed_json", "reference_in_use", "version_conflict", "precondition_required"];
    json!({
        "operationId": "deleteMedia",
        "summary": "Delete an image",
        "description": "Refused with `reference_in_use` while a product shows it: while an address in the `media` of a \
                        product has its id. Caches that were told to keep it for ever may go on showing it.\n\nNeeds \
                        the permission `products:write`.",
        "tags": ["media"],
        "security": [{ "bearerAuth": [] }],
        "parameters": [id(), idempotency_key(), if_match()],
        "responses": responses(
            &[&ALWAYS, &CHANGES, &codes],
            &[("200", gone), ("204", json!({ "description": "The image is gone." }))],
        ),
        "x-permissions": ["products:write"]
    })
}

fn binary() -> Value {
    json!({ "schema": { "type": "string", "format": "binary" }, "example": "(the bytes of the image)" })
}

fn header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

fn id() -> Value {
    json!({
        "name": "id", "in": "path", "required": true, "description": "The id of the image.",
        "schema": { "type": "string" }
    })
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "Repeats of the request with this key get its answer, for 24 hours.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" }
    })
}

fn example() -> Value {
    json!({
        "id": ID, "version": 1,
        "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z",
        "url": format!("https://api.example.com/api/v1/media/{ID}"), "contentType": "image/jpeg",
        "sizeBytes": 184_320, "width": 1600, "height": 1200, "alt": "An espresso cup, seen from above",
        "blake3": "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    })
}

fn schema() -> Value {
    let kinds = ImageKind::ALL.map(ImageKind::content_type);
    let number = |description: &str| json!({ "type": "integer", "minimum": 1, "description": description });
    let time = || json!({ "type": "string", "format": "date-time" });
    json!({
        "type": "object",
        "description": "An image. It never changes.",
        "required": ["id", "version", "createdAt", "updatedAt", "url", "contentType", "sizeBytes", "width", "height",
                     "alt", "blake3"],
        "properties": {
            "id": { "type": "string" },
            "version": number("Stays 1."),
            "createdAt": time(),
            "updatedAt": time(),
            "url": {
                "type": "string",
                "description": "Where everybody can see it: absolute where the address of the API is configured, \
                                otherwise a path on this host."
            },
            "contentType": { "type": "string", "enum": kinds },
            "sizeBytes": number("Size of the file."),
            "width": number("In pixels."),
            "height": number("In pixels."),
            "alt": { "type": "string", "description": "Text for those who cannot see it." },
            "blake3": { "type": "string", "description": "BLAKE3 hash of the file, in hexadecimal." }
        }
    })
}
