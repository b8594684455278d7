//! What a search looks for: words, by the index of words; the last one may be typed only in part.

use sqlx::{Postgres, QueryBuilder};

/// The same expression as in the index.
const WORDS: &str = "to_tsvector('simple', title || ' ' || coalesce(notes, ''))";

/// How a text is searched for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// By words, as search engines take them: `"a phrase"`, `-without`, `one or other`.
    Words {
        /// What is enough by itself: all before the last `or`.
        others: Option<String>,
        /// What is complete of the rest.
        complete: Option<String>,
        /// The word that is being typed.
        last: Option<Last>,
    },
    /// As a part of the text, where there are no words that an index could know: signs alone, and scripts without spaces.
    Part(String),
}

/// A word that may be the beginning of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Last {
    /// As it is.
    word: String,
    /// As a `tsquery`: words that begin so.
    begins: String,
}

impl Search {
    pub(super) fn of(text: &str) -> Self {
        if !text.chars().any(char::is_alphanumeric) || text.chars().any(is_of_a_script_without_spaces) {
            return Self::Part(text.trim().to_owned());
        }
        let (before, word) = text.rsplit_once(char::is_whitespace).unwrap_or(("", text));
        let is_quoted = text.contains('"') && text.matches('"').count() % 2 == 1 || word.contains('"');
        if is_quoted || word.starts_with('-') || !word.chars().any(char::is_alphanumeric) {
            return Self::Words { others: None, complete: Some(text.to_owned()), last: None };
        }
        let (others, complete) = match at_last_or(before) {
            Some((others, rest)) => (Some(others.to_owned()), rest),
            None => (None, before),
        };
        let complete = Some(complete.trim()).filter(|words| words.chars().any(char::is_alphanumeric));
        let last = Last { word: word.to_owned(), begins: beginning(&word.to_lowercase()) };
        Self::Words { others, complete: complete.map(str::to_owned), last: Some(last) }
    }

    /// Adds the condition.
    pub(super) fn push(self, query: &mut QueryBuilder<Postgres>) {
        match self {
            Self::Part(text) => {
                let pattern = format!("%{}%", text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_"));
                query.push(" AND (title ILIKE ").push_bind(pattern.clone());
                query.push(" OR notes ILIKE ").push_bind(pattern).push(")");
            }
            Self::Words { others, complete, last } => {
                query.push(format!(" AND {WORDS} @@ ("));
                if let Some(others) = others {
                    query.push("websearch_to_tsquery('simple', ").push_bind(others).push(") || ");
                }
                query.push("(");
                let both = complete.is_some() && last.is_some();
                if let Some(complete) = complete {
                    query.push("websearch_to_tsquery('simple', ").push_bind(complete).push(")");
                }
                if let Some(Last { word, begins }) = last {
                    query.push(if both { " && (" } else { "(" });
                    query.push("websearch_to_tsquery('simple', ").push_bind(word);
                    query.push(") || ").push_bind(begins).push("::text::tsquery)");
                }
                query.push("))");
            }
        }
    }
}

/// What is before the last `or` and what is after it, where that is a word between others and not a part of a phrase.
fn at_last_or(text: &str) -> Option<(&str, &str)> {
    text.rmatch_indices(char::is_whitespace).find_map(|(at, _)| {
        let (before, after) = (&text[..at], text[at..].trim_start());
        let (word, rest) = after.split_at_checked(2)?;
        let is_alone = rest.is_empty() || rest.starts_with(char::is_whitespace);
        let is_quoted = before.matches('"').count() % 2 == 1;
        let has_words = before.chars().any(char::is_alphanumeric);
        (word.eq_ignore_ascii_case("or") && is_alone && !is_quoted && has_words).then(|| (before.trim(), rest.trim()))
    })
}

/// A `tsquery` for what begins with `word`. PostgreSQL takes some words apart (`half-done`) and keeps others (`ada@example.org`), which
/// cannot be told from their beginning: so it is either the whole or its parts.
fn beginning(word: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', r"\\").replace('\'', "''"));
    let parts: Vec<_> =
        word.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).map(quoted).collect();
    format!("{}:* | ({}:*)", quoted(word), parts.join(" & "))
}

fn is_of_a_script_without_spaces(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(others: Option<&str>, complete: Option<&str>, last: Option<(&str, &str)>) -> Search {
        let last = last.map(|(word, begins)| Last { word: word.to_owned(), begins: begins.to_owned() });
        Search::Words { others: others.map(str::to_owned), complete: complete.map(str::to_owned), last }
    }

    #[test]
    fn the_last_word_may_be_a_beginning() {
        assert_eq!(Search::of("Mil"), words(None, None, Some(("Mil", "'mil':* | ('mil':*)"))));
        assert_eq!(Search::of("buy mil"), words(None, Some("buy"), Some(("mil", "'mil':* | ('mil':*)"))));
        assert_eq!(Search::of("half-d"), words(None, None, Some(("half-d", "'half-d':* | ('half' & 'd':*)"))));
        assert_eq!(Search::of("don't"), words(None, None, Some(("don't", "'don''t':* | ('don' & 't':*)"))));
    }

    #[test]
    fn the_last_word_belongs_to_what_is_behind_the_last_or() {
        let br = Some(("br", "'br':* | ('br':*)"));
        assert_eq!(Search::of("milk or br"), words(Some("milk"), None, br));
        assert_eq!(Search::of("tea or milk OR brown br"), words(Some("tea or milk"), Some("brown"), br));
        assert_eq!(Search::of("\"to be or not\" br"), words(None, Some("\"to be or not\""), br));
        assert_eq!(Search::of("or br"), words(None, Some("or"), br));
        assert_eq!(Search::of("order or more br"), words(Some("order"), Some("more"), br));
    }

    #[test]
    fn a_word_is_complete_after_a_space_in_a_phrase_and_where_it_is_excluded() {
        for complete in ["milk ", "\"buy mil", "\"buy milk\"", "milk -bread", "milk %"] {
            assert_eq!(Search::of(complete), words(None, Some(complete), None), "{complete}");
        }
    }

    #[test]
    fn what_has_no_words_is_searched_as_a_part() {
        for part in ["🥛", "%", "牛奶", "ขนม"] {
            assert_eq!(Search::of(part), Search::Part(part.to_owned()));
        }
    }
}
