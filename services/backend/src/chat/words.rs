//! A sentence as words: as written, and plain for comparing.

/// A word of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    written: &'a str,
    plain: String,
}

impl Word<'_> {
    /// Lower case, without punctuation around it.
    pub(crate) fn plain(&self) -> &str {
        &self.plain
    }

    /// As the person wrote it.
    pub(crate) fn written(&self) -> &str {
        self.written
    }
}

/// The words of a sentence. Punctuation alone is no word.
pub(crate) fn split(sentence: &str) -> Vec<Word<'_>> {
    sentence
        .split_whitespace()
        .map(|written| {
            let plain = written.to_lowercase().replace('’', "'");
            let plain = plain.trim_matches(|c: char| ".,!?;:\"'“”‘()".contains(c)).to_owned();
            Word { written, plain }
        })
        .filter(|word| !word.plain.is_empty())
        .collect()
}

/// The words as a text, as they were written; what ends or quotes a sentence is dropped at both ends.
pub(crate) fn join(words: &[Word<'_>]) -> String {
    let text = words.iter().map(Word::written).collect::<Vec<_>>().join(" ");
    text.trim_matches(|c: char| c.is_whitespace() || ".,;:?!\"'“”‘’".contains(c)).to_owned()
}

/// The words after the first of `openings` that the sentence begins with.
pub(crate) fn after<'a, 'b>(words: &'b [Word<'a>], openings: &[&str]) -> Option<&'b [Word<'a>]> {
    openings.iter().find_map(|opening| {
        let length = opening.split(' ').count();
        let found = words.get(..length)?.iter().map(Word::plain).eq(opening.split(' '));
        found.then(|| &words[length..])
    })
}

/// The words before the first of `endings` that the sentence ends with.
pub(crate) fn before<'a, 'b>(words: &'b [Word<'a>], endings: &[&str]) -> Option<&'b [Word<'a>]> {
    endings.iter().find_map(|ending| {
        let start = words.len().checked_sub(ending.split(' ').count())?;
        let found = words[start..].iter().map(Word::plain).eq(ending.split(' '));
        found.then(|| &words[..start])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_compared_without_case_and_punctuation_but_kept_as_written() {
        let words = split("  Add:  Call Mom’s  doctor! ");
        assert_eq!(words.iter().map(Word::plain).collect::<Vec<_>>(), ["add", "call", "mom's", "doctor"]);
        assert_eq!(join(&words[1..]), "Call Mom’s doctor");
        assert_eq!(join(after(&words, &["please", "add"]).unwrap()), "Call Mom’s doctor");
        assert_eq!(join(before(&words, &["the doctor", "doctor"]).unwrap()), "Add:  Call Mom’s".replace("  ", " "));
    }
}
