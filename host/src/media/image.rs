//! What an uploaded file is, by its content.
//!
//! The name and the type that a client gives are not believed: browsers look at the content too, and what one of them
//! takes for a page runs with the rights of this origin. So only formats are taken that cannot hold a script. SVG and
//! HTML can, and are refused whatever they are called.
//!
//! Deliberately absent: decoding. Width and height stand in the header, so an image that unpacks into gigabytes costs
//! this host nothing; it is refused all the same, for the sake of those who look at it.

use imagesize::{Compression, ImageType};

/// The beginning that is looked at. A JPEG may have a large colour profile before its size.
pub(super) const HEAD_BYTES: usize = 1024 * 1024;

/// The formats that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    Png,
    Jpeg,
    Gif,
    Webp,
    Avif,
}

/// What the header of an image says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: ImageKind,
    pub(super) width: u64,
    pub(super) height: u64,
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// None of the formats.
    Unknown,
    /// One of the formats, without a size where it has to be.
    Damaged(ImageKind),
}

impl ImageKind {
    pub const ALL: [Self; 5] = [Self::Png, Self::Jpeg, Self::Gif, Self::Webp, Self::Avif];

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
        }
    }

    /// The end of the file's name in the storage.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Avif => "avif",
        }
    }

    /// The format that a media type names.
    pub fn of_content_type(name: &str) -> Option<Self> {
        // What some clients call it.
        let name = if name == "image/jpg" { "image/jpeg" } else { name };
        Self::ALL.into_iter().find(|kind| kind.content_type() == name)
    }

    fn of_content(head: &[u8]) -> Option<Self> {
        match imagesize::image_type(head).ok()? {
            // The library compares four bytes; these are the whole signatures.
            ImageType::Png => {
                let whole = head.starts_with(b"\x89PNG\r\n\x1a\n") && head.get(12..16) == Some(b"IHDR");
                whole.then_some(Self::Png)
            }
            ImageType::Gif => {
                (head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a")).then_some(Self::Gif)
            }
            ImageType::Jpeg => Some(Self::Jpeg),
            ImageType::Webp => Some(Self::Webp),
            ImageType::Heif(Compression::Av1) => Some(Self::Avif),
            _ => None,
        }
    }
}

/// Reads the header from the first [`HEAD_BYTES`] of a file, or from all of it.
pub(super) fn header(head: &[u8]) -> Result<Header, HeaderError> {
    let kind = ImageKind::of_content(head).ok_or(HeaderError::Unknown)?;
    let size = imagesize::blob_size(head).map_err(|_| HeaderError::Damaged(kind))?;
    if size.width == 0 || size.height == 0 {
        return Err(HeaderError::Damaged(kind));
    }
    Ok(Header { kind, width: size.width as u64, height: size.height as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png() -> Vec<u8> {
        [
            &b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..],
            &640_u32.to_be_bytes(),
            &480_u32.to_be_bytes(),
            b"\x08\x06\0\0\0",
        ]
        .concat()
    }

    fn jpeg(profile: usize) -> Vec<u8> {
        let mut bytes = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec();
        for _ in 0..profile {
            bytes.extend(b"\xff\xe2\xff\xff");
            bytes.extend([0; 0xfffd]);
        }
        bytes.extend(b"\xff\xc0\0\x11\x08\x01\xe0\x02\x80\x03\x01\x22\0\x02\x11\x01\x03\x11\x01");
        bytes
    }

    fn gif() -> Vec<u8> {
        b"GIF89a\x80\x02\xe0\x01\0\0\0;".to_vec()
    }

    fn webp() -> Vec<u8> {
        b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0".to_vec()
    }

    fn boxed(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32 + 8).to_be_bytes()[..], name, content].concat()
    }

    fn avif(brand: &[u8; 4]) -> Vec<u8> {
        let size = [&[0; 4][..], &640_u32.to_be_bytes(), &480_u32.to_be_bytes()].concat();
        let properties = boxed(b"iprp", &boxed(b"ipco", &boxed(b"ispe", &size)));
        let kind = boxed(b"ftyp", &[&brand[..], &[0; 4], brand, b"mif1"].concat());
        [kind, boxed(b"meta", &[&[0; 4][..], &properties].concat()), boxed(b"mdat", &[0; 64])].concat()
    }

    #[test]
    fn formats_are_known_by_their_content() {
        for (kind, bytes) in [
            (ImageKind::Png, png()),
            (ImageKind::Jpeg, jpeg(0)),
            (ImageKind::Jpeg, jpeg(9)),
            (ImageKind::Gif, gif()),
            (ImageKind::Webp, webp()),
            (ImageKind::Avif, avif(b"avif")),
            (ImageKind::Avif, avif(b"avis")),
        ] {
            assert_eq!(header(&bytes), Ok(Header { kind, width: 640, height: 480 }), "{kind:?}");
            assert_eq!(ImageKind::of_content_type(kind.content_type()), Some(kind));
        }
    }

    #[test]
    fn what_is_not_one_of_them_is_refused() {
        for bytes in [
            &b""[..],
            b"P",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>",
            b"<!doctype html><script>alert(1)</script>",
            b"%PDF-1.7 and so on and so on",
            b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
            b"II*\0\x08\0\0\0\0\0\0\0\0\0\0\0",
            // Four bytes of the right signature, and something else behind them.
            b"GIF8<script>alert(1)</script>",
            b"\x89PNG<script>alert(1)</script>",
            b"RIFF\x16\0\0\0WAVEfmt \x0a\0\0\0",
            &avif(b"heic"),
            &avif(b"isom"),
        ] {
            assert_eq!(header(bytes), Err(HeaderError::Unknown), "{}", String::from_utf8_lossy(bytes));
        }
    }

    /// A header that was cut anywhere is refused, and nothing panics or hangs.
    #[test]
    fn a_cut_header_has_no_size() {
        for (bytes, whole) in [(png(), 24), (jpeg(1), jpeg(1).len() - 10), (gif(), 12), (webp(), 30)] {
            for length in 0..whole {
                assert!(header(&bytes[..length]).is_err(), "{length} of {whole}");
            }
            assert!(header(&bytes[..whole]).is_ok(), "{whole}");
        }
        for length in 0..avif(b"avif").len() - 72 {
            assert!(header(&avif(b"avif")[..length]).is_err(), "{length}");
        }
        let mut flat = png();
        flat[16..20].fill(0);
        assert_eq!(header(&flat), Err(HeaderError::Damaged(ImageKind::Png)));
    }

    #[test]
    fn changed_bytes_never_panic() {
        for bytes in [png(), jpeg(0), gif(), webp(), avif(b"avif")] {
            for at in 0..bytes.len() {
                for value in [0, 1, 0x7f, 0xff] {
                    let mut changed = bytes.clone();
                    changed[at] = value;
                    let _ = header(&changed);
                }
            }
        }
    }
}
