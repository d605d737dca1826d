//! Ids for documents that are named by something else, such as a SKU.

/// The characters of ids: Crockford's base 32.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The id of the document that belongs to `key`: the prefix, an underscore and 26 characters, always the same for the
/// same key, and different for different ones.
///
/// So a document can be read and changed by its natural name without being looked for, also by another plugin, and two
/// first writers meet on one id.
pub fn natural_id(prefix: &str, key: &str) -> String {
    let hash = blake3::hash(key.as_bytes());
    let mut id = format!("{prefix}_");
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut bytes = hash.as_bytes().iter();
    for _ in 0..26 {
        if held < 5 {
            bits = (bits << 8) | u32::from(bytes.next().copied().unwrap_or_default());
            held += 8;
        }
        held -= 5;
        id.push(char::from(ALPHABET[(bits >> held) as usize & 31]));
    }
    id
}

/// Who somebody without an account is by what they know, such as a cart's token, or an order's number and the address it
/// was made with: the owner of what is theirs. The host says so for requests with that knowledge.
pub fn guest_of(knowledge: &[&str]) -> String {
    // Letter case is not knowledge.
    let knowledge: Vec<String> = knowledge.iter().map(|text| text.trim().to_lowercase()).collect();
    natural_id("gst", &knowledge.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_key_has_one_id_and_its_own() {
        // Stored documents are found by it, so it never changes.
        assert_eq!(natural_id("inv", ""), "inv_NW9MKEFNZ6GTD8209QN3DQ6996");
        let keys = (0..10_000).map(|number| format!("SKU {number}"));
        let ids: BTreeSet<String> = keys.map(|key| natural_id("inv", &key)).collect();
        assert_eq!(ids.len(), 10_000);
        let fine = |id: &String| id.len() == 30 && id.is_ascii();
        assert!(ids.iter().all(fine));
    }
}
