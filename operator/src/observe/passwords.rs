//! Keeps passwords out of what is quoted of logs.

/// A text in which the passwords of URLs and of connection strings are dots. Nobody should log them; this is for those
/// who do.
pub(super) fn without_passwords(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let url = rest.find("://").map(|at| at + 3);
        let setting = rest.find("password=").map(|at| at + 9);
        let Some(begin) = url.into_iter().chain(setting).min() else { break };
        safe.push_str(&rest[..begin]);
        rest = &rest[begin..];
        if setting == Some(begin) {
            safe.push('…');
            rest = &rest[value_length(rest)..];
            continue;
        }
        // A password may have all other marks in it.
        let url = &rest[..rest.find(ends_word).unwrap_or(rest.len())];
        let before_settings = url.split("password=").next().unwrap_or(url);
        if let Some((user, tail)) = before_settings
            .rsplit_once('@')
            .map(|(account, _)| account)
            .and_then(|account| account.split_once(':').map(|(user, _)| (user, account.len())))
        {
            safe.push_str(user);
            safe.push_str(":…");
            rest = &rest[tail..];
        }
    }
    safe.push_str(rest);
    safe
}

const fn ends_word(c: char) -> bool {
    c.is_whitespace() || c == '"'
}

/// Bytes of a value that a text begins with: in quotes, which it may have in itself behind a backslash, or up to where
/// a word ends.
fn value_length(text: &str) -> usize {
    let Some(quote) = text.chars().next().filter(|c| ['\'', '"'].contains(c)) else {
        return text.find(ends_word).unwrap_or(text.len());
    };
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return at + c.len_utf8();
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_to_its_end_whatever_marks_it_has() {
        for (text, safe) in [
            ("no: password='s3 cr\\'et' host=db", "no: password=… host=db"),
            ("no: password=s3&cr,et; host=db", "no: password=… host=db"),
            ("no: \"postgres://u:a&b,c'd;e@h/x\" host=db", "no: \"postgres://u:…@h/x\" host=db"),
            ("no: postgres://u@h:1/x?password=a@b host=db", "no: postgres://u@h:1/x?password=… host=db"),
            ("no: password='s3cret", "no: password=…"),
            ("no: password=\"s3 cret\" host=db", "no: password=… host=db"),
            ("at https://h/x?a=b@c and password=", "at https://h/x?a=b@c and password=…"),
        ] {
            assert_eq!(without_passwords(text), safe, "{text}");
        }
    }
}
