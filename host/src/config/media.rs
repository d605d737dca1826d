//! `[media]`: what an uploaded image may be. Where images are kept is `store.bucket` and `store.data_dir`.

use serde::{Deserialize, Serialize};

use super::{Wrong, ensure};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaConfig {
    /// Largest image, in bytes. It is written to the storage as it comes, so `server.max_body_bytes` does not count here.
    pub max_bytes: u64,
    /// Largest width and largest height, in pixels.
    pub max_side: u32,
    /// Most pixels in all. The host decodes no image, but everybody who looks at it does.
    pub max_pixels: u64,
    /// Most uploads at once. Each holds up to 2 MiB of memory; further ones are refused with 503.
    pub max_uploads: u32,
    /// Longest time for one upload, in milliseconds.
    pub upload_timeout_ms: u64,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            max_bytes: 16 * 1024 * 1024,
            max_side: 16_384,
            max_pixels: 100_000_000,
            max_uploads: 16,
            upload_timeout_ms: 120_000,
        }
    }
}

/// Half of the time after which a file without a document is taken away: an upload always ends before.
const UPLOAD_TIMEOUT_MAX_MS: u64 = 30 * 60 * 1000;

impl MediaConfig {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        ensure(self.max_bytes >= 1024, "media.max_bytes", "bytes, from 1024")?;
        ensure(self.max_side > 0, "media.max_side", "pixels, from 1")?;
        ensure(self.max_pixels > 0, "media.max_pixels", "pixels, from 1")?;
        ensure(self.max_uploads > 0, "media.max_uploads", "a number from 1")?;
        ensure(
            (1..=UPLOAD_TIMEOUT_MAX_MS).contains(&self.upload_timeout_ms),
            "media.upload_timeout_ms",
            "milliseconds, from 1 to 1800000",
        )
    }
}
