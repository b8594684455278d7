//! Which paths are passed on.

/// Whether every part of `path` means the same to everybody who reads it: this program, two sidecars, which clean and
/// decode paths in their own ways and decide by them who may call what, and the service. So: no `.` or `..`, no empty
/// part, and nothing in percent-encoding that would be read as a part of the URL's structure, not even twice encoded.
pub(crate) fn is_plain(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|parts| parts.split('/').all(is_plain_part))
}

fn is_plain_part(part: &str) -> bool {
    decoded(part).is_some_and(|text| {
        !matches!(text.as_str(), "" | "." | "..") && !text.chars().any(|c| c.is_control() || r"/\%?#".contains(c))
    })
}

/// Without percent-encoding; nothing if that is broken or no UTF-8.
fn decoded(part: &str) -> Option<String> {
    let mut bytes = part.bytes();
    let mut plain = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            plain.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            plain.push(byte);
        }
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_api_are_passed_on() {
        for plain in ["/api/tasks", "/mcp", "/api/conversations/ada%20lovelace", "/api/tasks/42/complete", "/api/a..b"]
        {
            assert!(is_plain(plain), "{plain}");
        }
    }

    #[test]
    fn paths_that_somebody_may_read_in_another_way_are_not() {
        for tricky in [
            "/api/../reminder-cron",
            "/api/%2e%2E/reminder-cron",
            "/api/..%2freminder-cron",
            "/api/%252e%252e/reminder-cron",
            "/api//tasks",
            "/api/tasks/",
            "/api/./tasks",
            r"/api/..\reminder-cron",
            "/api/tasks%5c42",
            "/api/tasks%3Fuser_id=bob",
            "/api/tasks%00",
            "/api/tasks%0a",
            "/api/%zz",
            "/api/%f",
            "/api/%ff",
            "api/tasks",
        ] {
            assert!(!is_plain(tricky), "{tricky}");
        }
    }
}
