//! Words for people.

/// A sentence of an error's message, which begins in lower case and ends without a full stop.
pub(crate) fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_becomes_a_sentence() {
        assert_eq!(sentence("the role stays"), "The role stays.");
        assert_eq!(sentence("`x` is no address"), "`x` is no address.");
    }
}
