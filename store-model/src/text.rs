//! Full text: how texts become tokens, and how a match is ranked.
//!
//! Texts are decomposed (NFKD), stripped of combining marks, lower-cased and split into Unicode words, so
//! that `Crème BRÛLÉE` is found by `creme bru`. A document keeps for each token the greatest weight of the
//! fields in which it occurs. Deliberately absent: stemming, stop words and language detection, which no
//! two databases do alike.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use unicode_segmentation::UnicodeSegmentation;

use crate::{path, schema::CollectionSchema};

/// Most distinct tokens kept of one document; later ones are not searchable.
pub const DOCUMENT_TOKENS: usize = 1000;
/// Longest token in characters; longer words are cut, in documents and in queries.
pub const TOKEN_CHARS: usize = 40;
/// Most words of a query.
pub const QUERY_WORDS: usize = 16;
/// How often a whole word counts against one that only starts with what was typed, so that `tea` finds teapots, but
/// tea first.
pub const WHOLE_WORD: i64 = 2;

/// The words of a text, folded, in order of occurrence.
pub fn words(text: &str) -> Vec<String> {
    let folded: String = text
        .nfkd()
        .filter(|character| !is_combining_mark(*character))
        .flat_map(char::to_lowercase)
        // Lower-casing character by character leaves a capital sigma as σ wherever it stands.
        .map(|character| if character == 'ς' { 'σ' } else { character })
        .filter(|character| *character != '\0' && !is_combining_mark(*character))
        .collect();
    folded.unicode_words().map(|word| word.chars().take(TOKEN_CHARS).collect()).collect()
}

/// The tokens of a document and their weights. Text fields are taken in the order of their declaration.
pub fn document_tokens(schema: &CollectionSchema, document: &Map<String, Value>) -> BTreeMap<String, u32> {
    let mut tokens = BTreeMap::new();
    for field in &schema.text {
        for leaf in path::walk(document, &field.path).leaves {
            let Value::String(text) = leaf else { continue };
            for word in words(text) {
                let full = tokens.len() >= DOCUMENT_TOKENS;
                match tokens.get_mut(&word) {
                    Some(weight) => *weight = field.weight.max(*weight),
                    None if full => {}
                    None => {
                        tokens.insert(word, field.weight);
                    }
                }
            }
        }
    }
    tokens
}

/// A parsed search: every exact word must occur, and a token that starts with the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextQuery {
    /// Without repetitions.
    pub exact: Vec<String>,
    /// The last word. `None` when the text has no words: then every document matches with rank 0.
    pub prefix: Option<String>,
}

impl TextQuery {
    pub fn parse(text: &str) -> Self {
        let mut words = words(text);
        let prefix = words.pop();
        let mut exact: Vec<String> = Vec::new();
        for word in words {
            if !exact.contains(&word) {
                exact.push(word);
            }
        }
        Self { exact, prefix }
    }

    /// How many conditions the query has.
    pub fn len(&self) -> usize {
        self.exact.len() + usize::from(self.prefix.is_some())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rank of a document with these tokens: the sum over the words of the best weight that matches, a whole word
    /// counting [`WHOLE_WORD`] times. `None` when a word does not occur.
    pub fn rank(&self, tokens: &BTreeMap<String, u32>) -> Option<i64> {
        let mut rank = 0;
        for word in &self.exact {
            rank += i64::from(*tokens.get(word)?) * WHOLE_WORD;
        }
        if let Some(prefix) = &self.prefix {
            let best = tokens
                .range(prefix.clone()..)
                .take_while(|(token, _)| token.starts_with(prefix.as_str()))
                .map(|(token, weight)| i64::from(*weight) * if token == prefix { WHOLE_WORD } else { 1 })
                .max()?;
            rank += best;
        }
        Some(rank)
    }
}

/// The least text that is greater than every text with this prefix; `None` when there is none.
///
/// UTF-8 bytes order like code points, so `prefix <= text < successor` is the same as "starts with", and
/// any ordered index can serve it.
pub fn prefix_successor(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        // Ranges of `char` step over the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::TextField;

    #[test]
    fn words_are_folded() {
        assert_eq!(words("Crème BRÛLÉE, 2-pack"), ["creme", "brulee", "2", "pack"]);
        assert_eq!(words("ﬁne İstanbul ΟΔΟΣ ος"), ["fine", "istanbul", "οδοσ", "οσ"]);
        assert_eq!(words(" -- "), Vec::<String>::new());
        assert_eq!(words(&"x".repeat(100))[0].len(), TOKEN_CHARS);
    }

    #[test]
    fn a_token_has_the_greatest_weight_of_its_fields() {
        let mut schema = CollectionSchema::new("products", "prod");
        schema.text = vec![
            TextField { path: "name.en".to_owned(), weight: 10 },
            TextField { path: "tags".to_owned(), weight: 3 },
        ];
        let document = json!({"name": {"en": "Red Shoe"}, "tags": ["red", "Leather", 5]});
        let tokens = document_tokens(&schema, document.as_object().unwrap());
        assert_eq!(tokens.get("red"), Some(&10));
        assert_eq!(tokens.get("leather"), Some(&3));
        assert_eq!(tokens.len(), 3);
        assert_eq!(TextQuery::parse("red sh").rank(&tokens), Some(30));
        assert_eq!(TextQuery::parse("red shoe").rank(&tokens), Some(40));
        assert_eq!(TextQuery::parse("sh red").rank(&tokens), None);
        assert_eq!(TextQuery::parse("red red").rank(&tokens), Some(40));
        assert_eq!(TextQuery::parse("").rank(&tokens), Some(0));
    }

    #[test]
    fn the_successor_bounds_a_prefix() {
        assert_eq!(prefix_successor("ab").as_deref(), Some("ac"));
        assert_eq!(prefix_successor("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(prefix_successor("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(prefix_successor(""), None);
        assert_eq!(prefix_successor("\u{10ffff}"), None);
    }
}
