//! What the API says when it does not do something.

use serde_json::Value;

use super::{Draft, ImportError, Mistake};

/// An answer that is none of those that were hoped for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) detail: String,
    pub(super) errors: Vec<FieldError>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldError {
    pub(super) pointer: String,
    code: String,
    message: String,
}

impl Refusal {
    pub(super) fn of(status: u16, problem: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let errors = errors.iter().map(|error| FieldError {
            pointer: text(&error["pointer"]),
            code: text(&error["code"]),
            message: text(&error["message"]),
        });
        let detail = problem["detail"].as_str().or(problem["title"].as_str()).unwrap_or("no reason given");
        Self { status, code: text(&problem["code"]), detail: detail.to_owned(), errors: errors.collect() }
    }

    /// Whether the same request may well succeed in a moment.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.status, 429 | 503)
    }

    /// Whether a smaller request, or another try, could do better.
    pub(super) fn is_trouble(&self) -> bool {
        self.status >= 500 || self.status == 429
    }

    /// As mistakes of what was to be written. Pointers start below `prefix`.
    pub(super) fn mistakes(&self, draft: &Draft, prefix: &str) -> Vec<Mistake> {
        if self.errors.is_empty() {
            return vec![draft.mistake("", &self.code, &self.detail)];
        }
        let mistake = |error: &FieldError| {
            let pointer = error.pointer.strip_prefix(prefix).unwrap_or(&error.pointer);
            draft.mistake(pointer, &error.code, &error.message)
        };
        self.errors.iter().map(mistake).collect()
    }

    pub(super) fn ends(self, what: &str) -> ImportError {
        ImportError::Refused { what: what.to_owned(), status: self.status, code: self.code }
    }
}

impl Draft {
    /// What is wrong at a place of the request, with the row and the column that it came from.
    pub(super) fn mistake(&self, pointer: &str, code: &str, message: &str) -> Mistake {
        let (place, column) = match &self.sheet {
            Some(sheet) => sheet.locate(pointer),
            None => (None, None),
        };
        let place = place.unwrap_or(self.place);
        Mistake::new(place, Some(&self.slug), code, message).at(pointer, column.as_deref())
    }
}

/// A part of a path or a query, with everything escaped that could mean something there.
pub(super) fn escaped(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Whether this can be a slug at all. What cannot is in no shop, and need not be looked up.
pub(super) fn is_slug(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= 100 && text.bytes().all(plain)
}
