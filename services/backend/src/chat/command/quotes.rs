//! Titles that are written in quotes.

use crate::chat::words;

const QUOTES: [(char, char); 3] = [('"', '"'), ('“', '”'), ('‘', '’')];

/// The text between the first pair of quotes. A single straight one must begin a word, or it is an apostrophe.
pub(super) fn quoted(sentence: &str) -> Option<String> {
    let (start, end) = quotes(sentence)?;
    Some(sentence[start..end].trim().to_owned()).filter(|text| !text.is_empty())
}

pub(super) fn title_ends_the_sentence(sentence: &str) -> bool {
    quotes(sentence).is_some_and(|(_, end)| words::split(&sentence[end..]).is_empty())
}

fn quotes(sentence: &str) -> Option<(usize, usize)> {
    let double = QUOTES.into_iter().find_map(|(open, close)| {
        let start = sentence.find(open)? + open.len_utf8();
        Some((start, start + sentence[start..].find(close)?))
    });
    double.or_else(|| {
        let start = sentence.find(" '")? + 2;
        Some((start, start + sentence[start..].rfind('\'')?))
    })
}
