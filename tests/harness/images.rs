//! Images as tests need them: a header that says what they are, and bytes.

use crate::client::Draft;

/// A PNG of this size in pixels, filled up to this many bytes.
pub fn png(width: u32, height: u32, bytes: usize) -> Vec<u8> {
    let header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    let mut image =
        [&header[..], &width.to_be_bytes(), &height.to_be_bytes(), b"\x08\x06\0\0\0\0\0\0\0"].concat();
    // Not all alike, so that a part that is lost or comes twice is noticed.
    let filler = (image.len()..bytes).map(|at| (at % 251) as u8);
    image.extend(filler);
    image
}

/// A GIF of 3 × 2 pixels.
pub fn gif() -> Vec<u8> {
    b"GIF89a\x03\0\x02\0\0\0\0;".to_vec()
}

/// A part of a form: its name, its content type and its content.
pub type Part<'p> = (&'p str, Option<&'p str>, &'p [u8]);

pub const BOUNDARY: &str = "a-boundary-of-tests";

/// The body of a form.
pub fn form(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content_type, content) in parts {
        let file = if content_type.is_some() { "; filename=\"a file\"" } else { "" };
        body.extend(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n").bytes(),
        );
        if let Some(content_type) = content_type {
            body.extend(format!("Content-Type: {content_type}\r\n").bytes());
        }
        body.extend(b"\r\n");
        body.extend_from_slice(content);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body
}

impl Draft {
    pub fn form(self, parts: &[Part<'_>]) -> Self {
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        self.header("content-type", &content_type).text(form(parts))
    }
}
