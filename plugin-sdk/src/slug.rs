//! Slugs: the names of resources in addresses, such as `blue-shirt`.

use serde::Deserialize;
use store_model::{Filter, Query, Scalar};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::{Context, StoreError};

/// What a slug looks like, for JSON Schemas.
pub const PATTERN: &str = "^[a-z0-9]+(-[a-z0-9]+)*$";

/// Most characters of a slug.
pub const LENGTH_MAX: usize = 100;

/// Derived slugs are shorter, so that a number or a suffix still fits.
const DERIVED_MAX: usize = 80;

/// A slug made from a name: folded to ASCII, lower case, words joined by `-`. `None` when nothing is left.
pub fn derive(name: &str) -> Option<String> {
    let mut slug = String::new();
    for letter in name.nfkd().filter(|&letter| !is_combining_mark(letter)).flat_map(char::to_lowercase) {
        match letter {
            'a'..='z' | '0'..='9' => slug.push(letter),
            // Joins what it stands between: "men's" becomes "mens".
            '\'' | '’' => {}
            _ => match transliterated(letter) {
                Some(letters) => slug.push_str(letters),
                None if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
                None => {}
            },
        }
    }
    slug.truncate(DERIVED_MAX);
    slug.truncate(slug.trim_end_matches('-').len());
    (!slug.is_empty()).then_some(slug)
}

/// Latin letters that Unicode does not decompose.
fn transliterated(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ł' => "l",
        'ħ' => "h",
        'ı' => "i",
        'ŋ' => "n",
        _ => return None,
    })
}

/// The slug of a resource whose author gave none: the one of its name or, as long as that is taken, a free one of `-2`
/// to `-9` and then one with a suffix from the resource's id.
///
/// The collection must declare `slug` as a unique field; only its commit decides who gets a slug.
#[derive(Debug)]
pub struct Derivation {
    collection: &'static str,
    base: Option<String>,
    id: String,
    tries: u32,
}

impl Derivation {
    /// Fills in the slug, unless there is one. `fallback` stands in for a name of which nothing is left.
    pub fn unless_given(
        slug: &mut Option<String>,
        collection: &'static str,
        name: &str,
        fallback: &str,
        id: &str,
    ) -> Option<Self> {
        if slug.is_some() {
            return None;
        }
        let base = derive(name);
        *slug = Some(base.clone().unwrap_or_else(|| suffixed(fallback, id)));
        Some(Self { collection, base, id: id.to_owned(), tries: 0 })
    }

    /// The next slug to try, if a commit was refused because the one before is taken and there is another.
    pub fn next(&mut self, ctx: &Context<'_>, error: &StoreError) -> Result<Option<String>, StoreError> {
        let Some(base) = self.base.as_ref().filter(|_| error.is_taken("slug")) else { return Ok(None) };
        self.tries += 1;
        Ok(match self.tries {
            1 => Some(match free_number(ctx, self.collection, base, &self.id)? {
                Some(numbered) => numbered,
                None => suffixed(base, &self.id),
            }),
            2 => self.last(),
            _ => None,
        })
    }

    /// The slug with a suffix, which nobody else has: for resources of one name in one commit. They do not see each
    /// other, and would take turns at being refused.
    pub fn last(&mut self) -> Option<String> {
        self.tries = 2;
        self.base.as_ref().map(|base| suffixed(base, &self.id))
    }
}

fn free_number(
    ctx: &Context<'_>,
    collection: &str,
    base: &str,
    id: &str,
) -> Result<Option<String>, StoreError> {
    #[derive(Deserialize)]
    struct Named {
        slug: String,
    }
    let mut numbered: Vec<String> = (2..=9).map(|number| format!("{base}-{number}")).collect();
    let query = Query {
        filter: Filter::In("slug".to_owned(), numbered.iter().cloned().map(Scalar::Text).collect()),
        fields: vec!["slug".to_owned()],
        ..Query::default()
    };
    let taken = ctx.find::<Named>(collection, &query)?.items;
    numbered.retain(|slug| !taken.iter().any(|other| other.id != id && other.data.slug == *slug));
    Ok(numbered.into_iter().next())
}

/// The last characters of an id are its random ones.
fn suffixed(base: &str, id: &str) -> String {
    let tail = &id[id.len().saturating_sub(8)..];
    format!("{base}-{}", tail.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_slug(text: &str) -> bool {
        text.len() <= LENGTH_MAX
            && text.split('-').all(|word| {
                !word.is_empty()
                    && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            })
    }

    #[test]
    fn names_fold_to_ascii() {
        let cases = [
            ("Blue Shirt", Some("blue-shirt")),
            ("  Café Crème -- 2000 ", Some("cafe-creme-2000")),
            ("Straße", Some("strasse")),
            ("SMØRREBRØD", Some("smorrebrod")),
            ("Łódź & Œuvre", Some("lodz-oeuvre")),
            ("Men's T‑Shirt", Some("mens-t-shirt")),
            ("ﬁne ①", Some("fine-1")),
            ("日本語", None),
            ("!?", None),
            ("", None),
        ];
        for (name, slug) in cases {
            assert_eq!(derive(name).as_deref(), slug, "{name}");
        }
    }

    #[test]
    fn long_names_leave_room_for_a_suffix() {
        let slug = derive(&"word ".repeat(100)).unwrap();
        assert!(slug.len() <= DERIVED_MAX);
        assert!(is_slug(&suffixed(&slug, "prod_01JD0000000000000000000000")));
    }

    proptest! {
        #[test]
        fn a_derived_slug_is_a_slug_and_derives_itself(name in "\\PC{0,120}") {
            if let Some(slug) = derive(&name) {
                prop_assert!(is_slug(&slug), "{}", slug);
                prop_assert_eq!(derive(&slug), Some(slug));
            }
        }
    }
}
