//! Compiled code on disk, keyed by content and authenticated.
//!
//! Loading compiled code trusts its bytes as native code, so a file counts only if a keyed hash over everything in it
//! matches; the key is made at first start and readable by the host's user alone. Any mismatch means compiling again,
//! never an error.

use std::{
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

const MAGIC: &[u8; 8] = b"WARESAOT";
const TAG_BYTES: usize = 32;

/// The cache directory with its key.
pub struct AotCache {
    dir: PathBuf,
    key: [u8; 32],
}

impl AotCache {
    /// Opens the cache, making the directory (0700) and the key (0600) when they do not exist.
    pub fn open(dir: &Path) -> std::io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let path = dir.join("key");
        let key = match std::fs::read(&path) {
            Ok(bytes) if bytes.len() == 32 => bytes,
            _ => {
                let mut key = [0; 32];
                getrandom::fill(&mut key).map_err(std::io::Error::other)?;
                write_atomically(dir, "key", &key)?;
                key.to_vec()
            }
        };
        let key = key.try_into().map_err(|_| std::io::Error::other("the cache key has the wrong size"))?;
        Ok(Self { dir: dir.to_owned(), key })
    }

    /// The compiled code for a component, if a file has it and is untouched.
    pub fn load(&self, digest: &str, compatibility: &[u8; 32]) -> Option<Vec<u8>> {
        let bytes = std::fs::read(self.path(digest)).ok()?;
        let rest = bytes.strip_prefix(MAGIC)?;
        let (tag, code) = rest.split_at_checked(TAG_BYTES)?;
        let expected = self.tag(digest, compatibility, code);
        // blake3 compares hashes in constant time.
        (blake3::Hash::from_slice(tag).ok()? == expected).then(|| code.to_vec())
    }

    /// Keeps compiled code. Failing to is no error: the next start compiles again.
    pub fn store(&self, digest: &str, compatibility: &[u8; 32], code: &[u8]) {
        let tag = self.tag(digest, compatibility, code);
        let bytes = [MAGIC.as_slice(), tag.as_bytes(), code].concat();
        if let Err(error) = write_atomically(&self.dir, &file_name(digest), &bytes) {
            tracing::warn!(cause = %error, "Compiled plugin code was not cached");
        }
    }

    fn tag(&self, digest: &str, compatibility: &[u8; 32], code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(compatibility).update(digest.as_bytes()).update(code);
        hasher.finalize()
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(file_name(digest))
    }
}

fn file_name(digest: &str) -> String {
    format!("{digest}.aot")
}

fn write_atomically(dir: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = dir.join(format!(".{name}.{}", std::process::id()));
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, dir.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, AotCache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = AotCache::open(dir.path()).unwrap();
        (dir, cache)
    }

    #[test]
    fn what_was_stored_is_loaded_for_the_same_engine_only() {
        let (dir, cache) = cache();
        cache.store("d1", &[1; 32], b"code");
        assert_eq!(cache.load("d1", &[1; 32]).as_deref(), Some(b"code".as_slice()));
        assert_eq!(cache.load("d1", &[2; 32]), None);
        assert_eq!(
            AotCache::open(dir.path()).unwrap().load("d1", &[1; 32]).as_deref(),
            Some(b"code".as_slice())
        );
    }

    #[test]
    fn a_changed_file_or_a_foreign_key_is_rejected() {
        let (dir, cache) = cache();
        cache.store("d1", &[1; 32], b"code");
        let path = dir.path().join("d1.aot");
        let original = std::fs::read(&path).unwrap();
        for position in 0..original.len() {
            let mut changed = original.clone();
            changed[position] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            assert_eq!(cache.load("d1", &[1; 32]), None, "byte {position}");
        }
        std::fs::write(&path, &original[..10]).unwrap();
        assert_eq!(cache.load("d1", &[1; 32]), None);
        std::fs::write(&path, &original).unwrap();
        std::fs::write(dir.path().join("key"), [7; 32]).unwrap();
        assert_eq!(AotCache::open(dir.path()).unwrap().load("d1", &[1; 32]), None);
    }
}
