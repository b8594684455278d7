//! The header `if-match`: a change of the version of a task that its caller has seen, and of no other.

use axum::http::{HeaderMap, header::IF_MATCH};
use todo_common::problem::Problem;
use utoipa::IntoParams;

/// The version that a caller has seen.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it describes what `expected_version` reads")]
pub(super) struct IfMatch {
    /// The `etag` of the task as it was read: the change is refused when it has another by now.
    #[param(rename = "if-match", pattern = r#"^(\*|(W/)?("[0-9]{1,18}"|[0-9]{1,18}))$"#, required = false)]
    if_match: String,
}

/// A version that no task has. A weak tag does not say of which version it is, and so is not equal to any (RFC 9110, 13.1.1).
const OF_NONE: i64 = 0;

/// The version that the caller saw. `*` and no header mean any. Whoever leaves the quotation marks out is understood.
pub(super) fn expected_version(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let (is_weak, tag) = text.strip_prefix("W/").map_or((false, text), |tag| (true, tag));
    let text = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
    let is_number = text.len() <= 18 && text.bytes().all(|digit| digit.is_ascii_digit());
    let version = text.parse().ok().filter(|_| is_number);
    let version =
        version.ok_or_else(|| Problem::bad_request("if-match must be one ETag of this task, for example \"3\""))?;
    Ok(Some(if is_weak { OF_NONE } else { version }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(if_match: &'static str) -> Result<Option<i64>, Problem> {
        expected_version(&HeaderMap::from_iter([(IF_MATCH, if_match.parse().unwrap())]))
    }

    #[test]
    fn an_etag_is_a_version_in_quotes() {
        assert_eq!(expected("\"3\""), Ok(Some(3)));
        assert_eq!(expected("*"), Ok(None));
        assert_eq!(expected_version(&HeaderMap::new()), Ok(None));
        assert_eq!(expected("W/\"3\""), Ok(Some(OF_NONE)));
        assert_eq!(expected("3"), Ok(Some(3)));
        for wrong in ["\"abc\"", "\"3", "\"\"", "\"+3\"", "\"-3\"", "\"1234567890123456789\""] {
            assert!(expected(wrong).is_err(), "{wrong}");
        }
        assert!(expected("\"1\", \"2\"").is_err());
    }
}
