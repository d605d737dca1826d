//! Turning foreign texts into slugs and amounts.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// A slug: ASCII letters in lower case and digits, with one `-` between words. Empty when nothing is left.
pub(crate) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for letter in text.nfkd().filter(|letter| !is_combining_mark(*letter)) {
        match letter.to_ascii_lowercase() {
            letter if letter.is_ascii_alphanumeric() => slug.push(letter),
            // An apostrophe is inside a word: `Men's` is `mens`.
            '\'' | '\u{2019}' => {}
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

/// A decimal such as `29.9` in units of its last of `digits` places: exactly, or not at all. No float is involved.
pub(crate) fn minor_units(decimal: &str, digits: usize) -> Option<i64> {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let fraction = fraction.trim_end_matches('0');
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > digits {
        return None;
    }
    format!("{whole}{fraction:0<digits$}").parse().ok()
}

/// `mens-shirts` as `Mens shirts`.
pub(crate) fn title(slug: &str) -> String {
    let words = slug.replace('-', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_plain() {
        assert_eq!(slug("Essence Mascara Lash Princess"), "essence-mascara-lash-princess");
        assert_eq!(slug("  Men's Café & Crème — 2.8 l! "), "mens-cafe-creme-2-8-l");
        assert_eq!(slug("日本"), "");
    }

    #[test]
    fn amounts_are_exact() {
        for (text, amount) in [("9.99", 999), ("29.9", 2_990), ("100", 10_000), ("0", 0), ("1.500", 150)] {
            assert_eq!(minor_units(text, 2), Some(amount), "{text}");
        }
        assert_eq!(minor_units("1200", 0), Some(1_200));
        assert_eq!(minor_units("1.234", 3), Some(1_234));
        for wrong in ["", ".5", "-1", "1.234", "1e3", "1,5", "1.2.3", "99999999999999999999"] {
            assert_eq!(minor_units(wrong, 2), None, "{wrong}");
        }
    }

    #[test]
    fn titles_start_with_a_capital() {
        assert_eq!(title("mens-shirts"), "Mens shirts");
        assert_eq!(title(""), "");
    }
}
