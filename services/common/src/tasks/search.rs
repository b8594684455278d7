//! What a search looks for: words, by the index of words; the last one may be typed only in part.

use sqlx::{Postgres, QueryBuilder};

/// The same expression as in the index.
const WORDS: &str = "to_tsvector('simple', title || ' ' || coalesce(notes, ''))";

/// How a text is searched for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// By words, as search engines take them: `"a phrase"`, `-without`, `one or other`.
    Words {
        /// All that is complete.
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
    /// Whether it is another possibility and not one more condition.
    or: bool,
}

impl Search {
    pub(super) fn of(text: &str) -> Self {
        if !text.chars().any(char::is_alphanumeric) || text.chars().any(is_of_a_script_without_spaces) {
            return Self::Part(text.trim().to_owned());
        }
        let (before, word) = text.rsplit_once(char::is_whitespace).unwrap_or(("", text));
        let is_quoted = text.contains('"') && text.matches('"').count() % 2 == 1 || word.contains('"');
        if is_quoted || word.starts_with('-') || !word.chars().any(char::is_alphanumeric) {
            return Self::Words { complete: Some(text.to_owned()), last: None };
        }
        let before = before.trim();
        let without_or = match before.rsplit_once(char::is_whitespace) {
            Some((rest, last)) if last.eq_ignore_ascii_case("or") => Some(rest),
            _ => None,
        };
        let complete = Some(without_or.unwrap_or(before)).filter(|words| words.chars().any(char::is_alphanumeric));
        let last = Last { word: word.to_owned(), begins: beginning(&word.to_lowercase()), or: without_or.is_some() };
        Self::Words { complete: complete.map(str::to_owned), last: Some(last) }
    }

    /// Adds the condition.
    pub(super) fn push(self, query: &mut QueryBuilder<Postgres>) {
        match self {
            Self::Part(text) => {
                let pattern = format!("%{}%", text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_"));
                query.push(" AND (title ILIKE ").push_bind(pattern.clone());
                query.push(" OR notes ILIKE ").push_bind(pattern).push(")");
            }
            Self::Words { complete, last } => {
                query.push(format!(" AND {WORDS} @@ ("));
                let both = complete.is_some() && last.is_some();
                if let Some(complete) = complete {
                    query.push("websearch_to_tsquery('simple', ").push_bind(complete).push(")");
                }
                if let Some(Last { word, begins, or }) = last {
                    query.push(if !both {
                        "("
                    } else if or {
                        " || ("
                    } else {
                        " && ("
                    });
                    query.push("websearch_to_tsquery('simple', ").push_bind(word);
                    query.push(") || ").push_bind(begins).push("::text::tsquery)");
                }
                query.push(")");
            }
        }
    }
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

    fn words(complete: Option<&str>, last: Option<(&str, &str, bool)>) -> Search {
        let last = last.map(|(word, begins, or)| Last { word: word.to_owned(), begins: begins.to_owned(), or });
        Search::Words { complete: complete.map(str::to_owned), last }
    }

    #[test]
    fn the_last_word_may_be_a_beginning() {
        assert_eq!(Search::of("Mil"), words(None, Some(("Mil", "'mil':* | ('mil':*)", false))));
        assert_eq!(Search::of("buy mil"), words(Some("buy"), Some(("mil", "'mil':* | ('mil':*)", false))));
        assert_eq!(Search::of("half-d"), words(None, Some(("half-d", "'half-d':* | ('half' & 'd':*)", false))));
        assert_eq!(Search::of("don't"), words(None, Some(("don't", "'don''t':* | ('don' & 't':*)", false))));
        assert_eq!(Search::of("milk or br"), words(Some("milk"), Some(("br", "'br':* | ('br':*)", true))));
    }

    #[test]
    fn a_word_is_complete_after_a_space_in_a_phrase_and_where_it_is_excluded() {
        for complete in ["milk ", "\"buy mil", "\"buy milk\"", "milk -bread", "milk %"] {
            assert_eq!(Search::of(complete), words(Some(complete), None), "{complete}");
        }
    }

    #[test]
    fn what_has_no_words_is_searched_as_a_part() {
        for part in ["🥛", "%", "牛奶", "ขนม"] {
            assert_eq!(Search::of(part), Search::Part(part.to_owned()));
        }
    }
}
